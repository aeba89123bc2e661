//! Refusals, with RabbitMQ's texts.

use super::{NO_ARGUMENTS, bind, exchange, small_host, table};
use crate::{
    amqp::value::FieldValue,
    exchange::{
        kind::{Kind, Matching},
        topology::{Declaration, Fault, Target, TopologyError},
    },
};

fn refusal<T: std::fmt::Debug, E: Into<TopologyError>>(result: Result<T, E>) -> (Fault, String) {
    let error: TopologyError = result.map_err(Into::into).unwrap_err();
    (error.fault(), error.to_string())
}

fn expect<T: std::fmt::Debug, E: Into<TopologyError>>(result: Result<T, E>, fault: Fault, text: &str) {
    assert_eq!(refusal(result), (fault, text.to_owned()));
}

#[test]
fn a_second_declaration_names_the_field_that_differs() {
    let mut host = small_host();
    let start = "inequivalent arg";
    let alternate = table([("alternate-exchange", FieldValue::text("b"))]);
    let as_declared = exchange("a", Matching::Direct);
    let cases = [
        (exchange("a", Matching::Fanout), "'type'", "'fanout'", "'direct'"),
        (Declaration { durable: false, ..as_declared }, "'durable'", "'false'", "'true'"),
        (Declaration { auto_delete: true, ..as_declared }, "'auto_delete'", "'true'", "'false'"),
        (Declaration { internal: true, ..as_declared }, "'internal'", "'true'", "'false'"),
        (
            Declaration { arguments: &alternate, ..as_declared },
            "'alternate-exchange'",
            "the value 'b' of type 'longstr'",
            "none",
        ),
    ];
    for (asked, field, received, current) in cases {
        let text = format!(
            "{start} {field} for exchange 'a' in vhost '/': received {received} but current is {current}"
        );
        expect(host.declare(&asked), Fault::PreconditionFailed, &text);
    }
    let unknown = table([("x-mine", FieldValue::I32(1))]);
    let again = host.declare(&Declaration { arguments: &unknown, ..as_declared });
    assert!(again.is_ok_and(|declared| !declared.is_new), "others are not compared");
}

#[test]
fn arguments_that_both_sides_have_are_shown_bare() {
    let mut host = small_host();
    let (b, c) = (
        table([("alternate-exchange", FieldValue::text("b"))]),
        table([("alternate-exchange", FieldValue::text("c"))]),
    );
    let first = Declaration { arguments: &b, ..exchange("e", Matching::Topic) };
    assert!(host.declare(&first).unwrap().is_new);
    assert!(!host.declare(&first).unwrap().is_new);
    let text = "inequivalent arg 'alternate-exchange' for exchange 'e' in vhost '/': received 'c' but current is 'b'";
    expect(host.declare(&Declaration { arguments: &c, ..first }), Fault::PreconditionFailed, text);
}

#[test]
fn integers_of_other_widths_are_equivalent_and_what_is_not_x_is_not_compared() {
    let mut host = small_host();
    let narrow = table([("x-n", FieldValue::I8(1)), ("note", FieldValue::text("one"))]);
    let wide = table([("x-n", FieldValue::I64(1)), ("note", FieldValue::text("two"))]);
    let first = Declaration { arguments: &narrow, ..exchange("e", Matching::Topic) };
    host.declare(&first).unwrap();
    assert!(!host.declare(&Declaration { arguments: &wide, ..first }).unwrap().is_new);
}

#[test]
fn reserved_names_are_the_broker_s() {
    let mut host = small_host();
    let refused = Fault::AccessRefused;
    let text = "exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    expect(host.declare(&exchange("amq.mine", Matching::Direct)), refused, text);
    let text = "deletion of system exchange 'amq.direct' in vhost '/' not allowed";
    expect(host.delete("amq.direct", false), refused, text);
    let amq = Declaration { internal: true, ..exchange("amq.rabbitmq.trace", Matching::Topic) };
    assert!(!host.declare(&amq).unwrap().is_new);
    assert!(!host.declare(&exchange("amq.match", Matching::Headers)).unwrap().is_new);
}

