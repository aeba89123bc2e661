//! Errors of configuration files read as a person needs them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Mesh {
    #[serde(default)]
    services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Service {
    replicas: u32,
    #[serde(default)]
    command: Vec<String>,
}

fn error(text: &str) -> String {
    from_str::<Mesh>(text, "weft.yaml").unwrap_err().to_string()
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    assert_eq!(
        error("services:\n  orders:\n    replicas: 1\n    replica: 3\n"),
        "weft.yaml:4:5: services.orders.replica: unknown field, expected `replicas` or `command`"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    assert_eq!(
        error("services:\n  orders:\n    replicas: many\n"),
        "weft.yaml:3:15: services.orders.replicas: invalid type: string \"many\", expected u32"
    );
    assert_eq!(
        error("services:\n  orders:\n    replicas: 1\n    command: [a, [b]]\n"),
        "weft.yaml:4:18: services.orders.command[1]: invalid type: sequence, expected a string"
    );
}

#[test]
fn a_missing_field_is_named() {
    let text = error("services:\n  orders:\n    command: [a]\n");
    assert_eq!(text, "weft.yaml:3:5: services.orders: missing field `replicas`");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let text = error("services:\n  a: {replicas: 1}\n  a: {replicas: 2}\n");
    assert!(text.starts_with("weft.yaml:") && text.contains("duplicate entry with key \"a\""), "{text}");
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    let text = error("services: [\n");
    assert!(text.starts_with("weft.yaml:"), "{text}");
}

#[test]
fn a_file_of_comments_gives_the_defaults() {
    let mesh: Mesh = from_str("# nothing yet\n\n", "weft.yaml").unwrap();
    assert_eq!(mesh, Mesh { services: BTreeMap::new() });
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load::<Mesh>(&dir.path().join("no.yaml")).unwrap_err();
    assert!(matches!(missing, ConfigError::Missing { .. }));
    assert!(missing.to_string().contains("give the path of an existing YAML file"));
    let folder = load::<Mesh>(dir.path()).unwrap_err();
    assert!(matches!(folder, ConfigError::Unreadable { .. }), "{folder}");
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.yaml");
    std::fs::write(&path, vec![b' '; usize::try_from(FILE_SIZE_MAX).unwrap() + 1]).unwrap();
    assert!(matches!(load::<Mesh>(&path), Err(ConfigError::TooLarge { .. })));
}

#[test]
fn deep_nesting_ends_in_an_error() {
    let deep = format!("services: {}", "[".repeat(2_000));
    assert!(from_str::<Mesh>(&deep, "deep.yaml").is_err());
}

#[test]
fn multiplying_aliases_end_in_an_error() {
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for n in 1..40 {
        bomb.push_str(&format!("a{n}: &a{n} [*a{m}, *a{m}]\n", m = n - 1));
    }
    assert!(from_str::<Mesh>(&bomb, "bomb.yaml").is_err());
}
