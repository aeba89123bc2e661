//! Policies of definitions, in and out.

use super::*;
use crate::policy::{Target, kind::QueueKind};

fn definitions(document: Value) -> Definitions {
    serde_json::from_value(document).unwrap()
}

fn document() -> Definitions {
    definitions(json!({
        "policies": [
            {"vhost": "/", "name": "ttl", "pattern": "^a", "apply-to": "classic_queues",
             "definition": {"message-ttl": 10}, "priority": 3},
            {"vhost": "/other", "name": "ttl", "pattern": "", "definition": {"message-ttl": 99}}
        ],
        "parameters": [
            {"vhost": "/", "component": "operator_policy", "name": "cap",
             "value": {"pattern": ".*", "apply-to": "queues", "definition": {"message-ttl": 5}, "priority": 0}},
            {"vhost": "/", "component": "shovel", "name": "s", "value": {}}
        ]
    }))
}

#[test]
fn each_vhost_gets_its_own() {
    let mut set = PolicySet::new();
    set.import("/", &document()).unwrap();
    let effective = set.effective(Target::Queue("a", QueueKind::Classic));
    assert_eq!((effective.name(), effective.operator_name()), (Some("ttl"), Some("cap")));
    assert_eq!(effective.definition().get("message-ttl"), Some(&json!(5)));
    assert_eq!(set.effective(Target::Queue("b", QueueKind::Classic)).name(), None);
}

#[test]
fn an_export_is_read_back() {
    let mut set = PolicySet::new();
    set.import("/", &document()).unwrap();
    let mut exported = Definitions::default();
    set.export("/", &mut exported);
    assert_eq!(exported.policies, document().policies[..1]);
    assert_eq!(exported.parameters, document().parameters[..1]);
    let mut again = PolicySet::new();
    again.import("/", &exported).unwrap();
    assert_eq!(again, set);
}

#[test]
fn one_bad_policy_refuses_all() {
    let bad = definitions(json!({"policies": [
        {"vhost": "/", "name": "good", "pattern": "", "definition": {"expires": 1}},
        {"vhost": "/", "name": "bad", "pattern": "", "definition": {"foo": "bar"}}
    ]}));
    let mut set = PolicySet::new();
    let error = set.import("/", &bad).unwrap_err().to_string();
    let text =
        "Validation failed\n\n[{<<\"foo\">>,<<\"bar\">>}] are not recognised policy settings\n (//bad)";
    assert_eq!(error, text);
    assert_eq!(set, PolicySet::new());
    let malformed = definitions(json!({"parameters": [
        {"vhost": "/", "component": "operator_policy", "name": "p", "value": []}
    ]}));
    assert!(matches!(set.import("/", &malformed), Err(TransferError::Malformed { .. })));
}
