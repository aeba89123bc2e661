//! HTTPRoute: the rules of its CRD, those that Kubernetes checks by CEL included.

use super::{
    decode::{Fields, Node},
    error::Reason,
    filter::{self, Context, Place},
    matching,
    reference::Scope,
    route::{self, RouteSpec},
    value,
};
use crate::{
    name::Label,
    traffic::{Backend, Filter, Match, PathMatch, Rule, RuleRetry},
};

/// Matches of one rule, at most (the Gateway API's).
const MATCHES_MAX: usize = 64;
/// Retries of one request, at most: the budget would not let more through.
pub(super) const ATTEMPTS_MAX: u32 = 10;
/// Statuses that are tried again, at most: all that there are from 400 to 599 make no sense.
pub(super) const CODES_MAX: usize = 32;

pub(super) fn read(node: &Node<'_>, namespace: &Label) -> Option<RouteSpec> {
    route::read(node, namespace, rule)
}

fn rule(fields: &mut Fields<'_>, scope: Scope<'_>) -> Option<Rule> {
    let matches = fields.list("matches", MATCHES_MAX, matching::http);
    let has_one_prefix = has_one_prefix(&matches);
    let filters = filter::list(fields, Context { place: Place::HttpRule, scope, has_one_prefix });
    let backends = route::backends(fields, Context { place: Place::HttpBackend, scope, has_one_prefix });
    let (request_timeout, backend_timeout) = fields.optional("timeouts", timeouts).unwrap_or_default();
    let retry = fields.optional("retry", retry);
    route::refuse_session_persistence(fields);
    check_redirect(fields, &filters, &backends);
    Some(Rule { name: Box::default(), matches, filters, backends, request_timeout, backend_timeout, retry })
}

fn check_redirect(fields: &Fields<'_>, filters: &[Filter], backends: &[Backend]) {
    if !backends.is_empty() && filters.iter().any(|filter| matches!(filter, Filter::Redirect(_))) {
        let message = "are never called beside a RequestRedirect: leave out one or the other";
        fields.fail("backendRefs", Reason::Forbidden, message);
    }
}

/// No path is the prefix `/`.
fn has_one_prefix(matches: &[Match]) -> bool {
    match matches {
        [] => true,
        [only] => matches!(only.path, None | Some(PathMatch::Prefix(_))),
        _ => false,
    }
}

fn timeouts(node: &Node<'_>) -> Option<(value::Said, value::Said)> {
    node.object(|fields| {
        let request = fields.optional("request", value::timeout);
        let backend = fields.optional("backendRequest", value::timeout);
        value::check_timeouts(fields, request, backend);
        Some((request, backend))
    })
}

fn retry(node: &Node<'_>) -> Option<RuleRetry> {
    node.object(|fields| {
        let statuses = statuses(fields, "codes");
        let attempts = fields.optional("attempts", |node| node.small(0..=ATTEMPTS_MAX));
        let backoff = fields.optional("backoff", value::span);
        Some(RuleRetry { statuses, attempts, backoff })
    })
}

/// Statuses that are tried again, each once.
pub(super) fn statuses(fields: &mut Fields<'_>, name: &'static str) -> Vec<u16> {
    let mut seen = Vec::new();
    fields.list(name, CODES_MAX, |node| {
        let status = node.integer(400..=599).and_then(|status| u16::try_from(status).ok())?;
        value::is_new(&mut seen, status, node, &format!("{status} stands here already: name it once"))
            .then_some(status)
    })
}
