//! References to services: a route's parents, its backends, a policy's targets. Whether a service exists is no
//! question here: it is a status.

use super::{
    decode::{Fields, Node},
    error::{Reason, clip},
    value,
};
use crate::{
    name::{Label, ServiceName},
    traffic::{BackendRef, PortRef},
};

/// Parents of a route, at most (the Gateway API's).
const PARENTS_MAX: usize = 32;
/// Targets of a policy, at most.
const TARGETS_MAX: usize = 16;
/// The group of a Service.
const CORE: &str = "";

/// What a route is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The service whose calls it routes.
    pub service: ServiceName,
    /// Only calls to this port.
    pub port: Option<PortRef>,
}

/// What the references of a route are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'s> {
    /// The namespace of the route.
    pub(super) namespace: &'s Label,
    /// Its parents.
    pub(super) parents: &'s [Parent],
}

/// `parentRefs`: at least one service, each once.
pub(super) fn parents(fields: &mut Fields<'_>, namespace: &Label) -> Vec<Parent> {
    let mut parents: Vec<Parent> = Vec::new();
    let mut count = 0;
    let read = |node: &Node<'_>| {
        count += 1;
        let parent = parent(node, namespace)?;
        let overlaps = |other: &Parent| {
            other.service == parent.service
                && (other.port.is_none() || parent.port.is_none() || other.port == parent.port)
        };
        if parents.iter().any(overlaps) {
            let advice = "name it once, or each time with another `port`";
            node.fail(Reason::Duplicate, format!("`{}` is a parent already: {advice}", parent.service));
        }
        parents.push(parent);
        Some(())
    };
    fields.list("parentRefs", PARENTS_MAX, read);
    if count == 0 && !fields.failed("parentRefs") {
        let example =
            "name the service whose calls are routed, as in `- {group: \"\", kind: Service, name: orders}`";
        fields.fail("parentRefs", Reason::Required, format!("is empty: {example}"));
    }
    parents
}

fn parent(node: &Node<'_>, own: &Label) -> Option<Parent> {
    node.object(|fields| {
        let is_service =
            is_service(fields, "write `group: \"\"` and `kind: Service`: Weft routes calls to services");
        if !fields.has("kind") {
            let message = "is missing, so it means a Gateway: write `kind: Service`";
            fields.fail("kind", Reason::Required, message);
        }
        let name = fields.required("name", value::service);
        let namespace = fields.get("namespace").map_or_else(|| Some(own.clone()), |node| value::label(&node));
        let number = fields.optional("port", value::port).map(PortRef::Number);
        let section = fields.optional("sectionName", value::subdomain).map(|name| PortRef::Name(name.into()));
        if number.is_some() && section.is_some() {
            let message = "names a port, and so does `port`: give one of them";
            fields.fail("sectionName", Reason::Forbidden, message);
        }
        let service = ServiceName { name: name?, namespace: namespace? };
        is_service.then_some(Parent { service, port: number.or(section) })
    })
}

/// The fields of a backend that name it; the caller reads the rest of the object.
pub(super) fn backend(fields: &mut Fields<'_>, scope: Scope<'_>) -> Option<BackendRef> {
    let is_service = is_service(fields, "leave `group` and `kind` out: a backend is a Service");
    let name = fields.required("name", value::service);
    let namespace =
        fields.get("namespace").map_or_else(|| Some(scope.namespace.clone()), |node| value::label(&node));
    let port = fields.optional("port", value::port).map(PortRef::Number);
    let service = ServiceName { name: name?, namespace: namespace? };
    let is_parent = scope.parents.iter().any(|parent| parent.service == service);
    if service.namespace != *scope.namespace && !is_parent {
        let message = format!(
            "`{service}` is in another namespace than the route (`{}`), which only a ReferenceGrant could allow and \
             Weft has none: register the backend in `{}`, or make it a parent of this route",
            scope.namespace, scope.namespace,
        );
        fields.fail("namespace", Reason::Forbidden, message);
    }
    is_service.then_some(BackendRef { service, port })
}

/// `targetRefs`: at least one service of the policy's own namespace, each once.
pub(super) fn targets(fields: &mut Fields<'_>, namespace: &Label) -> Vec<ServiceName> {
    let mut targets = Vec::new();
    let mut count = 0;
    let read = |node: &Node<'_>| {
        count += 1;
        let service = target(node, namespace)?;
        let message = format!("`{service}` is a target already: name it once");
        value::is_new(&mut targets, service, node, &message).then_some(())
    };
    fields.list("targetRefs", TARGETS_MAX, read);
    if count == 0 && !fields.failed("targetRefs") {
        let example = "name the service it is about, as in `- {kind: Service, name: orders}`";
        fields.fail("targetRefs", Reason::Required, format!("is empty: {example}"));
    }
    targets
}

fn target(node: &Node<'_>, namespace: &Label) -> Option<ServiceName> {
    node.object(|fields| {
        let is_service = is_service(fields, "write `kind: Service`: a policy is about a service");
        if !fields.has("kind") {
            fields.fail("kind", Reason::Required, "is missing: write `kind: Service`");
        }
        let name = fields.required("name", value::service);
        fields.refuse(
            "namespace",
            "is always the policy's own: leave it out, and make the policy in that namespace",
        );
        fields.refuse("sectionName", "is no field here: leave it out, a policy is about the whole service");
        is_service.then_some(ServiceName { name: name?, namespace: namespace.clone() })
    })
}

/// Whether `group` and `kind`, where given, mean a Service.
fn is_service(fields: &mut Fields<'_>, advice: &str) -> bool {
    let mut is_service = true;
    // `core` is what Linkerd's documents write for the group that Kubernetes calls "".
    for (field, words) in [("group", [CORE, "core"]), ("kind", ["Service", "Service"])] {
        let Some(text) = fields.optional(field, |node| node.text()) else { continue };
        if !words.contains(&text) {
            let message = format!("`{}` is not known here: {advice}", clip(text));
            fields.fail(field, Reason::NotSupported, message);
            is_service = false;
        }
    }
    is_service
}
