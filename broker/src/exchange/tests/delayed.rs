//! Delays asked for, and the delayed exchange in a topology.

use super::{NO_ARGUMENTS, bind, exchange, published, small_host, sorted, table};
use crate::{
    amqp::value::{FieldTable, FieldValue},
    exchange::{
        delayed::{DELAY_MS_MAX, delay_ms},
        kind::{Kind, Matching},
        message::{Delay, Message, RouteResult},
        topology::{Declaration, Target, Topology},
    },
};

fn asked(value: FieldValue) -> FieldTable {
    table([("x-delay", value)])
}

#[test]
fn a_delay_is_a_positive_number_however_written() {
    let cases = [
        (FieldValue::I32(5_000), Some(5_000)),
        (FieldValue::U8(1), Some(1)),
        (FieldValue::text("250"), Some(250)),
        (FieldValue::F64(1.9), Some(1)),
        (FieldValue::Decimal { scale: 2, value: 1_234 }, Some(12)),
        (FieldValue::I64(i64::MAX), Some(DELAY_MS_MAX)),
        (FieldValue::F64(f64::INFINITY), Some(DELAY_MS_MAX)),
        (FieldValue::I32(0), None),
        (FieldValue::I32(-5_000), None),
        (FieldValue::F32(0.5), None),
        (FieldValue::F64(f64::NAN), None),
        (FieldValue::text("soon"), None),
        (FieldValue::Bool(true), None),
        (FieldValue::Void, None),
        (FieldValue::Decimal { scale: 255, value: 1 }, None),
    ];
    for (value, expected) in cases {
        assert_eq!(delay_ms(&asked(value.clone())), expected, "{value:?}");
    }
    assert_eq!(delay_ms(&NO_ARGUMENTS), None);
}

fn host() -> Topology {
    let mut host = small_host();
    let arguments = table([
        ("x-delayed-type", FieldValue::text("direct")),
        ("alternate-exchange", FieldValue::text("c")),
    ]);
    let kind = Kind::parse("x-delayed-message", &arguments).unwrap();
    host.declare(&Declaration { kind, arguments: &arguments, ..exchange("later", Matching::Direct) })
        .unwrap();
    bind(&mut host, "later", Target::Queue("q1"), "k");
    bind(&mut host, "a", Target::Exchange("later"), "k");
    bind(&mut host, "a", Target::Queue("q2"), "k");
    bind(&mut host, "c", Target::Queue("q3"), "none");
    host
}

#[test]
fn a_message_that_asks_is_held_and_routed_once_due() {
    let host = host();
    let later = host.find("later").unwrap();
    let headers = asked(FieldValue::I32(100));
    let message = Message::new(&["k"], &headers);
    let mut out = RouteResult::new();
    host.route(later, &message, &mut out);
    assert_eq!((sorted(&out), out.delays()), (vec![], &[Delay { exchange: later, delay_ms: 100 }][..]));
    assert!(!out.is_unroutable());
    host.route_due(later, &message, &mut out);
    assert_eq!((sorted(&out), out.delays()), (vec![1], &[][..]));
}

#[test]
fn a_message_that_does_not_ask_goes_at_once() {
    assert_eq!(published(&host(), "later", "k"), [1]);
}

#[test]
fn an_exchange_before_a_delayed_one_delivers_its_own_at_once() {
    let host = host();
    let headers = asked(FieldValue::I32(100));
    let mut out = RouteResult::new();
    host.route(host.find("a").unwrap(), &Message::new(&["k"], &headers), &mut out);
    assert_eq!((sorted(&out), out.delays().len()), (vec![2], 1));
}

#[test]
fn the_alternate_is_asked_when_the_message_is_due_and_not_before() {
    let host = host();
    let later = host.find("later").unwrap();
    let headers = asked(FieldValue::I32(100));
    let message = Message::new(&["none"], &headers);
    let mut out = RouteResult::new();
    host.route(later, &message, &mut out);
    assert!(out.queues().is_empty());
    host.route_due(later, &message, &mut out);
    assert_eq!(sorted(&out), [3]);
}
