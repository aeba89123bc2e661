//! An access record as a line of JSON (or, [`text`], of words), written by hand: it is made for every call, and serde's way through its
//! fields costs more than all else that is done for a record.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;

use super::AccessRecord;
use crate::metrics::Direction;

mod text;

pub(super) use self::text::text;

/// Times of day as text; a second is put into words once for all records that ended in it.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    second: u64,
    /// Up to the second; empty = of none yet.
    text: String,
}

/// Appends the record as one JSON object, without a line end. `time` is when the call ended.
pub(super) fn json(record: &AccessRecord, time: SystemTime, stamps: &mut Stamps, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    stamps.write(time, out);
    out.extend_from_slice(match record.direction {
        Direction::Outbound => b"\",\"direction\":\"outbound\"",
        Direction::Inbound => b"\",\"direction\":\"inbound\"",
    });
    string(b",\"service\":", record.service.as_bytes(), out);
    if let Some(route) = &record.route {
        string(b",\"route\":", route.as_bytes(), out);
    }
    if let Some(endpoint) = &record.endpoint {
        string(b",\"endpoint\":", endpoint.as_bytes(), out);
    }
    if let Some(line) = &record.line {
        string(b",\"method\":", Method::as_str(&line.method).as_bytes(), out);
        string(b",\"path\":", &line.path, out);
    }
    number(b",\"status\":", u64::from(record.status), out);
    if let Some(error) = record.error {
        string(b",\"weft-error\":", error.as_str().as_bytes(), out);
    }
    if record.cancelled {
        out.extend_from_slice(b",\"cancelled\":true");
    }
    number(b",\"attempts\":", u64::from(record.attempts), out);
    number(b",\"received_bytes\":", record.received_bytes, out);
    number(b",\"sent_bytes\":", record.sent_bytes, out);
    out.extend_from_slice(b",\"duration_ms\":");
    millis(record.nanos, out);
    if let Some(id) = record.request_id() {
        string(b",\"request_id\":", id, out);
    }
    if let Some(trace) = record.trace_id() {
        string(b",\"trace_id\":", trace, out);
    }
    out.push(b'}');
}

fn number(key: &[u8], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    decimal(value, out);
}

/// A JSON string (RFC 8259 section 7). What is no UTF-8, which a header may hold, shows as U+FFFD.
fn string(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    // All of them, without a way out: so many are looked at at once.
    let is_odd = |byte: u8| !matches!(byte, b' '..=b'~') | matches!(byte, b'"' | b'\\');
    let is_plain = !value.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
    } else {
        // An error is one of the vector's, which has none.
        let _infallible = serde_json::to_writer(&mut *out, &String::from_utf8_lossy(value));
    }
}

/// Milliseconds with three places.
fn millis(nanos: u64, out: &mut Vec<u8>) {
    let micros = nanos / 1_000;
    decimal(micros / 1_000, out);
    out.push(b'.');
    padded(micros % 1_000, 100, out);
}

fn decimal(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// With leading zeroes, from the place of `unit` on.
fn padded(value: u64, mut unit: u64, out: &mut Vec<u8>) {
    while unit > 0 {
        out.push(digit(value / unit % 10));
        unit /= 10;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a digit is below ten")]
const fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

impl Stamps {
    /// In UTC with six places of a second (RFC 3339 section 5.6).
    fn write(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (second, micros) = (since.as_secs(), since.subsec_micros());
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text =
                humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(second)).to_string();
            // Its Z, which stands behind the places.
            self.text.pop();
        }
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'.');
        padded(u64::from(micros), 100_000, out);
        out.push(b'Z');
    }
}

#[cfg(test)]
pub(super) mod tests;
