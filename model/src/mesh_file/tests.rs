//! What a `weft.yaml` may say, and what is answered when it says something else.

use super::*;

const GATEWAY: &str = r#"
name: gateway
services:
  api:
    command: [api, --listen, "127.0.0.1:$PORT"]
    protocol: http
    check: http:/healthz
    env: {WORKERS: 4, DEBUG: true, MODE: fast}
    upstreams: {accounts: 9001}
  accounts:
    command: [accounts]
    replicas: 3
    restart: on-failure
"#;

fn parse(yaml: &str) -> Result<MeshFile, Vec<String>> {
    let raw: RawMeshFile = serde_yaml::from_str(yaml).map_err(|error| vec![error.to_string()])?;
    MeshFile::try_from(raw).map_err(|error| error.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_whole_file_is_read() {
    let mesh = parse(GATEWAY).unwrap();
    assert_eq!(mesh.name().as_str(), "gateway");
    let [accounts, api] = mesh.services() else { panic!("two services, in the order of their names") };
    assert_eq!((accounts.replicas(), accounts.restart()), (3, Restart::OnFailure));
    assert_eq!((api.replicas(), api.protocol(), api.check()), (1, Protocol::Http, Some("http:/healthz")));
    assert_eq!(api.env().get("WORKERS").map(String::as_str), Some("4"));
    assert_eq!(api.env().get("DEBUG").map(String::as_str), Some("true"));
    let [upstream] = api.upstreams() else { panic!("one upstream") };
    assert_eq!((upstream.service().to_string().as_str(), upstream.port()), ("accounts.default", 9001));
    assert!(mesh.warnings().is_empty());
}

#[test]
fn every_error_is_reported_at_once_with_its_field() {
    let errors = parse(
        r#"
name: -bad
services:
  a_b: {command: [x]}
  one:
    command: []
    replicas: 0
    protocol: smtp
    check: ping
    env: {"A=B": x}
    restart: sometimes
  two: {command: [x], replicas: 2, upstreams: {one: 9001}}
resources: [" "]
"#,
    )
    .unwrap_err();
    let fields: Vec<_> = errors.iter().filter_map(|error| error.split(": ").next()).collect();
    assert_eq!(
        fields,
        [
            "name",
            "services.a_b",
            "services.one.command",
            "services.one.replicas",
            "services.one.protocol",
            "services.one.check",
            "services.one.env",
            "services.one.restart",
            "services.two.upstreams.one",
            "resources",
        ]
    );
}

#[test]
fn two_services_cannot_have_the_same_fixed_port() {
    let errors = parse("name: m\nservices:\n  a: {command: [x], upstreams: {b: 9001}}\n  b: {command: [x], upstreams: {a: 9001}}\n").unwrap_err();
    assert_eq!(
        errors,
        ["services.b.upstreams.a: port 9001 is taken by services.a.upstreams.b: give another, or 0"]
    );
}

#[test]
fn an_unknown_field_is_an_error() {
    let errors = parse("name: m\nservices: {a: {command: [x], replica: 2}}\n").unwrap_err();
    assert!(errors.iter().any(|error| error.contains("unknown field `replica`")), "{errors:?}");
}

#[test]
fn an_upstream_that_nobody_here_offers_is_a_warning() {
    let mesh = parse("name: m\nservices: {a: {command: [x], upstreams: {ordrs: 0}}}\n").unwrap();
    let warnings = mesh.warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].field, "services.a.upstreams.ordrs");
}

#[test]
fn restart_policies_look_at_the_exit() {
    assert!(Restart::Always.applies(true) && Restart::Always.applies(false));
    assert!(!Restart::OnFailure.applies(true) && Restart::OnFailure.applies(false));
    assert!(!Restart::Never.applies(false));
}

#[test]
fn a_protocol_that_nothing_carries_yet_is_refused() {
    let errors = parse("{name: m, services: {a: {command: [x], protocol: amqp}}}").unwrap_err();
    assert!(errors[0].starts_with("services.a.protocol: `amqp` comes with messaging"), "{errors:?}");
}
