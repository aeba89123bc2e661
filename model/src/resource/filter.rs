//! `filters` of a rule or of a backend.

use super::{
    decode::{Fields, Node},
    error::Reason,
    reference::{self, Scope},
    value::{self, PATH_MAX},
};
use crate::traffic::{Filter, HeaderEdit, Mirror, PathEdit, Redirect, Rewrite};

/// Filters of a rule or backend, at most (the Gateway API's).
const FILTERS_MAX: usize = 16;
/// Headers that one filter sets, adds or removes, at most each (the Gateway API's).
const EDITS_MAX: usize = 16;
/// Headers that frame a message or belong to one connection. A rule that changed them would change where a message
/// ends (RFC 9110 section 7.6.1, RFC 9112 section 6).
const FRAMING_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];
/// Headers with this beginning are what sidecars tell each other.
const OWN_PREFIX: &str = "weft-";

/// What a filter may be, by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A rule of an HTTPRoute.
    HttpRule,
    /// A backend of an HTTPRoute.
    HttpBackend,
    /// A rule or backend of a GRPCRoute.
    Grpc,
}

/// What a filter is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'s> {
    /// Where it stands.
    pub(super) place: Place,
    /// What its references are judged by.
    pub(super) scope: Scope<'s>,
    /// Whether the rule has exactly one match, by prefix: only then is it known which one could be replaced.
    pub(super) has_one_prefix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    RequestHeaders,
    ResponseHeaders,
    Mirror,
    Redirect,
    Rewrite,
}

impl Type {
    const ALL: [Self; 5] =
        [Self::RequestHeaders, Self::ResponseHeaders, Self::Mirror, Self::Redirect, Self::Rewrite];

    const fn word(self) -> &'static str {
        match self {
            Self::RequestHeaders => "RequestHeaderModifier",
            Self::ResponseHeaders => "ResponseHeaderModifier",
            Self::Mirror => "RequestMirror",
            Self::Redirect => "RequestRedirect",
            Self::Rewrite => "URLRewrite",
        }
    }

    /// The field that holds what a filter of this type does.
    const fn field(self) -> &'static str {
        match self {
            Self::RequestHeaders => "requestHeaderModifier",
            Self::ResponseHeaders => "responseHeaderModifier",
            Self::Mirror => "requestMirror",
            Self::Redirect => "requestRedirect",
            Self::Rewrite => "urlRewrite",
        }
    }

    const fn is_allowed(self, place: Place) -> bool {
        match self {
            Self::RequestHeaders | Self::ResponseHeaders | Self::Mirror => true,
            Self::Rewrite => matches!(place, Place::HttpRule | Place::HttpBackend),
            Self::Redirect => matches!(place, Place::HttpRule),
        }
    }
}

/// `filters`: of each type one, mirrors as many as wanted; a redirect and a rewrite exclude each other.
pub(super) fn list(fields: &mut Fields<'_>, context: Context<'_>) -> Vec<Filter> {
    let mut seen = Vec::new();
    fields.list("filters", FILTERS_MAX, |node| {
        let (kind, filter) = node.object(|fields| one(fields, context))?;
        if kind != Type::Mirror {
            let message = format!("is a second {}: put all of it into one", kind.word());
            value::is_new(&mut seen, kind, node, &message);
        }
        let both = seen.contains(&Type::Redirect) && seen.contains(&Type::Rewrite);
        if both && matches!(kind, Type::Redirect | Type::Rewrite) {
            let message =
                "a RequestRedirect and a URLRewrite exclude each other: a redirected request is not sent on";
            node.fail(Reason::Forbidden, message);
        }
        Some(filter)
    })
}

