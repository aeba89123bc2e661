//! Tables: both ways, lazily, and against hostile bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::amqp::value::FieldValue;

/// Any value but those that compare unequal to themselves.
pub(crate) fn any_value() -> impl Strategy<Value = FieldValue> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from);
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<i16>().prop_map(|n| FieldValue::F32(n.into())),
        any::<i32>().prop_map(|n| FieldValue::F64(n.into())),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        bytes().prop_map(FieldValue::LongString),
        bytes().prop_map(FieldValue::Bytes),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(FieldValue::Array),
            proptest::collection::vec(("[a-z-]{0,6}", inner), 0..4)
                .prop_map(|entries| FieldValue::Table(entries.into_iter().collect())),
        ]
    })
}

pub(crate) fn any_table() -> impl Strategy<Value = FieldTable> {
    proptest::collection::vec(("[a-z-]{0,8}", any_value()), 0..6)
        .prop_map(|entries| entries.into_iter().collect())
}

/// `depth` arrays, one in the other, as the value of one name.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = vec![b'V'];
    for _ in 0..depth {
        let mut outer = vec![b'A'];
        outer.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        outer.extend(value);
        value = outer;
    }
    [&[1, b'n'][..], &value].concat()
}

#[test]
fn nesting_has_a_limit_and_costs_an_error_only() {
    assert_eq!(RawTable::new(&nested(TABLE_DEPTH_MAX)).validate(), Ok(()));
    assert_eq!(RawTable::new(&nested(TABLE_DEPTH_MAX + 1)).validate(), Err(TableError::TooDeep));
    assert_eq!(decode_table(&nested(3_000)), Err(TableError::TooDeep));
}

#[test]
fn a_value_that_no_table_holds_has_the_limit_too() {
    let bytes = nested(TABLE_DEPTH_MAX + 1);
    assert_eq!(RawTable::new(&bytes).find("n").unwrap().decode(), Err(TableError::TooDeep));
}

#[test]
fn a_table_beyond_its_size_is_refused() {
    let bytes = [&[0, b'x'][..], &len(TABLE_OCTETS_MAX), &vec![0; TABLE_OCTETS_MAX]].concat();
    assert_eq!(decode_table(&bytes), Err(TableError::TooLarge));
}

fn len(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap().to_be_bytes()
}

#[test]
fn names_that_come_twice_stay_and_the_first_is_found() {
    let bytes = [&[1, b'a', b'B', 1][..], &[1, b'a', b'B', 2]].concat();
    let table = decode_table(&bytes).unwrap();
    assert_eq!((table.len(), table.find("a")), (2, Some(&FieldValue::U8(1))));
    assert_eq!(RawTable::new(&bytes).find("a"), Some(ValueView::U8(1)));
    assert_eq!(encode_table(&table), bytes);
}

#[test]
fn both_long_tags_are_signed_64_bit() {
    for tag in [b'l', b'L'] {
        let bytes = [&[1, b'a', tag][..], &(-2_i64).to_be_bytes()].concat();
        assert_eq!(decode_table(&bytes).unwrap().find("a"), Some(&FieldValue::I64(-2)));
    }
}

#[test]
fn an_unknown_tag_ends_the_reading() {
    let bytes = [1, b'a', b'V', 1, b'b', b'?', 1, b'c', b'V'];
    let raw = RawTable::new(&bytes);
    assert_eq!(raw.validate(), Err(TableError::UnknownTag(b'?')));
    assert_eq!(raw.entries().count(), 2, "the error is the last");
    assert_eq!(raw.find("a"), Some(ValueView::Void));
    assert_eq!(raw.find("c"), None);
}

proptest! {
    #[test]
    fn a_table_comes_back_from_its_bytes(table in any_table()) {
        let bytes = encode_table(&table);
        prop_assert_eq!(&decode_table(&bytes).unwrap(), &table);
        for (name, value) in table.iter() {
            let found = RawTable::new(&bytes).find(name).unwrap().decode().unwrap();
            prop_assert!(found == *value || table.find(name) != Some(value));
        }
    }

    #[test]
    fn any_bytes_are_judged_alike_by_all_readers(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let raw = RawTable::new(&bytes);
        prop_assert_eq!(raw.validate().err(), raw.decode().err());
        if raw.validate().is_ok() {
            prop_assert!(raw.entries().all(|entry| entry.is_ok()));
        }
    }

    #[test]
    fn a_table_cut_short_is_an_error(table in any_table(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_table(&table);
        prop_assume!(!bytes.is_empty());
        let kept = &bytes[..cut.index(bytes.len())];
        if let Ok(part) = decode_table(kept) {
            prop_assert_eq!(encode_table(&part), kept, "only between two entries");
        }
    }
}
