//! Second declarations, in RabbitMQ's words.

use bytes::Bytes;

use super::*;

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn plain(arguments: &FieldTable) -> Attributes<'_> {
    Attributes { durable: true, exclusive: false, auto_delete: false, arguments }
}

fn difference(current: &[(&str, FieldValue)], received: &[(&str, FieldValue)]) -> Option<String> {
    let (current, received) = (table(current), table(received));
    check("/", "q", plain(&current), plain(&received)).err().map(|error| error.to_string())
}

#[test]
fn attributes_are_compared_first() {
    let (none, some) = (FieldTable::new(), table(&[("x-expires", FieldValue::I64(1))]));
    let base = plain(&none);
    let text = |received| {
        let error = check("/", "q", base, received).unwrap_err();
        (error.reply_code(), error.to_string())
    };
    let durable =
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'";
    assert_eq!(text(Attributes { durable: false, arguments: &some, ..base }), (406, durable.to_owned()));
    let auto =
        "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'";
    assert_eq!(text(Attributes { auto_delete: true, ..base }), (406, auto.to_owned()));
    let (code, locked) = text(Attributes { exclusive: true, durable: false, ..base });
    assert_eq!(code, 405);
    assert!(
        locked.starts_with("cannot obtain exclusive access to locked queue 'q' in vhost '/'. It"),
        "{locked}"
    );
}

#[test]
fn an_argument_that_one_side_lacks_is_shown_with_its_type() {
    let ttl = ("x-message-ttl", FieldValue::I32(10));
    assert_eq!(
        difference(&[], std::slice::from_ref(&ttl)).unwrap(),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is none"
    );
    let exchange = ("x-dead-letter-exchange", FieldValue::text("dlx"));
    assert_eq!(
        difference(&[exchange], &[]).unwrap(),
        "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received none but current is the value 'dlx' of type 'longstr'"
    );
}

#[test]
fn arguments_that_differ_are_shown_plain() {
    let ttl = |ms| [("x-message-ttl", FieldValue::I64(ms))];
    assert_eq!(
        difference(&ttl(10), &ttl(20)).unwrap(),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '20' but current is '10'"
    );
    let kind = |kind| [("x-queue-type", FieldValue::text(kind))];
    assert_eq!(
        difference(&kind("quorum"), &kind("classic")).unwrap(),
        "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'classic' but current is 'quorum'"
    );
}

#[test]
fn numbers_are_equal_by_value_whatever_carries_them() {
    let carriers = [
        FieldValue::I8(5),
        FieldValue::U8(5),
        FieldValue::I16(5),
        FieldValue::U16(5),
        FieldValue::I32(5),
        FieldValue::U32(5),
        FieldValue::I64(5),
    ];
    for one in &carriers {
        for other in &carriers {
            let argument = |value: &FieldValue| [("x-max-length", value.clone())];
            assert_eq!(difference(&argument(one), &argument(other)), None);
        }
    }
    let text =
        difference(&[("x-max-length", FieldValue::I64(5))], &[("x-max-length", FieldValue::text("5"))]);
    assert!(text.is_some());
}

#[test]
fn a_classic_queue_may_say_so_or_not() {
    let classic = [("x-queue-type", FieldValue::text("classic"))];
    assert_eq!(difference(&[], &classic), None);
    assert_eq!(difference(&classic, &[]), None);
    assert!(difference(&[], &[("x-queue-type", FieldValue::text("stream"))]).is_some());
}

#[test]
fn arguments_that_the_type_does_not_know_are_not_compared() {
    let mine = [("x-mine", FieldValue::Bytes(Bytes::from_static(b"1")))];
    assert_eq!(difference(&mine, &[]), None);
    let stream = |extra: Option<(&'static str, FieldValue)>| -> Vec<(&'static str, FieldValue)> {
        [("x-queue-type", FieldValue::text("stream"))].into_iter().chain(extra).collect()
    };
    let ttl = stream(Some(("x-message-ttl", FieldValue::I64(1))));
    assert_eq!(difference(&stream(None), &ttl), None, "as in RabbitMQ");
}
