//! Conditions over an invented world of services and resources.

use super::*;
use crate::resource::parse;

/// Services that exist, and every resource.
struct Known {
    services: Vec<&'static str>,
    resources: Vec<Resource>,
}

impl World for Known {
    fn exists(&self, service: &ServiceName) -> bool {
        self.services.contains(&service.to_string().as_str())
    }

    fn has_port(&self, _: &ServiceName, port: &PortRef) -> bool {
        *port != PortRef::Number(9)
    }

    fn others(&self, service: &ServiceName) -> Vec<&Resource> {
        self.resources.iter().filter(|resource| resource.targets().contains(service)).collect()
    }
}

fn resource(yaml: &str) -> Resource {
    let value: Value = serde_yaml::from_str(yaml).expect("YAML");
    parse(&value).unwrap_or_else(|errors| panic!("{errors}"))
}

fn route(kind: &str, name: &str, parent: &str, rules: &str) -> Resource {
    resource(&format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{parentRefs: \
         [{{kind: Service, {parent}}}], rules: [{rules}]}}}}"
    ))
}

fn policy(name: &str, made: &str) -> Resource {
    resource(&format!(
        "{{apiVersion: weft.dev/v1alpha1, kind: ServicePolicy, metadata: {{name: {name}, creationTimestamp: \
         '{made}'}}, spec: {{targetRefs: [{{kind: Service, name: orders}}]}}}}"
    ))
}

/// `Accepted/reason: message` and `ResolvedRefs/reason: message` of the first parent.
fn told(resource: &Resource, services: &[&'static str], others: &[Resource]) -> [String; 2] {
    let world = Known { services: services.to_vec(), resources: others.to_vec() };
    let statuses = conditions(resource, &world);
    statuses[0].conditions.clone().map(|condition| {
        assert_eq!(condition.holds, condition.reason == condition.kind);
        format!("{}: {}", condition.reason, condition.message).trim_end_matches(": ").to_owned()
    })
}

#[test]
fn a_route_is_good_when_all_that_it_names_is_there() {
    let split =
        route("HTTPRoute", "r", "name: orders", "{backendRefs: [{name: orders}, {name: v2}, {name: v3}]}");
    assert_eq!(
        told(&split, &["orders.default"], &[]),
        [
            "Accepted",
            "BackendNotFound: backends `v2.default`, `v3.default` not registered: their share of the requests is \
             answered with 500 until one is"
        ]
    );
    assert_eq!(
        told(&split, &["v2.default", "v3.default", "orders.default"], &[]),
        ["Accepted", "ResolvedRefs"]
    );
}

#[test]
fn a_mirrors_backend_and_a_parent_may_be_missing_too() {
    let mirror = "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: shadow}}}], backendRefs: [{name: v2}]}";
    let mirror = route("HTTPRoute", "r", "name: orders", mirror);
    let [_, resolved] = told(&mirror, &["v2.default", "orders.default"], &[]);
    assert!(resolved.starts_with("BackendNotFound: backend `shadow.default` not registered"), "{resolved}");
    assert_eq!(
        told(&mirror, &["v2.default", "shadow.default"], &[])[1],
        "NoMatchingParent: parent `orders.default` is not registered: nobody can call it yet"
    );
}

#[test]
fn a_port_that_no_instance_has_is_told() {
    let services = ["orders.default", "v2.default"];
    let backend =
        route("HTTPRoute", "r", "name: orders", "{backendRefs: [{name: v2, port: 80}, {name: v2, port: 9}]}");
    assert_eq!(
        told(&backend, &services, &[])[1],
        "BackendNotFound: no instance of backend `v2.default` has the port 9: leave it out, or register one"
    );
    let parent = route("HTTPRoute", "r", "name: orders, port: 9", "{}");
    assert_eq!(
        told(&parent, &services, &[])[1],
        "NoMatchingParent: no instance of parent `orders.default` has the port 9"
    );
}

#[test]
fn a_grpc_route_takes_the_port_from_an_http_route() {
    let services = ["orders.default"];
    let http = route("HTTPRoute", "h", "name: orders", "{}");
    let on_80 = route("HTTPRoute", "h", "name: orders, port: 80", "{}");
    let grpc_everywhere = [route("GRPCRoute", "g", "name: orders", "{}")];
    let grpc_on_80 = [route("GRPCRoute", "g", "name: orders, port: 80", "{}")];
    let conflict = "Conflicted: GRPCRoute `g` is bound to the same service and port, where it alone counts: bind one \
                    of them to another port";
    assert_eq!(told(&http, &services, &grpc_everywhere)[0], conflict);
    assert_eq!(told(&on_80, &services, &grpc_on_80)[0], conflict);
    assert_eq!(
        told(&http, &services, &grpc_on_80)[0],
        "Accepted: except on the port of GRPCRoute `g`, which alone counts there"
    );
    assert_eq!(told(&grpc_everywhere[0], &services, &[http])[0], "Accepted");
}

#[test]
fn of_two_policies_the_older_counts() {
    let older = policy("z", "2026-11-22T15:52:00Z");
    let newer = policy("a", "2026-11-22T15:53:00Z");
    let all = [newer.clone(), older.clone()];
    assert_eq!(told(&older, &["orders.default"], &all), ["Accepted", "ResolvedRefs"]);
    assert_eq!(
        told(&newer, &[], &all),
        [
            "Conflicted: ServicePolicy `z` is older and about `orders.default` too: put all of it into one of them",
            "TargetNotFound: `orders.default` is not registered: nobody can call it yet"
        ]
    );
}

#[test]
fn a_limit_on_a_rule_that_no_route_has_is_told() {
    let limit = |rule: &str| {
        resource(&format!(
            "{{apiVersion: weft.dev/v1alpha1, kind: RateLimitPolicy, metadata: {{name: l}}, spec: {{targetRefs: \
             [{{kind: Service, name: orders}}], limits: [{{rule: {rule}, requests: 5, per: 1s}}]}}}}"
        ))
    };
    let routes = [route("HTTPRoute", "r", "name: orders", "{name: canary}, {}")];
    for (rule, reason) in
        [("canary", "ResolvedRefs"), ("r/1", "ResolvedRefs"), ("r/0", "RuleNotFound"), ("x", "RuleNotFound")]
    {
        let [_, resolved] = told(&limit(rule), &["orders.default"], &routes);
        assert!(resolved.starts_with(reason), "{rule}: {resolved}");
    }
}

#[test]
fn the_json_is_kubernetes_own() {
    let consumer = route("HTTPRoute", "r", "name: orders, namespace: shop, port: 80", "{}");
    let world = Known { services: vec!["orders.shop"], resources: vec![] };
    let status = to_json(&consumer, &conditions(&consumer, &world), "2026-11-22T15:52:00Z");
    let condition = |kind: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": kind, "message": message, "observedGeneration": 0,
            "lastTransitionTime": "2026-11-22T15:52:00Z",
        })
    };
    let message = "for callers in `default` alone, in place of the routes of `shop`";
    assert_eq!(
        status,
        json!({"parents": [{
            "parentRef": {"group": "", "kind": "Service", "namespace": "shop", "name": "orders", "port": 80},
            "controllerName": CONTROLLER,
            "conditions": [condition("Accepted", message), condition("ResolvedRefs", "")],
        }]})
    );
    let policy = policy("p", "2026-11-22T15:52:00Z");
    let status = to_json(&policy, &conditions(&policy, &world), "t");
    assert_eq!(status["ancestors"][0]["ancestorRef"]["name"], "orders");
}
