//! GRPCRoute: matches by service and method, else as HTTPRoute with fewer filters.

use super::{
    decode::{Fields, Node},
    error::{Reason, clip},
    filter::{self, Context, Place},
    matching::{self, Comparison},
    reference::Scope,
    route::{self, RouteSpec},
    value::{self, PATH_MAX},
};
use crate::{
    name::Label,
    traffic::{GrpcMethod, Match, PathMatch, Rule, ValuePattern},
};

/// Matches of one rule, at most (the Gateway API's).
const MATCHES_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Service,
    Method,
}

pub(super) fn read(node: &Node<'_>, namespace: &Label) -> Option<RouteSpec> {
    route::read(node, namespace, rule)
}

fn rule(fields: &mut Fields<'_>, scope: Scope<'_>) -> Option<Rule> {
    let matches = fields.list("matches", MATCHES_MAX, one);
    let context = Context { place: Place::Grpc, scope, has_one_prefix: false };
    let filters = filter::list(fields, context);
    let backends = route::backends(fields, context);
    let deadline =
        "is no field of a GRPCRoute: let callers set a deadline, or use a ServicePolicy's `timeouts`";
    fields.refuse("timeouts", deadline);
    fields.refuse("retry", "is no field of a GRPCRoute: use a ServicePolicy's `retries`");
    route::refuse_session_persistence(fields);
    let matches = if matches.is_empty() { vec![any(Vec::new())] } else { matches };
    Some(Rule { matches, filters, backends, ..Rule::default() })
}

fn one(node: &Node<'_>) -> Option<Match> {
    node.object(|fields| {
        let method = fields.optional("method", method);
        let headers = matching::headers(fields);
        let path = Some(PathMatch::Grpc(method.unwrap_or_default()));
        Some(Match { path, ..any(headers) })
    })
}

fn any(headers: Vec<crate::traffic::ValueMatch>) -> Match {
    Match { path: Some(PathMatch::Grpc(GrpcMethod::default())), headers, ..Match::default() }
}

fn method(node: &Node<'_>) -> Option<GrpcMethod> {
    node.object(|fields| {
        let comparison = matching::comparison(fields);
        let mut part = |name, part| {
            let node = fields.get(name)?;
            // An empty text is any, as an absent one.
            let is_any = node.as_text().is_some_and(str::is_empty);
            if is_any { None } else { pattern(&node, comparison?, part) }
        };
        let (service, method) = (part("service", Part::Service), part("method", Part::Method));
        let is_right = !["type", "service", "method"].iter().any(|name| fields.failed(name));
        if service.is_none() && method.is_none() && is_right {
            let message =
                "names neither: give `service`, `method` or both, or leave `method` out to match every call";
            fields.fail_here(Reason::Required, message);
        }
        Some(GrpcMethod { service, method })
    })
}

fn pattern(node: &Node<'_>, comparison: Comparison, part: Part) -> Option<ValuePattern> {
    if comparison == Comparison::Regex {
        return value::regex(node, PATH_MAX).map(|text| ValuePattern::Regex(text.into()));
    }
    let text = node.text_of(1..=PATH_MAX)?;
    let is_name = |name: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.bytes().all(is_inner) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
    };
    let (is_right, example) = match part {
        Part::Service => (text.split('.').all(is_name), "as in `shop.v1.Orders`"),
        Part::Method => (is_name(text), "as in `GetOrder`"),
    };
    if !is_right {
        let advice = format!("write letters, digits and underscores, {example}, without `/`");
        node.invalid(format!("`{}` is not a gRPC name: {advice}", clip(text)));
        return None;
    }
    Some(ValuePattern::Exact(text.into()))
}
