//! An access record as words for people: time, direction, request, answer, and `name=value` for the rest.

use std::time::SystemTime;

use http::Method;

use super::{Stamps, decimal, millis};
use crate::record::AccessRecord;

/// Appends the record, without a line end. `time` is when the call ended.
pub(in crate::record) fn text(
    record: &AccessRecord,
    time: SystemTime,
    stamps: &mut Stamps,
    out: &mut Vec<u8>,
) {
    stamps.write(time, out);
    word(record.direction.as_str().as_bytes(), out);
    match &record.line {
        Some(line) => {
            word(Method::as_str(&line.method).as_bytes(), out);
            word(&line.path, out);
        }
        None => word(b"connection", out),
    }
    out.push(b' ');
    decimal(u64::from(record.status), out);
    out.push(b' ');
    millis(record.nanos, out);
    out.extend_from_slice(b"ms");
    named("service", record.service.as_bytes(), out);
    for (name, value) in [("route", &record.route), ("endpoint", &record.endpoint)] {
        if let Some(value) = value {
            named(name, value.as_bytes(), out);
        }
    }
    if let Some(error) = record.error {
        named("weft-error", error.as_str().as_bytes(), out);
    }
    if record.cancelled {
        word(b"cancelled", out);
    }
    for (name, value) in [
        ("attempts", u64::from(record.attempts)),
        ("received", record.received_bytes),
        ("sent", record.sent_bytes),
    ] {
        named(name, b"", out);
        decimal(value, out);
    }
    if let Some(id) = record.request_id() {
        named("request_id", id, out);
    }
    if let Some(trace) = record.trace_id() {
        named("trace_id", trace, out);
    }
}

fn named(name: &str, value: &[u8], out: &mut Vec<u8>) {
    word(name.as_bytes(), out);
    out.push(b'=');
    escaped(value, out);
}

fn word(text: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    escaped(text, out);
}

/// What would end a word or a line is written `\x20`.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'!'..=b'~' => out.push(*byte),
            _ => {
                out.extend_from_slice(b"\\x");
                out.extend([byte >> 4, byte & 0xf].map(|half| match half {
                    0..=9 => b'0' + half,
                    _ => b'a' + (half - 10),
                }));
            }
        }
    }
}
