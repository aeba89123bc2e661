//! An access record as a line of JSON, written by hand: it is made for every call, and serde's way through its
//! fields costs more than all else that is done for a record.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;

use super::AccessRecord;

/// Appends the record as one JSON object, without a line end. `time` is when the call ended.
pub(super) fn json(record: &AccessRecord, time: SystemTime, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    rfc3339(time, out);
    out.extend_from_slice(b"\",\"direction\":\"");
    out.extend_from_slice(record.direction.as_str().as_bytes());
    out.push(b'"');
    text("service", record.service.as_bytes(), out);
    if let Some(endpoint) = &record.endpoint {
        text("endpoint", endpoint.as_bytes(), out);
    }
    if let Some(line) = &record.line {
        text("method", Method::as_str(&line.method).as_bytes(), out);
        text("path", line.uri.path().as_bytes(), out);
    }
    number("status", u64::from(record.status), out);
    if let Some(error) = record.error {
        text("weft-error", error.as_str().as_bytes(), out);
    }
    if record.cancelled {
        out.extend_from_slice(b",\"cancelled\":true");
    }
    number("attempts", u64::from(record.attempts), out);
    number("received_bytes", record.received_bytes, out);
    number("sent_bytes", record.sent_bytes, out);
    key("duration_ms", out);
    millis(record.nanos, out);
    if let Some(id) = record.line.as_ref().and_then(|line| line.request_id.as_ref()) {
        text("request_id", id.as_bytes(), out);
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
fn text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    let is_plain = value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
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
pub(super) mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;
    use weft_model::error_code::ErrorCode;

    use super::*;
    use crate::{metrics::Direction, record::Line};

    pub(in crate::record) fn record() -> AccessRecord {
        AccessRecord {
            ended: 1,
            direction: Direction::Outbound,
            service: "orders.default".into(),
            endpoint: Some("node/1".into()),
            line: Some(Line {
                method: Method::GET,
                uri: "http://orders/a?secret=1".parse().unwrap(),
                request_id: Some("id".parse().unwrap()),
            }),
            status: 200,
            error: None,
            cancelled: false,
            attempts: 1,
            received_bytes: 0,
            sent_bytes: 12,
            nanos: 1_234_567,
        }
    }

    fn line(record: &AccessRecord) -> String {
        let mut line = Vec::new();
        json(record, UNIX_EPOCH + Duration::from_micros(951_782_400_000_001), &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_record_is_one_object_with_what_is_known() {
        assert_eq!(
            line(&record()),
            r#"{"time":"2000-02-29T00:00:00.000001Z","direction":"outbound","service":"orders.default","endpoint":"node/1","method":"GET","path":"/a","status":200,"attempts":1,"received_bytes":0,"sent_bytes":12,"duration_ms":1.234,"request_id":"id"}"#
        );
        let failed = AccessRecord {
            endpoint: None,
            line: None,
            error: Some(ErrorCode::NoRoute),
            cancelled: true,
            ..record()
        };
        assert_eq!(
            line(&failed),
            r#"{"time":"2000-02-29T00:00:00.000001Z","direction":"outbound","service":"orders.default","status":200,"weft-error":"no-route","cancelled":true,"attempts":1,"received_bytes":0,"sent_bytes":12,"duration_ms":1.234}"#
        );
    }

    #[test]
    fn nothing_that_a_caller_sends_breaks_the_line() {
        let mut hostile = record();
        hostile.line.as_mut().unwrap().request_id =
            Some(http::HeaderValue::from_bytes(b"a\"b\\c\xff\td").unwrap());
        let parsed: Value = serde_json::from_str(&line(&hostile)).unwrap();
        assert_eq!(parsed["request_id"], "a\"b\\c\u{fffd}\td");
    }

    proptest! {
        #[test]
        fn times_are_those_of_humantime(micros in 0_u64..253_402_300_799_000_000) {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            let mut text = Vec::new();
            rfc3339(time, &mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), humantime::format_rfc3339_micros(time).to_string());
        }

        #[test]
        fn numbers_are_those_of_the_library(value: u64) {
            let mut text = Vec::new();
            decimal(value, &mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
