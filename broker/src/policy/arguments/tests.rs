//! What RabbitMQ refuses of a new queue, in its words.

use proptest::prelude::*;

use super::*;

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn declare(entries: &[(&str, FieldValue)]) -> Result<QueueKind, ArgumentError> {
    check(&Declaration { arguments: &table(entries), ..durable() })
}

fn durable() -> Declaration<'static> {
    static EMPTY: std::sync::LazyLock<FieldTable> = std::sync::LazyLock::new(FieldTable::new);
    Declaration {
        vhost: "/",
        queue: "q",
        is_server_named: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: &EMPTY,
    }
}

fn of_type(kind: &str) -> (&'static str, FieldValue) {
    ("x-queue-type", FieldValue::text(kind))
}

#[test]
fn faults_are_told_in_the_words_of_rabbitmq() {
    use FieldValue as V;
    let text = V::text;
    let cases = [
        ("x-message-ttl", V::I32(-1), "{value_negative,-1}"),
        ("x-message-ttl", text("60000"), "\"expected integer, got longstr\""),
        ("x-message-ttl", V::F64(1.0), "\"expected integer, got double\""),
        ("x-message-ttl", V::I64(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-expires", V::I64(1 << 40), "{value_too_large,1099511627776}"),
        ("x-expires", V::I64(0), "{value_zero,0}"),
        ("x-expires", V::I64(-5), "{value_negative,-5}"),
        ("x-max-length", V::I8(-1), "{value_negative,-1}"),
        ("x-max-length-bytes", V::Bool(true), "\"expected integer, got bool\""),
        ("x-max-priority", V::I16(256), "{max_value_exceeded,256}"),
        ("x-max-priority", V::I16(-1), "{value_negative,-1}"),
        ("x-overflow", text("drop-tail"), "invalid_overflow"),
        ("x-overflow", V::I32(1), "{unacceptable_type,signedint}"),
        ("x-queue-mode", text("eager"), "\"unsupported queue mode 'eager'\""),
        ("x-queue-version", V::I32(3), "\"unsupported queue version '3'\""),
        ("x-single-active-consumer", text("true"), "{unacceptable_type,longstr}"),
        ("x-queue-type", text("heap"), "\"unsupported queue type 'heap'\""),
        ("x-queue-type", V::Bool(true), "{unacceptable_type,bool}"),
        ("x-dead-letter-routing-key", text("k"), "routing_key_but_no_dlx_defined"),
        ("x-dead-letter-routing-key", V::Void, "{unacceptable_type,void}"),
        ("x-queue-leader-locator", text("near"), "invalid_queue_locator_arg"),
        ("x-message-deduplication", V::I32(1), "{unacceptable_type,signedint}"),
    ];
    for (name, value, fault) in cases {
        let error = declare(&[(name, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid arg '{name}' for queue 'q' in vhost '/': {fault}"));
    }
}

#[test]
fn arguments_at_their_bounds_are_taken() {
    use FieldValue as V;
    for (name, value) in [
        ("x-message-ttl", V::I64(0)),
        ("x-message-ttl", V::I64(EXPIRY_MS_MAX)),
        ("x-consumer-timeout", V::text("5")),
        ("x-expires", V::U8(1)),
        ("x-max-priority", V::U8(255)),
        ("x-max-priority", V::I32(0)),
        ("x-max-length", V::U32(0)),
        ("x-cache-size", V::text("of somebody else")),
        ("x-of-mine", V::Table(FieldTable::new())),
    ] {
        assert_eq!(declare(&[(name, value)]), Ok(QueueKind::Classic), "{name}");
    }
}

#[test]
fn a_dead_letter_exchange_is_text() {
    let error = declare(&[("x-dead-letter-exchange", FieldValue::I64(1))]).unwrap_err();
    let text = "invalid type 'long' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'";
    assert_eq!(error.to_string(), text);
    let both = [
        ("x-dead-letter-routing-key", FieldValue::text("k")),
        ("x-dead-letter-exchange", FieldValue::text("")),
    ];
    assert_eq!(declare(&both), Ok(QueueKind::Classic));
}

#[test]
fn a_type_refuses_arguments_of_others() {
    for (kind, module, name, value) in [
        ("quorum", "rabbit_quorum_queue", "x-max-priority", FieldValue::I32(5)),
        ("quorum", "rabbit_quorum_queue", "x-queue-mode", FieldValue::text("lazy")),
        ("stream", "rabbit_stream_queue", "x-message-ttl", FieldValue::I32(-5)),
        ("classic", "rabbit_classic_queue", "x-max-age", FieldValue::text("1D")),
        ("classic", "rabbit_classic_queue", "x-delivery-limit", FieldValue::I32(5)),
    ] {
        let error = declare(&[of_type(kind), (name, value)]).unwrap_err();
        let text = format!("invalid arg '{name}' for queue 'q' in vhost '/' of queue type {module}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn quorum_queues_and_streams_are_durable_and_of_nobody() {
    for kind in ["quorum", "stream"] {
        let arguments = table(&[of_type(kind)]);
        let base = Declaration { arguments: &arguments, ..durable() };
        assert!(check(&base).is_ok());
        for (declaration, property) in [
            (Declaration { exclusive: true, ..base }, "exclusive-owner"),
            (Declaration { auto_delete: true, ..base }, "auto-delete"),
            (Declaration { durable: false, ..base }, "non-durable"),
        ] {
            let text = format!("invalid property '{property}' for queue 'q' in vhost '/'");
            assert_eq!(check(&declaration).unwrap_err().to_string(), text);
        }
        let unnamed = check(&Declaration { is_server_named: true, ..base }).unwrap_err();
        let text = format!("Cannot declare a server-named queue for type rabbit_{kind}_queue");
        assert_eq!(unnamed.to_string(), text);
    }
}

#[test]
fn a_classic_queue_may_be_anything() {
    let any = Declaration {
        durable: false,
        exclusive: true,
        auto_delete: true,
        is_server_named: true,
        ..durable()
    };
    assert_eq!(check(&any), Ok(QueueKind::Classic));
}

#[test]
fn streams_have_bounds_of_their_own() {
    let stream = |name, value| declare(&[of_type("stream"), (name, value)]);
    let too_large = FieldValue::I64(SEGMENT_BYTES_MAX + 1);
    assert_eq!(stream("x-stream-max-segment-size-bytes", too_large), Err(ArgumentError::Segment));
    assert_eq!(stream("x-stream-filter-size-bytes", FieldValue::I32(15)), Err(ArgumentError::FilterSize));
    assert_eq!(stream("x-stream-filter-size-bytes", FieldValue::I32(16)), Ok(QueueKind::Stream));
    let age = stream("x-max-age", FieldValue::text("7")).unwrap_err();
    assert_eq!(age.to_string(), "invalid arg 'x-max-age' for queue 'q' in vhost '/': invalid_max_age");
}

proptest! {
    #[test]
    fn numbers_of_all_integer_types_are_judged_alike(number: i8) {
        let types: [FieldValue; 4] = [
            FieldValue::I8(number),
            FieldValue::I16(number.into()),
            FieldValue::I32(number.into()),
            FieldValue::I64(number.into()),
        ];
        for name in ["x-message-ttl", "x-expires", "x-max-priority", "x-queue-version"] {
            let verdicts = types.clone().map(|value| declare(&[(name, value)]));
            prop_assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{name} {verdicts:?}");
        }
    }
}
