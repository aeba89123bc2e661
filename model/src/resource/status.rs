//! The status of a resource: conditions for each parent or target, from the resource, the services that exist and
//! the other resources. It must not know sidecars: by how many it was applied is added when it is read.
//!
//! `Accepted` says whether it counts, `ResolvedRefs` whether all that it names is there. A service that is missing
//! is never an error; the condition mends when it registers.

use serde_json::{Value, json};

use super::{Kind, Resource, Spec, reference::Parent, route::RouteSpec};
use crate::{
    name::ServiceName,
    traffic::{BackendRef, PortRef, RateLimit},
};

#[cfg(test)]
mod tests;

/// Who says it, in `controllerName`.
pub const CONTROLLER: &str = "weft.dev/control-plane";

/// What is known beside the resource itself.
pub trait World {
    /// Whether any instance of a service is registered.
    fn exists(&self, service: &ServiceName) -> bool;
    /// Whether any instance of a service that exists has a port; who cannot tell says that it has.
    fn has_port(&self, service: &ServiceName, port: &PortRef) -> bool {
        let _ = (service, port);
        true
    }
    /// The other resources that name a service as parent or target.
    fn others(&self, service: &ServiceName) -> Vec<&Resource>;
}

/// One condition, as Kubernetes has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted` or `ResolvedRefs`.
    pub kind: &'static str,
    /// `True` or `False`.
    pub holds: bool,
    /// For machines; those of the Gateway API where it has one.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The conditions for one parent or target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// Which.
    pub parent: Parent,
    /// `Accepted`, then `ResolvedRefs`.
    pub conditions: [Condition; 2],
}

impl TargetStatus {
    /// Whether all is as its author wanted.
    pub fn is_good(&self) -> bool {
        self.conditions.iter().all(|condition| condition.holds)
    }
}

/// The conditions for each parent or target, in the order of the resource.
pub fn conditions(resource: &Resource, world: &impl World) -> Vec<TargetStatus> {
    let status = |parent: Parent, conditions| TargetStatus { parent, conditions };
    let target = |service: &ServiceName| Parent { service: service.clone(), port: None };
    match resource.spec() {
        Spec::Route(route) => {
            let for_parent = |parent: &Parent| {
                [route_accepted(resource, parent, world), route_resolved(route, parent, world)]
            };
            route.parents().iter().map(|parent| status(parent.clone(), for_parent(parent))).collect()
        }
        Spec::Policy(policy) => {
            let for_target =
                |service| [policy_accepted(resource, service, world), target_resolved(service, &[], world)];
            policy.targets().iter().map(|service| status(target(service), for_target(service))).collect()
        }
        Spec::RateLimit(policy) => {
            let for_target = |service| [accepted(""), target_resolved(service, policy.limits(), world)];
            policy.targets().iter().map(|service| status(target(service), for_target(service))).collect()
        }
    }
}

/// `status` as Kubernetes shows it: `parents` of a route, `ancestors` of a policy. `changed_at` is an RFC 3339 time.
pub fn to_json(resource: &Resource, statuses: &[TargetStatus], changed_at: &str) -> Value {
    let (list, reference) = match resource.spec() {
        Spec::Route(_) => ("parents", "parentRef"),
        Spec::Policy(_) | Spec::RateLimit(_) => ("ancestors", "ancestorRef"),
    };
    let generation = resource.metadata().generation;
    let condition = |condition: &Condition| {
        json!({
            "type": condition.kind,
            "status": if condition.holds { "True" } else { "False" },
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation,
            "lastTransitionTime": changed_at,
        })
    };
    let target = |status: &TargetStatus| {
        json!({
            reference: reference_json(&status.parent),
            "controllerName": CONTROLLER,
            "conditions": status.conditions.iter().map(condition).collect::<Vec<_>>(),
        })
    };
    json!({ list: statuses.iter().map(target).collect::<Vec<_>>() })
}

fn reference_json(parent: &Parent) -> Value {
    let service = &parent.service;
    let mut reference = json!({
        "group": "", "kind": "Service", "namespace": service.namespace.as_str(), "name": service.name.as_str(),
    });
    match (&parent.port, reference.as_object_mut()) {
        (Some(PortRef::Number(port)), Some(fields)) => fields.insert("port".into(), json!(port)),
        (Some(PortRef::Name(name)), Some(fields)) => fields.insert("sectionName".into(), json!(name)),
        (None, _) | (_, None) => None,
    };
    reference
}

