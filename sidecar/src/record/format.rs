//! An access record as a line of JSON (or, [`text`], of words), written by hand: it is made for every call, and serde's way through its
//! fields costs more than all else that is done for a record.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;

use super::AccessRecord;

mod text;

pub(super) use self::text::text;

/// Appends the record as one JSON object, without a line end. `time` is when the call ended.
pub(super) fn json(record: &AccessRecord, time: SystemTime, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    rfc3339(time, out);
    out.extend_from_slice(b"\",\"direction\":\"");
    out.extend_from_slice(record.direction.as_str().as_bytes());
    out.push(b'"');
    string("service", record.service.as_bytes(), out);
    if let Some(route) = &record.route {
        string("route", route.as_bytes(), out);
    }
    if let Some(endpoint) = &record.endpoint {
        string("endpoint", endpoint.as_bytes(), out);
    }
    if let Some(line) = &record.line {
        string("method", Method::as_str(&line.method).as_bytes(), out);
        string("path", &line.path, out);
    }
    number("status", u64::from(record.status), out);
    if let Some(error) = record.error {
        string("weft-error", error.as_str().as_bytes(), out);
    }
    if record.cancelled {
        out.extend_from_slice(b",\"cancelled\":true");
    }
    number("attempts", u64::from(record.attempts), out);
    number("received_bytes", record.received_bytes, out);
    number("sent_bytes", record.sent_bytes, out);
    key("duration_ms", out);
    millis(record.nanos, out);
    if let Some(id) = record.request_id() {
        string("request_id", id, out);
    }
    if let Some(trace) = record.trace_id() {
        string("trace_id", trace, out);
    }
    out.push(b'}');
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(name: &str, value: u64, out: &mut Vec<u8>) {
    key(name, out);
    decimal(value, out);
}

/// A JSON string (RFC 8259 section 7). What is no UTF-8, which a header may hold, shows as U+FFFD.
fn string(name: &str, value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
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

fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(digit(value % 10));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
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

/// In UTC with six places of a second (RFC 3339 section 5.6).
fn rfc3339(time: SystemTime, out: &mut Vec<u8>) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    padded(year, 1_000, out);
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', second / 3_600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        out.push(mark);
        padded(value, 10, out);
    }
    out.push(b'.');
    padded(u64::from(since.subsec_micros()), 100_000, out);
    out.push(b'Z');
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar: years are counted from March, so
/// that the leap day is the last of its year.
const fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on, in eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
pub(super) mod tests;
