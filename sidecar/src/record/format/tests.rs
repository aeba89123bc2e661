//! A record's line is one JSON object whatever a caller sends; times and numbers are those of the libraries.

use std::time::Duration;

use proptest::{collection, prelude::*};
use serde_json::Value;
use smallvec::SmallVec;
use weft_model::error_code::ErrorCode;

use super::*;
use crate::{
    metrics::Direction,
    record::{Line, Story},
};

pub(in crate::record) fn record() -> AccessRecord {
    AccessRecord {
        ended: 1,
        direction: Direction::Outbound,
        service: "orders.default".into(),
        endpoint: Some("node/1".into()),
        line: Some(Line {
            method: Method::GET,
            path: SmallVec::from_slice(b"/a"),
            request_id: SmallVec::from_slice(b"id"),
            trace: None,
        }),
        status: 200,
        error: None,
        cancelled: false,
        attempts: 1,
        received_bytes: 0,
        sent_bytes: 12,
        nanos: 1_234_567,
        route: None,
        story: Story::default(),
    }
}

fn line(record: &AccessRecord) -> String {
    let mut line = Vec::new();
    json(record, UNIX_EPOCH + Duration::from_micros(951_782_400_000_001), &mut Stamps::default(), &mut line);
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
fn a_route_and_a_trace_are_told_in_both_forms() {
    let mut traced = AccessRecord { route: Some("default/shop/0".into()), ..record() };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    traced.line.as_mut().unwrap().trace = Some(trace.parse().unwrap());
    let parsed: Value = serde_json::from_str(&line(&traced)).unwrap();
    assert_eq!(parsed["route"], "default/shop/0");
    assert_eq!(parsed["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let mut words = Vec::new();
    traced.line.as_mut().unwrap().request_id = SmallVec::from_slice(b"i d");
    text(&traced, UNIX_EPOCH, &mut Stamps::default(), &mut words);
    assert_eq!(
        String::from_utf8(words).unwrap(),
        "1970-01-01T00:00:00.000000Z outbound GET /a 200 1.234ms service=orders.default route=default/shop/0 \
         endpoint=node/1 attempts=1 received=0 sent=12 request_id=i\\x20d \
         trace_id=4bf92f3577b34da6a3ce929d0e0e4736"
    );
}

#[test]
fn nothing_that_a_caller_sends_breaks_the_line() {
    let mut hostile = record();
    hostile.line.as_mut().unwrap().request_id = SmallVec::from_slice(b"a\"b\\c\xff\td");
    let parsed: Value = serde_json::from_str(&line(&hostile)).unwrap();
    assert_eq!(parsed["request_id"], "a\"b\\c\u{fffd}\td");
}

proptest! {
    #[test]
    fn times_are_those_of_humantime(times in collection::vec(0_u64..253_402_300_799_000_000, 1..8), apart in 0_u64..2_000_000) {
        let mut stamps = Stamps::default();
        for micros in times.into_iter().flat_map(|micros| [micros, micros.saturating_sub(apart)]) {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            let mut text = Vec::new();
            stamps.write(time, &mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), humantime::format_rfc3339_micros(time).to_string());
        }
    }

    #[test]
    fn numbers_are_those_of_the_library(value: u64) {
        let mut text = Vec::new();
        decimal(value, &mut text);
        prop_assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
    }
}
