//! What HTTPRoute and GRPCRoute have in common: parents, host names, the list of rules.

use super::{
    decode::{Fields, Node},
    error::{FieldError, Reason},
    filter::{self, Context},
    reference::{self, Parent, Scope},
    value,
};
use crate::{
    name::{Label, ServiceName},
    traffic::{Backend, BackendRef, Filter, PortRef, Route, Rule},
};

/// Rules of a route, at most (the Gateway API's).
const RULES_MAX: usize = 16;
/// Matches of all rules of a route, at most (the Gateway API's).
const MATCHES_TOTAL_MAX: usize = 128;
/// Host names of a route, at most (the Gateway API's).
const HOSTNAMES_MAX: usize = 16;
/// Backends of a rule, at most (the Gateway API's).
const BACKENDS_MAX: usize = 16;
/// The greatest weight (the Gateway API's).
const WEIGHT_MAX: u32 = 1_000_000;

/// The spec of an HTTPRoute or GRPCRoute.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteSpec {
    parents: Vec<Parent>,
    hostnames: usize,
    rules: Vec<Rule>,
}

impl RouteSpec {
    /// At least one, in the order of the resource.
    pub fn parents(&self) -> &[Parent] {
        &self.parents
    }

    /// How many host names it has. With services as parents they say nothing (GEP-1426).
    pub const fn hostnames(&self) -> usize {
        self.hostnames
    }

    /// At least one, in the order of the resource.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Each service that a rule sends to or mirrors to, once, in the order of the resource.
    pub fn backends(&self) -> Vec<&ServiceName> {
        let mut found: Vec<&ServiceName> = Vec::new();
        for target in self.backend_refs() {
            if !found.contains(&&target.service) {
                found.push(&target.service);
            }
        }
        found
    }

    /// Each reference to a service that a rule sends to or mirrors to.
    pub fn backend_refs(&self) -> impl Iterator<Item = &BackendRef> {
        self.rules.iter().flat_map(|rule| {
            let targets = rule.backends.iter().map(|backend| &backend.target);
            let filters =
                rule.filters.iter().chain(rule.backends.iter().flat_map(|backend| &backend.filters));
            targets.chain(filters.filter_map(mirrored))
        })
    }

    /// What is allowed but more often a slip.
    pub(super) fn warnings(&self) -> Vec<FieldError> {
        let warning = |path: String, message: &str| FieldError {
            path,
            reason: Reason::Invalid,
            message: message.into(),
        };
        let mut warnings = Vec::new();
        if self.hostnames > 0 {
            let message =
                "say nothing where the parent is a Service: to tell hosts apart, match the header `host`";
            warnings.push(warning("spec.hostnames".into(), message));
        }
        let is_off = |rule: &Rule| {
            !rule.backends.is_empty() && rule.backends.iter().all(|backend| backend.weight == 0)
        };
        for (index, _) in self.rules.iter().enumerate().filter(|(_, rule)| is_off(rule)) {
            let message = "have no weight, so each request is answered with 500: give one of them a `weight`";
            warnings.push(warning(format!("spec.rules[{index}].backendRefs"), message));
        }
        warnings
    }

    /// The services that are its parents, each once, with what it says about each.
    pub(super) fn routes(&self) -> Vec<(ServiceName, Route)> {
        let mut routes: Vec<(ServiceName, Vec<PortRef>)> = Vec::new();
        for parent in &self.parents {
            match routes.iter_mut().find(|(service, _)| *service == parent.service) {
                Some((_, ports)) => ports.extend(parent.port.clone()),
                None => routes.push((parent.service.clone(), parent.port.clone().into_iter().collect())),
            }
        }
        let route = |ports| Route { ports, rules: self.rules.clone() };
        routes.into_iter().map(|(service, ports)| (service, route(ports))).collect()
    }
}

/// Reads a spec; `rule` reads one of its rules.
pub(super) fn read(
    node: &Node<'_>,
    namespace: &Label,
    rule: impl Fn(&mut Fields<'_>, Scope<'_>) -> Option<Rule>,
) -> Option<RouteSpec> {
    node.object(|fields| {
        let parents = reference::parents(fields, namespace);
        let hostnames = fields.list("hostnames", HOSTNAMES_MAX, |node| value::hostname(node, true)).len();
        let scope = Scope { namespace, parents: &parents };
        let rules = rules(fields, |fields| rule(fields, scope));
        Some(RouteSpec { parents, hostnames, rules })
    })
}

/// `rules`: absent = one that takes every request.
fn rules(fields: &mut Fields<'_>, read: impl Fn(&mut Fields<'_>) -> Option<Rule>) -> Vec<Rule> {
    if !fields.has("rules") {
        fields.get("rules");
        return vec![Rule::default()];
    }
    let mut seen: Vec<Box<str>> = Vec::new();
    let rules = fields.list("rules", RULES_MAX, |node| {
        node.object(|fields| {
            let name: Box<str> = fields.optional("name", value::subdomain).unwrap_or_default().into();
            if !name.is_empty() && seen.contains(&name) {
                let message = format!("`{name}` is the name of an earlier rule: give each its own");
                fields.fail("name", Reason::Duplicate, message);
            }
            seen.push(name.clone());
            read(fields).map(|rule| Rule { name, ..rule })
        })
    });
    if rules.is_empty() && !fields.failed("rules") {
        let message = "is an empty list: give a rule, or leave `rules` out to take every request";
        fields.fail("rules", Reason::Required, message);
    }
    let total: usize = rules.iter().map(|rule| rule.matches.len()).sum();
    if total > MATCHES_TOTAL_MAX {
        let message = format!(
            "have {total} matches together: give at most {MATCHES_TOTAL_MAX}, and the rest in another route"
        );
        fields.fail("rules", Reason::TooMany, message);
    }
    rules
}

/// `backendRefs` of a rule.
pub(super) fn backends(fields: &mut Fields<'_>, context: Context<'_>) -> Vec<Backend> {
    fields.list("backendRefs", BACKENDS_MAX, |node| {
        node.object(|fields| {
            let target = reference::backend(fields, context.scope);
            let weight = fields.optional("weight", |node| node.small(0..=WEIGHT_MAX)).unwrap_or(1);
            let filters = filter::list(fields, context);
            Some(Backend { target: target?, weight, filters })
        })
    })
}

/// What a rule of either kind cannot say here.
pub(super) fn refuse_session_persistence(fields: &mut Fields<'_>) {
    let instead = "balance by `RingHash` or `Maglev` on a cookie or header in a ServicePolicy's `balancing`";
    fields.unsupported("sessionPersistence", instead);
}

const fn mirrored(filter: &Filter) -> Option<&BackendRef> {
    match filter {
        Filter::Mirror(mirror) => Some(&mirror.backend),
        _ => None,
    }
}
