//! The conditions of a request: `matches` of an HTTPRoute, and of a limit.

use super::{
    decode::{Fields, Node},
    error::Reason,
    value::{self, HEADER_VALUE_MAX, PATH_MAX},
};
use crate::traffic::{Match, PathMatch, ValueMatch, ValuePattern};

/// Header conditions of one match, and parameter conditions, at most (the Gateway API's).
const CONDITIONS_MAX: usize = 16;
/// The methods that the Gateway API names.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Exact,
    Regex,
}

/// One item of `matches`.
pub(super) fn http(node: &Node<'_>) -> Option<Match> {
    node.object(|fields| {
        let path = fields.optional("path", path);
        let method = fields.optional("method", |node| node.one_of(&METHODS.map(|word| (word, word))));
        let headers = headers(fields);
        let query = query(fields);
        // A prefix of `/` is every path: the sidecar need not look.
        let path = path.filter(|path| *path != PathMatch::Prefix("/".into()));
        Some(Match { path, method: method.map(Into::into), headers, query })
    })
}

fn path(node: &Node<'_>) -> Option<PathMatch> {
    #[derive(Clone, Copy)]
    enum Kind {
        Exact,
        Prefix,
        Regex,
    }
    const KINDS: [(&str, Kind); 3] =
        [("Exact", Kind::Exact), ("PathPrefix", Kind::Prefix), ("RegularExpression", Kind::Regex)];
    node.object(|fields| {
        let kind = match fields.get("type") {
            Some(node) => node.one_of(&KINDS),
            None => Some(Kind::Prefix),
        };
        let Some(node) = fields.get("value") else {
            return kind.map(|kind| match kind {
                Kind::Exact => PathMatch::Exact("/".into()),
                Kind::Prefix => PathMatch::Prefix("/".into()),
                Kind::Regex => PathMatch::Regex("/".into()),
            });
        };
        match kind? {
            Kind::Exact => value::path(&node).map(|path| PathMatch::Exact(path.into())),
            Kind::Prefix => value::path(&node).map(|path| PathMatch::Prefix(without_last_slash(path).into())),
            Kind::Regex => value::regex(&node, PATH_MAX).map(|text| PathMatch::Regex(text.into())),
        }
    })
}

/// `/a/` and `/a` are the same prefix.
fn without_last_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(rest) => rest,
    }
}

/// `headers`: names without regard to case, each once.
pub(super) fn headers(fields: &mut Fields<'_>) -> Vec<ValueMatch> {
    let mut seen = Vec::new();
    fields.list("headers", CONDITIONS_MAX, |node| {
        node.object(|fields| {
            let name = fields.required("name", |node| new_name(&mut seen, node, value::header_name(node)?));
            let pattern = pattern(fields, HEADER_VALUE_MAX, value::header_value);
            Some(ValueMatch { name: name?, value: pattern? })
        })
    })
}

/// `queryParams`: names as they are written, each once.
fn query(fields: &mut Fields<'_>) -> Vec<ValueMatch> {
    let mut seen = Vec::new();
    fields.list("queryParams", CONDITIONS_MAX, |node| {
        node.object(|fields| {
            let name = fields.required("name", |node| new_name(&mut seen, node, value::token(node)?.into()));
            let pattern = pattern(fields, PATH_MAX, |node| node.text_of(1..=PATH_MAX).map(Into::into));
            Some(ValueMatch { name: name?, value: pattern? })
        })
    })
}

/// The name of a condition, unless another has it already: Kubernetes would let only the first count.
fn new_name(seen: &mut Vec<Box<str>>, node: &Node<'_>, name: Box<str>) -> Option<Box<str>> {
    let message = format!("`{name}` has a condition already: put both into one regular expression");
    value::is_new(seen, name.clone(), node, &message).then_some(name)
}

/// `type` and `value` of a condition.
fn pattern(
    fields: &mut Fields<'_>,
    max: usize,
    exact: impl FnOnce(&Node<'_>) -> Option<Box<str>>,
) -> Option<ValuePattern> {
    let comparison = comparison(fields);
    let Some(node) = fields.get("value") else {
        fields.fail("value", Reason::Required, "is missing: add it");
        return None;
    };
    match comparison? {
        Comparison::Exact => exact(&node).map(ValuePattern::Exact),
        Comparison::Regex => value::regex(&node, max).map(|text| ValuePattern::Regex(text.into())),
    }
}

/// `type`; absent = exact.
pub(super) fn comparison(fields: &mut Fields<'_>) -> Option<Comparison> {
    const WORDS: [(&str, Comparison); 2] =
        [("Exact", Comparison::Exact), ("RegularExpression", Comparison::Regex)];
    fields.get("type").map_or(Some(Comparison::Exact), |node| node.one_of(&WORDS))
}