fn one(fields: &mut Fields<'_>, context: Context<'_>) -> Option<(Type, Filter)> {
    let kind = fields.required("type", |node| read_type(node, context.place));
    for other in Type::ALL.into_iter().filter(|other| Some(*other) != kind) {
        fields.get(other.field());
        if fields.has(other.field()) && kind.is_some() {
            let message =
                format!("belongs to a filter of `type: {}`: move it to one of its own", other.word());
            fields.fail(other.field(), Reason::Forbidden, message);
        }
    }
    for known in ["extensionRef", "cors", "externalAuth"] {
        fields.pass_over(known);
    }
    let kind = kind?;
    let filter = match kind {
        Type::RequestHeaders => fields.required(kind.field(), header_edit).map(Filter::RequestHeaders),
        Type::ResponseHeaders => fields.required(kind.field(), header_edit).map(Filter::ResponseHeaders),
        Type::Mirror => fields.required(kind.field(), |node| mirror(node, context.scope)).map(Filter::Mirror),
        Type::Redirect => fields.required(kind.field(), |node| redirect(node, context)).map(Filter::Redirect),
        Type::Rewrite => fields.required(kind.field(), |node| rewrite(node, context)).map(Filter::Rewrite),
    };
    filter.map(|filter| (kind, filter))
}

fn read_type(node: &Node<'_>, place: Place) -> Option<Type> {
    let text = node.text()?;
    let known = Type::ALL.into_iter().find(|kind| kind.word() == text);
    let message = match (known, text) {
        (Some(kind), _) if kind.is_allowed(place) => return Some(kind),
        (Some(Type::Redirect), _) if place == Place::HttpBackend => {
            "has no effect at a backend, to which nothing is sent then: put it into the rule's `filters`"
                .into()
        }
        (Some(kind), _) => format!("{} is no filter of a GRPCRoute: use an HTTPRoute for it", kind.word()),
        (None, "ExtensionRef") => {
            "ExtensionRef is not supported by Weft: what filters cannot say stands in a ServicePolicy or \
             RateLimitPolicy"
                .into()
        }
        (None, "CORS") => {
            "CORS is not supported by Weft: let the application answer preflight requests".into()
        }
        (None, "ExternalAuth") => {
            "ExternalAuth is not supported by Weft: let the application or a gateway ask".into()
        }
        (None, _) => {
            let words: Vec<_> = Type::ALL
                .into_iter()
                .filter(|kind| kind.is_allowed(place))
                .map(|kind| (kind.word(), ()))
                .collect();
            node.one_of(&words);
            return None;
        }
    };
    node.fail(Reason::NotSupported, message);
    None
}

fn header_edit(node: &Node<'_>) -> Option<HeaderEdit> {
    node.object(|fields| {
        let mut seen = Vec::new();
        let mut pair = |node: &Node<'_>| {
            let (name, value) = node.object(|fields| {
                let name = fields.required("name", edited_name);
                let value = fields.required("value", value::header_value);
                Some((name?, value?))
            })?;
            is_first_edit(&mut seen, &name, node).then_some((name, value))
        };
        let set = fields.list("set", EDITS_MAX, &mut pair);
        let add = fields.list("add", EDITS_MAX, &mut pair);
        let remove = fields.list("remove", EDITS_MAX, |node| {
            let name = edited_name(node)?;
            is_first_edit(&mut seen, &name, node).then_some(name)
        });
        Some(HeaderEdit { set, add, remove })
    })
}

fn is_first_edit(seen: &mut Vec<Box<str>>, name: &str, node: &Node<'_>) -> bool {
    let message = format!("`{name}` is changed already by this filter: say once what becomes of it");
    value::is_new(seen, name.into(), node, &message)
}

/// A header that a filter may change.
fn edited_name(node: &Node<'_>) -> Option<Box<str>> {
    let name = value::header_name(node)?;
    let why = match &*name {
        "host" => "is changed by a URLRewrite's `hostname`: use that",
        name if FRAMING_HEADERS.contains(&name) => {
            "says how a message is framed or a connection used, which no rule may change: leave it out"
        }
        name if name.starts_with(OWN_PREFIX) => {
            "is what sidecars tell each other, which no rule may change: leave it out"
        }
        _ => return Some(name),
    };
    node.fail(Reason::Forbidden, format!("`{name}` {why}"));
    None
}

fn mirror(node: &Node<'_>, scope: Scope<'_>) -> Option<Mirror> {
    node.object(|fields| {
        let backend = fields.required("backendRef", |node| {
            node.object(|fields| {
                fields.refuse("weight", "is no field of a mirror: give its share by `percent` or `fraction`");
                reference::backend(fields, scope)
            })
        });
        let percent = fields.optional("percent", value::percent).map(|percent| (percent, 100));
        let fraction = fields.optional("fraction", fraction);
        if fields.has("percent") && fields.has("fraction") {
            fields.fail(
                "fraction",
                Reason::Forbidden,
                "says the share, and so does `percent`: give one of them",
            );
        }
        Some(Mirror { backend: backend?, fraction: fraction.or(percent).unwrap_or((100, 100)) })
    })
}

