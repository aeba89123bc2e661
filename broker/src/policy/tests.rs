//! Which policy holds, what it may set, and how an operator's meets a user's.

use proptest::prelude::*;
use serde_json::json;

use super::{definition::Unknown, *};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn policy(name: &str, pattern: &str, apply_to: &str, priority: i64, definition: &Value) -> Policy {
    let apply_to = ApplyTo::parse(apply_to).unwrap();
    Policy::new(Level::User, name, pattern, apply_to, priority, map(definition)).unwrap()
}

fn refused(level: Level, definition: &Value) -> String {
    Policy::new(level, "p", ".*", ApplyTo::All, 0, map(definition)).unwrap_err().to_string()
}

#[test]
fn the_highest_priority_that_matches_holds() {
    let mut set = PolicySet::new();
    let ttl = |ms| json!({ "message-ttl": ms });
    for (name, pattern, apply_to, priority) in [
        ("all", ".*", "all", 0),
        ("orders", "^orders", "queues", 5),
        ("exchanges", "^orders", "exchanges", 9),
        ("streams", "^orders", "streams", 10),
        ("others", "^bills", "queues", 99),
    ] {
        set.put(Level::User, policy(name, pattern, apply_to, priority, &ttl(priority))).unwrap();
    }
    let name = |target| set.effective(target).name().map(str::to_owned);
    assert_eq!(name(Target::Queue("orders.eu", QueueKind::Classic)).as_deref(), Some("orders"));
    assert_eq!(name(Target::Exchange("orders.eu")).as_deref(), Some("exchanges"));
    assert_eq!(name(Target::Queue("x", QueueKind::Quorum)).as_deref(), Some("all"));
    assert_eq!(name(Target::Queue("orders.eu", QueueKind::Stream)), None, "streams know no message-ttl");
    assert!(set.delete(Level::User, "all") && !set.delete(Level::User, "all"));
    assert_eq!(set.effective(Target::Exchange("x")), Effective::default());
}

#[test]
fn a_policy_with_a_key_that_the_type_lacks_is_passed_over_whole() {
    let mut set = PolicySet::new();
    let limits = json!({"max-length": 10, "delivery-limit": 3});
    set.put(Level::User, policy("limits", ".*", "queues", 0, &limits)).unwrap();
    assert_eq!(set.effective(Target::Queue("q", QueueKind::Quorum)).name(), Some("limits"));
    assert_eq!(set.effective(Target::Queue("q", QueueKind::Classic)).name(), None);
}

#[test]
fn an_operator_only_ever_lowers() {
    let mut set = PolicySet::new();
    let of_user =
        json!({"max-length": 100, "message-ttl": 5, "delivery-limit": -1, "overflow": "reject-publish"});
    set.put(Level::User, policy("u", ".*", "all", 0, &of_user)).unwrap();
    let of_operator = json!({"max-length": 10, "message-ttl": 50, "delivery-limit": 7, "expires": 1000});
    let operator = Policy::new(Level::Operator, "o", ".*", ApplyTo::Queues, 0, map(&of_operator)).unwrap();
    set.put(Level::Operator, operator).unwrap();
    let effective = set.effective(Target::Queue("q", QueueKind::Quorum));
    assert_eq!((effective.name(), effective.operator_name()), (Some("u"), Some("o")));
    let merged = json!({
        "max-length": 10, "message-ttl": 5, "delivery-limit": 7, "overflow": "reject-publish", "expires": 1000
    });
    assert_eq!(Value::Object(effective.definition()), merged);
    assert_eq!(set.effective(Target::Exchange("x")).operator_name(), None);
}

#[test]
fn an_alternate_exchange_comes_from_the_policy_of_users() {
    let mut set = PolicySet::new();
    set.put(Level::User, policy("ae", "^x", "exchanges", 0, &json!({"alternate-exchange": "spill"})))
        .unwrap();
    assert_eq!(set.effective(Target::Exchange("x1")).alternate_exchange(), Some("spill"));
    assert_eq!(set.effective(Target::Exchange("y")).alternate_exchange(), None);
}

#[test]
fn unknown_keys_are_refused_in_the_words_of_rabbitmq() {
    let text = refused(Level::User, &json!({"queue-type": "quorum", "max-length": 1, "foo": {"a": [1]}}));
    let shown = "[{<<\"foo\">>,#{<<\"a\">> => [1]}},{<<\"queue-type\">>,<<\"quorum\">>}]";
    assert_eq!(text, format!("{shown} are not recognised policy settings"));
    assert_eq!(refused(Level::User, &json!({})), "no policy provided");
    let keys = Unknown(vec![("foo".to_owned(), json!("bar"))]);
    let error = PolicyError::from(DefinitionError::Keys { keys });
    let reason = "Validation failed\n\n[{<<\"foo\">>,<<\"bar\">>}] are not recognised policy settings\n";
    assert_eq!(error.reason(), reason);
}

#[test]
fn operators_have_fewer_keys() {
    let text = refused(Level::Operator, &json!({"dead-letter-exchange": "x"}));
    assert_eq!(text, "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings");
}