/// Of a GRPCRoute and an HTTPRoute on one port only the GRPCRoute counts (GEP-1426), consumers' and producers' apart.
fn route_accepted(resource: &Resource, parent: &Parent, world: &impl World) -> Condition {
    let namespace = &resource.metadata().namespace;
    let for_whom = if *namespace == parent.service.namespace {
        String::new()
    } else {
        format!(
            "for callers in `{namespace}` alone, in place of the routes of `{}`",
            parent.service.namespace
        )
    };
    if resource.kind() == Kind::GrpcRoute {
        return accepted(&for_whom);
    }
    let rivals = world
        .others(&parent.service)
        .into_iter()
        .filter(|other| other.kind() == Kind::GrpcRoute && other.metadata().namespace == *namespace);
    let mut partly = None;
    for rival in rivals {
        for port in ports_of(rival, &parent.service) {
            let name = &rival.metadata().name;
            if port.is_none() || port == parent.port.as_ref() {
                let message = format!(
                    "GRPCRoute `{name}` is bound to the same service and port, where it alone counts: bind one of \
                     them to another port"
                );
                return Condition { kind: "Accepted", holds: false, reason: "Conflicted", message };
            }
            if parent.port.is_none() {
                partly = Some(format!("except on the port of GRPCRoute `{name}`, which alone counts there"));
            }
        }
    }
    accepted(&partly.unwrap_or(for_whom))
}

/// The ports that a route is bound to at one service; `None` = all of them.
fn ports_of<'r>(route: &'r Resource, service: &ServiceName) -> Vec<Option<&'r PortRef>> {
    match route.spec() {
        Spec::Route(route) => {
            let bound = route.parents().iter().filter(|parent| parent.service == *service);
            bound.map(|parent| parent.port.as_ref()).collect()
        }
        Spec::Policy(_) | Spec::RateLimit(_) => Vec::new(),
    }
}

fn route_resolved(route: &RouteSpec, parent: &Parent, world: &impl World) -> Condition {
    let missing: Vec<String> = route
        .backends()
        .into_iter()
        .filter(|service| !world.exists(service))
        .map(|service| format!("`{service}`"))
        .collect();
    if !missing.is_empty() {
        let what = if missing.len() == 1 { "backend" } else { "backends" };
        let message = format!(
            "{what} {} not registered: their share of the requests is answered with 500 until one is",
            missing.join(", ")
        );
        return unresolved("BackendNotFound", message);
    }
    let has_port =
        |target: &&BackendRef| target.port.as_ref().is_none_or(|port| world.has_port(&target.service, port));
    if let Some(target) = route.backend_refs().find(|target| !has_port(target)) {
        let port = target.port.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "no instance of backend `{}` has the port {port}: leave it out, or register one",
            target.service
        );
        return unresolved("BackendNotFound", message);
    }
    if !world.exists(&parent.service) {
        let message = format!("parent `{}` is not registered: nobody can call it yet", parent.service);
        return unresolved("NoMatchingParent", message);
    }
    if let Some(port) = parent.port.as_ref().filter(|port| !world.has_port(&parent.service, port)) {
        let message = format!("no instance of parent `{}` has the port {port}", parent.service);
        return unresolved("NoMatchingParent", message);
    }
    resolved()
}

/// Of several ServicePolicies of one service the oldest counts.
fn policy_accepted(resource: &Resource, service: &ServiceName, world: &impl World) -> Condition {
    let older = world
        .others(service)
        .into_iter()
        .filter(|other| other.kind() == Kind::ServicePolicy && other.origin() < resource.origin())
        .min_by_key(|other| other.origin());
    older.map_or_else(
        || accepted(""),
        |older| {
            let name = &older.metadata().name;
            let message = format!(
                "ServicePolicy `{name}` is older and about `{service}` too: put all of it into one of them"
            );
            Condition { kind: "Accepted", holds: false, reason: "Conflicted", message }
        },
    )
}

fn target_resolved(service: &ServiceName, limits: &[RateLimit], world: &impl World) -> Condition {
    if !world.exists(service) {
        return unresolved(
            "TargetNotFound",
            format!("`{service}` is not registered: nobody can call it yet"),
        );
    }
    let routes = world.others(service);
    let has_rule = |name: &str| routes.iter().any(|route| names_rule(route, name));
    match limits.iter().filter_map(|limit| limit.route.as_deref()).find(|name| !has_rule(name)) {
        Some(name) => unresolved(
            "RuleNotFound",
            format!(
                "no route of `{service}` has a rule `{name}`: the limit on it counts nothing until one has"
            ),
        ),
        None => resolved(),
    }
}

/// Whether a route has a rule of this name, or `<route>/<index>` for one without.
fn names_rule(route: &Resource, name: &str) -> bool {
    let Spec::Route(spec) = route.spec() else { return false };
    spec.rules().iter().enumerate().any(|(index, rule)| {
        if rule.name.is_empty() {
            name == format!("{}/{index}", route.metadata().name)
        } else {
            *rule.name == *name
        }
    })
}

fn accepted(message: &str) -> Condition {
    Condition { kind: "Accepted", holds: true, reason: "Accepted", message: message.into() }
}

const fn resolved() -> Condition {
    Condition { kind: "ResolvedRefs", holds: true, reason: "ResolvedRefs", message: String::new() }
}

const fn unresolved(reason: &'static str, message: String) -> Condition {
    Condition { kind: "ResolvedRefs", holds: false, reason, message }
}