fn fraction(node: &Node<'_>) -> Option<(u32, u32)> {
    const DEFAULT_DENOMINATOR: u32 = 100;
    const LARGEST: u32 = i32::MAX.unsigned_abs();
    node.object(|fields| {
        let numerator = fields.required("numerator", |node| node.small(0..=LARGEST));
        let denominator = fields.optional("denominator", |node| node.small(1..=LARGEST));
        let (numerator, denominator) = (numerator?, denominator.unwrap_or(DEFAULT_DENOMINATOR));
        if numerator > denominator {
            let message = format!("is {numerator} of {denominator}: give at most {denominator}");
            fields.fail("numerator", Reason::Invalid, message);
        }
        Some((numerator, denominator))
    })
}

fn redirect(node: &Node<'_>, context: Context<'_>) -> Option<Redirect> {
    const DEFAULT_STATUS: u16 = 302;
    const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
    node.object(|fields| {
        let scheme = fields.optional("scheme", |node| node.one_of(&[("http", "http"), ("https", "https")]));
        let host = fields.optional("hostname", |node| value::hostname(node, false));
        let path = fields.optional("path", |node| path_edit(node, context));
        let port = fields.optional("port", value::port);
        let status = fields.optional("statusCode", |node| {
            let status = node.integer(100..=599).and_then(|status| u16::try_from(status).ok())?;
            if STATUSES.contains(&status) {
                return Some(status);
            }
            node.fail(Reason::NotSupported, format!("is {status}: give one of 301, 302, 303, 307, 308"));
            None
        });
        Some(Redirect {
            scheme: scheme.map(Into::into),
            host: host.map(Into::into),
            path,
            port,
            status: status.unwrap_or(DEFAULT_STATUS),
        })
    })
}

fn rewrite(node: &Node<'_>, context: Context<'_>) -> Option<Rewrite> {
    node.object(|fields| {
        let host = fields.optional("hostname", |node| value::hostname(node, false)).map(Into::into);
        let path = fields.optional("path", |node| path_edit(node, context));
        Some(Rewrite { host, path })
    })
}

/// `path` of a redirect or rewrite: the type, and the field that is named after it.
fn path_edit(node: &Node<'_>, context: Context<'_>) -> Option<PathEdit> {
    const FULL: (&str, &str) = ("ReplaceFullPath", "replaceFullPath");
    const PREFIX: (&str, &str) = ("ReplacePrefixMatch", "replacePrefixMatch");
    node.object(|fields| {
        let kind = fields.required("type", |node| node.one_of(&[(FULL.0, FULL), (PREFIX.0, PREFIX)]));
        for (word, field) in [FULL, PREFIX] {
            let is_meant = kind.is_none_or(|(meant, _)| meant == word);
            fields.get(field);
            if fields.has(field) && !is_meant {
                fields.fail(
                    field,
                    Reason::Forbidden,
                    format!("belongs to `type: {word}`: change the type, or leave it out"),
                );
            }
        }
        let (word, field) = kind?;
        let is_prefix = word == PREFIX.0;
        if is_prefix && !context.has_one_prefix {
            let advice = "split the rule, or use ReplaceFullPath";
            let message = format!("needs a rule with exactly one match, by `PathPrefix`: {advice}");
            fields.fail("type", Reason::Forbidden, message);
        }
        let text = fields.required(field, |node| replacement(node, is_prefix))?;
        Some(if is_prefix { PathEdit::Prefix(text) } else { PathEdit::Full(text) })
    })
}

fn replacement(node: &Node<'_>, may_be_empty: bool) -> Option<Box<str>> {
    let text = node.text_of(0..=PATH_MAX)?;
    if text.is_empty() && may_be_empty {
        return Some(text.into());
    }
    if text.is_empty() {
        node.fail(Reason::Required, "is empty: write a path, as in `/`");
        return None;
    }
    value::path(node).map(Into::into)
}
