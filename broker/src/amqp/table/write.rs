//! Owned tables onto the wire. The tags are those RabbitMQ writes: a 64-bit integer is `l`, never `L`.

use crate::amqp::{
    value::{FieldTable, FieldValue},
    wire::{put_long_bytes, put_short_text, put_sized},
};

/// The bytes of a table without their length, as [`RawTable`](super::RawTable) takes them.
pub fn encode_table(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    put_entries(&mut out, table);
    out
}

/// Writes a table with its length before it.
pub fn put_table(out: &mut Vec<u8>, table: &FieldTable) {
    put_sized(out, |out| put_entries(out, table));
}

fn put_entries(out: &mut Vec<u8>, table: &FieldTable) {
    for (name, value) in table.iter() {
        put_short_text(out, name);
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &FieldValue) {
    match value {
        FieldValue::Bool(bit) => out.extend_from_slice(&[b't', u8::from(*bit)]),
        FieldValue::I8(n) => tagged(out, b'b', &n.to_be_bytes()),
        FieldValue::U8(n) => tagged(out, b'B', &n.to_be_bytes()),
        FieldValue::I16(n) => tagged(out, b's', &n.to_be_bytes()),
        FieldValue::U16(n) => tagged(out, b'u', &n.to_be_bytes()),
        FieldValue::I32(n) => tagged(out, b'I', &n.to_be_bytes()),
        FieldValue::U32(n) => tagged(out, b'i', &n.to_be_bytes()),
        FieldValue::I64(n) => tagged(out, b'l', &n.to_be_bytes()),
        FieldValue::F32(n) => tagged(out, b'f', &n.to_be_bytes()),
        FieldValue::F64(n) => tagged(out, b'd', &n.to_be_bytes()),
        FieldValue::Timestamp(seconds) => tagged(out, b'T', &seconds.to_be_bytes()),
        FieldValue::Decimal { scale, value } => {
            tagged(out, b'D', &[*scale]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        FieldValue::LongString(bytes) => {
            out.push(b'S');
            put_long_bytes(out, bytes);
        }
        FieldValue::Bytes(bytes) => {
            out.push(b'x');
            put_long_bytes(out, bytes);
        }
        FieldValue::Array(values) => {
            out.push(b'A');
            put_sized(out, |out| values.iter().for_each(|value| put_value(out, value)));
        }
        FieldValue::Table(table) => {
            out.push(b'F');
            put_table(out, table);
        }
        FieldValue::Void => out.push(b'V'),
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}
