//! Arguments against policies, type by type.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::access::json_table::to_table;

fn settings(arguments: &Value, definition: &Value) -> QueueSettings {
    let arguments = to_table(arguments.as_object().unwrap()).unwrap();
    QueueSettings::resolve(&arguments, definition.as_object().unwrap())
}

#[test]
fn a_plain_queue_has_no_limits() {
    assert_eq!(settings(&json!({}), &json!({})), QueueSettings::default());
}

#[test]
fn the_lower_number_holds_and_of_words_the_argument() {
    let arguments = json!({
        "x-message-ttl": 50, "x-max-length": 7, "x-overflow": "reject-publish", "x-dead-letter-exchange": "mine"
    });
    let policy = json!({
        "message-ttl": 20, "max-length": 9, "max-length-bytes": 1000, "expires": 5, "overflow": "drop-head",
        "dead-letter-exchange": "theirs", "dead-letter-routing-key": "key", "consumer-timeout": 60000
    });
    let expected = QueueSettings {
        message_ttl_ms: Some(20),
        expires_ms: Some(5),
        max_length: Some(7),
        max_length_bytes: Some(1000),
        overflow: Overflow::RejectPublish,
        dead_letter_exchange: Some("mine".into()),
        dead_letter_routing_key: Some("key".into()),
        consumer_timeout_ms: Some(60_000),
        ..QueueSettings::default()
    };
    assert_eq!(settings(&arguments, &policy), expected);
}

#[test]
fn a_quorum_queue_leaves_the_overflow_to_its_policy() {
    let arguments = json!({"x-queue-type": "quorum", "x-overflow": "drop-head", "x-dead-letter-strategy": "at-least-once"});
    let strict = settings(&arguments, &json!({"overflow": "reject-publish"}));
    assert_eq!(strict.overflow, Overflow::RejectPublish);
    assert_eq!(strict.dead_letter_strategy, DeadLetterStrategy::AtLeastOnce);
    let dropping = settings(&arguments, &json!({}));
    assert_eq!(dropping.dead_letter_strategy, DeadLetterStrategy::AtMostOnce);
    assert_eq!(dropping.not_acted_on, ["dead-letter-strategy: at-least-once"]);
    let classic_only = settings(&arguments, &json!({"overflow": "reject-publish-dlx"}));
    assert_eq!(classic_only.overflow, Overflow::DropHead);
}

#[test]
fn only_quorum_queues_count_deliveries() {
    let limit = |arguments, policy| settings(&arguments, &policy).delivery_limit;
    assert_eq!(limit(json!({}), json!({})), None);
    assert_eq!(limit(json!({"x-queue-type": "quorum"}), json!({})), Some(DELIVERY_LIMIT_DEFAULT));
    assert_eq!(limit(json!({"x-queue-type": "quorum", "x-delivery-limit": -1}), json!({})), None);
    assert_eq!(
        limit(json!({"x-queue-type": "quorum", "x-delivery-limit": -1}), json!({"delivery-limit": 5})),
        Some(5)
    );
    assert_eq!(
        limit(json!({"x-queue-type": "quorum", "x-delivery-limit": 9}), json!({"delivery-limit": 5})),
        Some(5)
    );
}

#[test]
fn of_a_stream_the_policy_holds() {
    let arguments = json!({
        "x-queue-type": "stream", "x-max-age": "1h", "x-max-length-bytes": 10, "x-stream-max-segment-size-bytes": 1000
    });
    let alone = settings(&arguments, &json!({}));
    assert_eq!((alone.kind, alone.max_age_ms), (QueueKind::Stream, Some(3_600_000)));
    assert_eq!(alone.not_acted_on, ["x-stream-max-segment-size-bytes"]);
    let with_policy = settings(&arguments, &json!({"max-age": "2D", "max-length-bytes": 99}));
    assert_eq!(with_policy.max_age_ms, Some(2 * 24 * 3_600_000));
    assert_eq!(with_policy.max_length_bytes, Some(99));
}

#[test]
fn what_nothing_follows_from_is_named() {
    let arguments = json!({"x-queue-mode": "lazy", "x-queue-version": 2, "x-mine": 1, "x-max-priority": 5});
    let policy = json!({"ha-mode": "all", "alternate-exchange": "a", "message-ttl": 1});
    let settings = settings(&arguments, &policy);
    assert_eq!(settings.not_acted_on, ["x-queue-mode", "x-queue-version", "x-mine", "ha-mode"]);
    assert_eq!(settings.max_priority, Some(5));
}

#[test]
fn deduplication_takes_the_words_of_the_plugin() {
    let of = |arguments| settings(&arguments, &json!({})).deduplication;
    assert_eq!(of(json!({"x-cache-size": 5})), None);
    assert_eq!(of(json!({"x-message-deduplication": false})), None);
    let default = Deduplication { cache_size: DEDUPLICATION_CACHE_DEFAULT, cache_ttl_ms: None };
    assert_eq!(of(json!({"x-message-deduplication": "true"})), Some(default));
    let huge = of(json!({"x-message-deduplication": true, "x-cache-size": u32::MAX, "x-cache-ttl": 500}));
    let expected = Deduplication { cache_size: DEDUPLICATION_CACHE_MAX, cache_ttl_ms: Some(500) };
    assert_eq!(huge, Some(expected));
}

#[test]
fn ages_have_a_number_and_a_unit() {
    let cases = [
        ("1Y", Some(31_536_000_000)),
        ("1M", Some(2_592_000_000)),
        ("7D", Some(604_800_000)),
        ("2h", Some(7_200_000)),
        ("3m", Some(180_000)),
        ("30s", Some(30_000)),
        ("99999999999999999Y", Some(u64::MAX)),
        ("999999999999999999999s", None),
        ("0s", None),
        ("-1s", None),
        ("s", None),
        ("5", None),
        ("5 s", None),
        ("5d", None),
        ("", None),
    ];
    for (text, age) in cases {
        assert_eq!(max_age_ms(text), age, "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_is_stored_gives_settings(
        names in prop::collection::vec(prop::sample::select(ACTED_ON.to_vec()), 0..6),
        values in prop::collection::vec(prop_oneof![
            any::<i64>().prop_map(FieldValue::I64),
            any::<bool>().prop_map(FieldValue::Bool),
            ".{0,6}".prop_map(FieldValue::text),
            Just(FieldValue::Void),
        ], 6),
    ) {
        let arguments = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
        let resolved = QueueSettings::resolve(&arguments, &Map::new());
        prop_assert_eq!(resolved.kind, QueueKind::of(&arguments));
    }

    #[test]
    fn a_policy_never_raises_a_limit(argument: u32, policy: u32) {
        let both = settings(&json!({"x-max-length": argument}), &json!({"max-length": policy}));
        prop_assert_eq!(both.max_length, Some(argument.min(policy).into()));
    }
}
