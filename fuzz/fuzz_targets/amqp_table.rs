//! AMQP field tables: whatever comes, all readers agree on whether it is one; and what decodes, encodes to something that
//! encodes to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_broker::amqp::table::{RawTable, decode_table, encode_table};

fuzz_target!(|bytes: &[u8]| {
    let raw = RawTable::new(bytes);
    let Ok(table) = decode_table(bytes) else {
        assert!(raw.validate().is_err());
        return;
    };
    assert!(raw.validate().is_ok() && raw.entries().all(|entry| entry.is_ok()));
    assert_eq!(raw.entries().count(), table.len());
    let encoded = encode_table(&table);
    let again = decode_table(&encoded).expect("what was a table is one");
    assert_eq!(encode_table(&again), encoded, "the table does not survive");
});
