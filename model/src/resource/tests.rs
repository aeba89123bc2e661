//! What good resources become; what is said of bad ones stands in `model/tests/bad_resources`.

use std::time::Duration;

use super::*;
use crate::traffic::{
    Backend, BackendRef, Filter, GrpcMethod, HeaderEdit, Match, Mirror, PathEdit, PathMatch, PortRef,
    Redirect, Rewrite, Route, Rule, RuleRetry, ValueMatch, ValuePattern,
};

mod gateway_api;
mod hostile;
mod policies;

fn resource(yaml: &str) -> Resource {
    let value: Value = serde_yaml::from_str(yaml).expect("YAML");
    parse(&value).unwrap_or_else(|errors| panic!("{errors}"))
}

fn service(text: &str) -> ServiceName {
    text.parse().expect("a service name")
}

/// The only rule of a route with a head around it.
fn rule(yaml: &str) -> Rule {
    rule_of("HTTPRoute", yaml)
}

fn rule_of(kind: &str, yaml: &str) -> Rule {
    let indented: String = yaml.trim().lines().map(|line| format!("    {line}\n")).collect();
    let head = "spec:\n  parentRefs: [{group: '', kind: Service, name: orders}]\n  rules:\n  -\n";
    let kind = format!("apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r}}\n");
    let Spec::Route(route) = resource(&format!("{kind}{head}{indented}")).spec().clone() else {
        panic!("a route")
    };
    assert_eq!(route.rules().len(), 1);
    route.rules()[0].clone()
}

fn exact(name: &str, value: &str) -> ValueMatch {
    ValueMatch { name: name.into(), value: ValuePattern::Exact(value.into()) }
}

fn backend(name: &str, port: Option<u16>) -> BackendRef {
    BackendRef { service: service(name), port: port.map(PortRef::Number) }
}

#[test]
fn a_route_becomes_an_item_a_parent() {
    let route = resource(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: orders.canary
  namespace: shop
  labels: {app: orders, example.com/team: ''}
  annotations: {note: anything at all}
  uid: 0b9f
  generation: 3
  resourceVersion: '77'
  creationTimestamp: 2026-11-22T15:52:00Z
spec:
  parentRefs:
  - {group: '', kind: Service, name: orders, port: 8080}
  - {kind: Service, name: orders, sectionName: admin}
  - {group: core, kind: Service, name: bills, namespace: money}
status: {anything: at all}
",
    );
    let origin = Origin {
        created_ms: 1_795_362_720_000,
        namespace: "shop".into(),
        name: "orders.canary".into(),
        kind: "HTTPRoute".into(),
        generation: 3,
    };
    let said = |ports| Said::Route(Route { ports, rules: vec![Rule::default()] });
    let ports = vec![PortRef::Number(8080), PortRef::Name("admin".into())];
    assert_eq!(
        route.items(),
        [
            (service("orders.shop"), Item { origin: origin.clone(), spec: said(ports) }),
            (service("bills.money"), Item { origin, spec: said(vec![]) }),
        ]
    );
    assert_eq!(route.targets(), [service("orders.shop"), service("bills.money")]);
    assert_eq!(route.metadata().resource_version.as_deref(), Some("77"));
}

#[test]
fn a_match_may_name_path_method_headers_and_parameters() {
    let rule = rule(
        "
name: canary
matches:
- path: {type: Exact, value: /a}
  method: GET
  headers: [{name: X-Version, value: v2}, {name: host, type: RegularExpression, value: 'o.*'}]
  queryParams: [{name: Page, value: '1'}]
- path: {value: /b/}
- path: {type: PathPrefix, value: /}
- path: {type: RegularExpression, value: '/c/[0-9]+'}
- {}
",
    );
    assert_eq!(&*rule.name, "canary");
    let regex = ValueMatch { name: "host".into(), value: ValuePattern::Regex("o.*".into()) };
    let path = |path| Match { path: Some(path), ..Match::default() };
    assert_eq!(
        rule.matches,
        [
            Match {
                path: Some(PathMatch::Exact("/a".into())),
                method: Some("GET".into()),
                headers: vec![exact("x-version", "v2"), regex],
                query: vec![exact("Page", "1")],
            },
            path(PathMatch::Prefix("/b".into())),
            Match::default(),
            path(PathMatch::Regex("/c/[0-9]+".into())),
            Match::default(),
        ]
    );
}