#[test]
fn values_are_refused_in_the_words_of_rabbitmq() {
    let cases = [
        (json!({"message-ttl": -1}), "-1 is not a valid message TTL"),
        (json!({"message-ttl": "1"}), "<<\"1\">> is not a valid message TTL"),
        (json!({"expires": 0}), "0 is not a valid queue expiry"),
        (json!({"max-length": 1.5}), "1.5 is not a valid maximum length"),
        (json!({"max-length-bytes": null}), "null is not a valid maximum length in bytes"),
        (json!({"overflow": "drop-tail"}), "<<\"drop-tail\">> is not a valid overflow value"),
        (json!({"alternate-exchange": 1}), "1 is not a valid alternate exchange name"),
        (json!({"dead-letter-exchange": true}), "true is not a valid dead letter exchange name"),
        (json!({"max-age": "7"}), "<<\"7\">> is not a valid max age"),
        (json!({"queue-mode": "eager"}), "<<\"eager\">> is not a valid queue-mode value"),
        (json!({"foo": 1, "expires": []}), "[] is not a valid queue expiry"),
    ];
    for (definition, text) in cases {
        assert_eq!(refused(Level::User, &definition), text);
    }
}

#[test]
fn keys_of_mirrors_and_federation_are_taken() {
    let definition = json!({"ha-mode": "all", "ha-params": 2, "federation-upstream-set": "all"});
    let taken = policy("ha", "^(?!amq\\.).*", "all", 0, &definition);
    assert!(taken.matches(Target::Queue("q", QueueKind::Classic)));
    assert!(!taken.matches(Target::Queue("amq.gen-1", QueueKind::Classic)));
    assert!(!taken.matches(Target::Queue("q", QueueKind::Quorum)));
}

#[test]
fn names_patterns_and_targets_are_checked() {
    let new = |name: &str, pattern: &str| {
        Policy::new(Level::User, name, pattern, ApplyTo::All, 0, map(&json!({"expires": 1})))
    };
    assert_eq!(new("", ".*"), Err(PolicyError::Name));
    assert_eq!(new(&"n".repeat(256), ".*"), Err(PolicyError::Name));
    let text = new("p", "(").unwrap_err().to_string();
    assert!(text.starts_with("p should be regular expression but is invalid: "), "{text}");
    for name in ["all", "queues", "exchanges", "classic_queues", "quorum_queues", "streams"] {
        assert_eq!(ApplyTo::parse(name).unwrap().as_str(), name);
    }
    let text = ApplyTo::parse("topics").unwrap_err().to_string();
    assert!(text.starts_with("apply-to 'topics' unrecognised; should be one of:"), "{text}");
}

#[test]
fn a_set_has_a_limit() {
    let mut set = PolicySet::new();
    let expires = json!({"expires": 1});
    for number in 0..POLICIES_MAX {
        set.put(Level::User, policy(&number.to_string(), "a", "all", 0, &expires)).unwrap();
    }
    let more = policy("more", "a", "all", 0, &expires);
    assert_eq!(set.put(Level::User, more), Err(PolicyError::TooMany));
    assert_eq!(set.put(Level::User, policy("7", "b", "all", 0, &expires)), Ok(()));
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, &'static str, &'static str, i64),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pattern = prop::sample::select(vec![".*", "^a", "b$", "ab", "^$", "^[^b]"]);
    let apply_to = prop::sample::select(vec!["all", "queues", "exchanges", "classic_queues", "streams"]);
    let put = (0_u8..8, pattern, apply_to, -2_i64..3).prop_map(|(n, p, a, r)| Step::Put(n, p, a, r));
    prop::collection::vec(prop_oneof![4 => put, 1 => (0_u8..8).prop_map(Step::Delete)], 0..24)
}

/// The rule in one sentence: of those that match, the highest priority; of these, the first name.
fn naive<'a>(policies: &'a BTreeMap<String, Policy>, target: Target<'_>) -> Option<&'a str> {
    let mut best: Option<&Policy> = None;
    for policy in policies.values() {
        if policy.matches(target) && best.is_none_or(|best| policy.priority > best.priority) {
            best = Some(policy);
        }
    }
    best.map(|policy| &*policy.name)
}

proptest! {
    #[test]
    fn selection_is_what_the_rule_says(steps in steps(), names in prop::collection::vec("[ab]{0,3}", 1..4)) {
        let (mut set, mut model) = (PolicySet::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Put(number, pattern, apply_to, priority) => {
                    let new = policy(&number.to_string(), pattern, apply_to, priority, &json!({"max-length-bytes": 1}));
                    model.insert(number.to_string(), new.clone());
                    set.put(Level::User, new).unwrap();
                }
                Step::Delete(number) => {
                    let was = model.remove(&number.to_string()).is_some();
                    prop_assert_eq!(set.delete(Level::User, &number.to_string()), was);
                }
            }
        }
        for name in &names {
            let queues = QueueKind::ALL.map(|kind| Target::Queue(name, kind));
            for target in queues.into_iter().chain([Target::Exchange(name)]) {
                let effective = set.effective(target);
                prop_assert_eq!(effective.name(), naive(&model, target));
            }
        }
    }
}
