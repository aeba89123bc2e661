//! Properties: both ways, changed in part, and against hostile bytes.

use proptest::prelude::*;

use super::*;
use crate::amqp::{
    table::{encode_table, tests::any_table},
    value::FieldValue,
};

fn some<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(value)
}

fn any_short() -> impl Strategy<Value = Option<Vec<u8>>> {
    some(proptest::collection::vec(any::<u8>(), 0..20))
}

fn any_properties() -> impl Strategy<Value = Properties> {
    let strings = proptest::collection::vec(any_short(), 10);
    let numbers = (some(any::<u8>()), some(any::<u8>()), some(any::<u64>()));
    (strings, some(any_table()), numbers).prop_map(|(mut strings, headers, (mode, priority, timestamp))| {
        let mut next = || strings.pop().flatten();
        Properties {
            content_type: next(),
            content_encoding: next(),
            headers,
            delivery_mode: mode,
            priority,
            correlation_id: next(),
            reply_to: next(),
            expiration: next(),
            message_id: next(),
            timestamp,
            kind: next(),
            user_id: next(),
            app_id: next(),
            cluster_id: next(),
        }
    })
}

#[test]
fn flags_stand_from_the_highest_bit() {
    let properties =
        Properties { content_type: Some("a".into()), cluster_id: Some("b".into()), ..Properties::default() };
    assert_eq!(properties.encode(), [0b1000_0000, 0b0000_0100, 1, b'a', 1, b'b']);
}

#[test]
fn a_second_word_of_flags_is_refused() {
    assert_eq!(PropertiesView::parse(&[0x10, 1, 0, 0, 2]), Err(PropertiesError::Unknown));
    let headers = [0x20, 0, 0, 0, 0, 3, 1, b'a', b'V'];
    assert_eq!(Summary::of(&headers).unwrap().headers_at, Some(6..9));
}

#[test]
fn what_is_left_over_is_an_error() {
    assert_eq!(PropertiesView::parse(&[0, 0, 7]), Err(PropertiesError::Trailing));
    assert_eq!(Summary::of(&[0x10, 0, 2, 2]), Err(PropertiesError::Trailing));
    assert_eq!(Summary::of(&[]), Err(PropertiesError::Truncated));
}

#[test]
fn headers_that_are_not_changed_keep_bytes_that_we_would_not_write() {
    // A `L` and a truth value of 7, read alike and written otherwise; and a number that does not equal itself.
    let mut headers = vec![1, b'n', b'L', 0, 0, 0, 0, 0, 0, 0, 9, 1, 0xFF, b't', 7, 0, b'f'];
    headers.extend(f32::NAN.to_be_bytes());
    let mut raw = vec![0b0010_0001, 0, 0, 0, 0, 21];
    raw.extend(&headers);
    raw.extend([4, b'9', b'9', b'9', b'9']);
    let without = rewrite(&raw, |properties| properties.expiration = None).unwrap();
    assert_eq!(without, [&[0b0010_0000, 0, 0, 0, 0, 21][..], &headers].concat());
}

#[test]
fn a_header_is_added_where_there_were_none() {
    let raw = Properties { app_id: Some("x".into()), ..Properties::default() }.encode();
    let changed = rewrite(&raw, |properties| {
        properties.headers.get_or_insert_default().set("x-n", FieldValue::I64(1));
    });
    let changed = changed.unwrap();
    let view = PropertiesView::parse(&changed).unwrap();
    assert_eq!(view.headers.unwrap().find("x-n").unwrap().as_integer(), Some(1));
    assert_eq!(view.app_id, Some(&b"x"[..]));
}

#[test]
fn a_content_header_has_twelve_octets_before_its_properties() {
    let header = ContentHeader { class: 60, weight: 0, body_size: 258, properties: &[0, 0] };
    assert_eq!(ContentHeader::decode(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0]), Some(header));
    assert_eq!(ContentHeader::decode(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
}

proptest! {
    #[test]
    fn properties_come_back_from_their_bytes(properties in any_properties()) {
        let raw = properties.encode();
        let view = PropertiesView::parse(&raw).unwrap();
        prop_assert_eq!(&Properties::of(&view).unwrap(), &properties);
        prop_assert_eq!(rewrite(&raw, |_| {}).unwrap(), raw.clone());
        let summary = Summary::of(&raw).unwrap();
        prop_assert_eq!(summary.headers_at.map(|at| &raw[at]), summary.headers.map(RawTable::bytes));
        prop_assert_eq!(summary.persistent, properties.delivery_mode == Some(2));
        prop_assert_eq!(summary.expiration, properties.expiration.as_deref());
        if let Some(headers) = &properties.headers {
            prop_assert_eq!(summary.headers.unwrap().bytes(), encode_table(headers));
        }
    }

    #[test]
    fn any_bytes_are_judged_alike_by_both_readers(flags in any::<u16>(), rest in proptest::collection::vec(any::<u8>(), 0..60)) {
        let raw = [&flags.to_be_bytes()[..], &rest].concat();
        prop_assert_eq!(PropertiesView::parse(&raw).err(), Summary::of(&raw).err());
        prop_assert_eq!(PropertiesView::parse(&raw).is_ok(), rewrite(&raw, |_| {}).is_ok());
    }
}