#[test]
fn filters_keep_their_order() {
    let rule = rule(
        "
matches: [{path: {value: /old}}]
filters:
- type: RequestHeaderModifier
  requestHeaderModifier:
    set: [{name: X-A, value: '1'}]
    add: [{name: x-b, value: '2, 3'}]
    remove: [X-C]
- type: URLRewrite
  urlRewrite: {hostname: inner.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}
- type: RequestMirror
  requestMirror: {backendRef: {name: shadow, port: 80}, percent: 5}
- type: RequestMirror
  requestMirror: {backendRef: {name: shadow}, fraction: {numerator: 1, denominator: 1000}}
- type: RequestMirror
  requestMirror: {backendRef: {name: shadow}}
- type: ResponseHeaderModifier
  responseHeaderModifier: {remove: [server]}
",
    );
    let request = HeaderEdit {
        set: vec![("x-a".into(), "1".into())],
        add: vec![("x-b".into(), "2, 3".into())],
        remove: vec!["x-c".into()],
    };
    let response = HeaderEdit { remove: vec!["server".into()], ..HeaderEdit::default() };
    let rewrite = Rewrite { host: Some("inner.example.com".into()), path: Some(PathEdit::Prefix("".into())) };
    let mirror = |port, fraction| Filter::Mirror(Mirror { backend: backend("shadow", port), fraction });
    assert_eq!(
        rule.filters,
        [
            Filter::RequestHeaders(request),
            Filter::Rewrite(rewrite),
            mirror(Some(80), (5, 100)),
            mirror(None, (1, 1_000)),
            mirror(None, (100, 100)),
            Filter::ResponseHeaders(response),
        ]
    );
}

#[test]
fn a_redirect_says_only_what_changes() {
    let rule = rule(
        "
filters:
- type: RequestRedirect
  requestRedirect: {scheme: https, path: {type: ReplaceFullPath, replaceFullPath: /new}, statusCode: 308}
",
    );
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        path: Some(PathEdit::Full("/new".into())),
        port: None,
        status: 308,
    };
    assert_eq!(rule.filters, [Filter::Redirect(redirect)]);
}

#[test]
fn backends_have_weights_and_filters_of_their_own() {
    let rule = rule(
        "
backendRefs:
- {name: orders, port: 80}
- name: orders-v2
  group: ''
  kind: Service
  weight: 0
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-v, value: '2'}]}}]
timeouts: {request: 10s, backendRequest: 2s500ms}
",
    );
    let edit = HeaderEdit { set: vec![("x-v".into(), "2".into())], ..HeaderEdit::default() };
    assert_eq!(
        rule.backends,
        [
            Backend { target: backend("orders", Some(80)), weight: 1, filters: vec![] },
            Backend {
                target: backend("orders-v2", None),
                weight: 0,
                filters: vec![Filter::RequestHeaders(edit)]
            },
        ]
    );
    assert_eq!(rule.request_timeout, Some(Some(Duration::from_secs(10))));
    assert_eq!(rule.backend_timeout, Some(Some(Duration::from_millis(2_500))));
}

#[test]
fn a_timeout_of_zero_is_never() {
    let rule = rule(
        "timeouts: {request: 0s, backendRequest: 5s}\nretry: {codes: [503, 429], attempts: 0, backoff: 10ms}",
    );
    assert_eq!(rule.request_timeout, Some(None));
    assert_eq!(rule.backend_timeout, Some(Some(Duration::from_secs(5))));
    let retry =
        RuleRetry { statuses: vec![503, 429], attempts: Some(0), backoff: Some(Duration::from_millis(10)) };
    assert_eq!(rule.retry, Some(retry));
}

#[test]
fn a_grpc_match_names_service_and_method() {
    let rule = rule_of(
        "GRPCRoute",
        "
matches:
- method: {service: shop.v1.Orders, method: Get}
  headers: [{name: x-v, value: '2'}]
- method: {type: RegularExpression, service: 'shop[.].*'}
- method: {service: '', method: List}
- headers: [{name: x-v, value: '3'}]
backendRefs: [{name: orders-v2, port: 50051}]
",
    );
    let exactly = |text: &str| Some(ValuePattern::Exact(text.into()));
    let grpc = |service, method| Some(PathMatch::Grpc(GrpcMethod { service, method }));
    let regex = Some(ValuePattern::Regex("shop[.].*".into()));
    let found: Vec<_> = rule.matches.into_iter().map(|m| (m.path, m.headers)).collect();
    assert_eq!(
        found,
        [
            (grpc(exactly("shop.v1.Orders"), exactly("Get")), vec![exact("x-v", "2")]),
            (grpc(regex, None), vec![]),
            (grpc(None, exactly("List")), vec![]),
            (grpc(None, None), vec![exact("x-v", "3")]),
        ]
    );
}

#[test]
fn a_grpc_rule_without_matches_takes_every_call_but_no_other_request() {
    let rule = rule_of("GRPCRoute", "backendRefs: [{name: orders}]");
    assert_eq!(rule.matches.len(), 1);
    assert_eq!(rule.matches[0].path, Some(PathMatch::Grpc(GrpcMethod::default())));
}

#[test]
fn what_is_more_often_a_slip_is_a_warning() {
    let yaml = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  hostnames: ['*.example.com']
  parentRefs: [{group: '', kind: Service, name: orders}]
  rules:
  - backendRefs: [{name: orders, weight: 0}, {name: v2}]
  - backendRefs: [{name: orders, weight: 0}]
";
    let warned: Vec<String> = resource(yaml).warnings().into_iter().map(|warning| warning.path).collect();
    assert_eq!(warned, ["spec.hostnames", "spec.rules[1].backendRefs"]);
}