#[test]
fn the_default_exchange_is_left_alone() {
    let mut host = small_host();
    let text = "operation not permitted on the default exchange";
    let refused = Fault::AccessRefused;
    expect(host.declare(&exchange("", Matching::Direct)), refused, text);
    expect(host.passive(""), refused, text);
    expect(host.delete("", false), refused, text);
    expect(host.bind("", Target::Queue("q1"), "", &NO_ARGUMENTS), refused, text);
    expect(host.bind("a", Target::Exchange(""), "", &NO_ARGUMENTS), refused, text);
    expect(host.unbind("", Target::Queue("q1"), "", &NO_ARGUMENTS), refused, text);
}

#[test]
fn what_is_missing_is_named() {
    let mut host = small_host();
    let no_exchange = "no exchange 'x' in vhost '/'";
    expect(host.passive("x"), Fault::NotFound, no_exchange);
    expect(host.publishable("x"), Fault::NotFound, no_exchange);
    expect(host.bind("x", Target::Queue("nobody"), "", &NO_ARGUMENTS), Fault::NotFound, no_exchange);
    expect(host.bind("a", Target::Exchange("x"), "", &NO_ARGUMENTS), Fault::NotFound, no_exchange);
    let no_queue = "no queue 'nobody' in vhost '/'";
    expect(host.bind("a", Target::Queue("nobody"), "", &NO_ARGUMENTS), Fault::NotFound, no_queue);
    assert_eq!(host.delete("x", true), Ok(vec![]));
    assert_eq!(host.unbind("x", Target::Queue("q1"), "", &NO_ARGUMENTS), Ok(vec![]));
    assert_eq!(host.unbind("a", Target::Queue("nobody"), "", &NO_ARGUMENTS), Ok(vec![]));
}

#[test]
fn an_exchange_in_use_stays_if_asked() {
    let mut host = small_host();
    bind(&mut host, "a", Target::Exchange("b"), "k");
    let text = "exchange 'a' in vhost '/' in use";
    expect(host.delete("a", true), Fault::PreconditionFailed, text);
    assert!(host.delete("b", true).is_ok());
    assert!(host.delete("a", true).is_ok());
}

#[test]
fn a_client_does_not_publish_to_an_internal_exchange() {
    let mut host = small_host();
    host.declare(&Declaration { internal: true, ..exchange("in", Matching::Fanout) }).unwrap();
    let text = "cannot publish to internal exchange 'in' in vhost '/'";
    expect(host.publishable("in"), Fault::AccessRefused, text);
}

#[test]
fn types_and_their_arguments_are_checked() {
    let failed = Fault::PreconditionFailed;
    expect(Kind::parse("x-random", &NO_ARGUMENTS), failed, "unknown exchange type 'x-random'");
    let text = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    expect(Kind::parse("x-delayed-message", &NO_ARGUMENTS), failed, text);
    let inner = |name| table([("x-delayed-type", FieldValue::text(name))]);
    expect(Kind::parse("x-delayed-message", &inner("x-delayed-message")), failed, text);
    expect(Kind::parse("x-delayed-message", &inner("none")), failed, "unknown exchange type 'none'");
    assert_eq!(Kind::parse("x-delayed-message", &inner("topic")), Ok(Kind::Delayed(Matching::Topic)));

    let mut host = small_host();
    let arguments = table([("alternate-exchange", FieldValue::I32(1))]);
    let text = "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'e' in vhost '/'";
    expect(
        host.declare(&Declaration { arguments: &arguments, ..exchange("e", Matching::Direct) }),
        failed,
        text,
    );
    let arguments = table([("x-match", FieldValue::text("some"))]);
    let text = "Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x";
    expect(host.bind("amq.match", Target::Queue("q1"), "", &arguments), failed, text);
}
