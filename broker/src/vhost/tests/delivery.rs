//! From publisher to consumer and back.

use super::{
    Client, World,
    harness::{Got, deliveries},
};
use crate::amqp::{
    method::{Basic, Method, basic, tx},
    properties::Properties,
    value::FieldValue,
};

fn pair() -> (World, Client, Client) {
    let mut world = World::new();
    let (publisher, consumer) = (world.client(), world.client());
    (world, publisher, consumer)
}

#[test]
fn a_message_is_delivered_acknowledged_and_gone() {
    let (mut world, mut publisher, mut consumer) = pair();
    publisher.declare("q", &[]).publish("", "q", "one").go(&mut world);
    consumer.consume("q", 0);
    assert_eq!(deliveries(&consumer.go(&mut world)), [("one", false)]);
    consumer.ack(1, false).go(&mut world);
    consumer.vanish(&mut world);
    assert_eq!(world.ready("q"), Some(0));
}

#[test]
fn without_acknowledgements_a_message_is_gone_with_its_consumer() {
    let (mut world, mut publisher, mut consumer) = pair();
    publisher.declare("q", &[]).publish("", "q", "one").go(&mut world);
    let consume = basic::Consume { queue: "q", no_ack: true, ..Default::default() };
    consumer.send(&Method::Basic(Basic::Consume(consume)));
    assert_eq!(deliveries(&consumer.go(&mut world)), [("one", false)]);
    consumer.vanish(&mut world);
    assert_eq!(world.ready("q"), Some(0));
    assert_eq!(world.crash().ready("q"), Some(0));
}

#[test]
fn prefetch_holds_back_until_there_is_room() {
    let (mut world, mut publisher, mut consumer) = pair();
    publisher.declare("q", &[]);
    for body in ["a", "b", "c"] {
        publisher.publish("", "q", body);
    }
    publisher.go(&mut world);
    consumer.consume("q", 1);
    assert_eq!(deliveries(&consumer.go(&mut world)), [("a", false)]);
    assert_eq!(deliveries(&consumer.ack(1, false).go(&mut world)), [("b", false)]);
}

#[test]
fn what_comes_back_stands_where_it_was() {
    let (mut world, mut publisher, mut consumer) = pair();
    publisher.declare("q", &[]);
    for body in ["a", "b", "c", "d"] {
        publisher.publish("", "q", body);
    }
    publisher.go(&mut world);
    consumer.consume("q", 3).go(&mut world);
    consumer.vanish(&mut world);
    let mut next = world.client();
    next.consume("q", 0);
    let got = next.go(&mut world);
    assert_eq!(deliveries(&got), [("a", true), ("b", true), ("c", true), ("d", false)]);
}

#[test]
fn consumers_take_turns() {
    let (mut world, mut publisher, mut first) = pair();
    let mut second = world.client();
    publisher.declare("q", &[]).go(&mut world);
    first.consume("q", 0).go(&mut world);
    second.consume("q", 0).go(&mut world);
    for body in ["a", "b", "c", "d"] {
        publisher.publish("", "q", body);
    }
    publisher.go(&mut world);
    assert_eq!(deliveries(&first.got(&mut world)), [("a", false), ("c", false)]);
    assert_eq!(deliveries(&second.got(&mut world)), [("b", false), ("d", false)]);
}

#[test]
fn a_confirm_waits_for_the_disk() {
    let (mut world, mut publisher, _) = pair();
    publisher.declare("q", &[]).go(&mut world);
    assert_eq!(publisher.confirm().publish("", "q", "x").publish("", "q", "y").go(&mut world), []);
    world.sync();
    assert_eq!(publisher.got(&mut world), [Got::Ack(2, true)]);
}

#[test]
fn a_transient_message_is_confirmed_at_once() {
    let (mut world, mut publisher, _) = pair();
    publisher.declare("q", &[]).go(&mut world);
    let publish = basic::Publish { routing_key: "q", ..Default::default() };
    let got = publisher.confirm().publish_with(publish, &Properties::default(), "x").go(&mut world);
    assert_eq!(got, [Got::Ack(1, false)]);
}

#[test]
fn a_mandatory_message_without_a_queue_comes_back_before_its_confirm() {
    let (mut world, mut publisher, _) = pair();
    let publish = basic::Publish { routing_key: "nowhere", mandatory: true, ..Default::default() };
    let got = publisher.confirm().publish_with(publish, &Properties::default(), "x").go(&mut world);
    assert_eq!(got, [Got::Returned("x".into()), Got::Ack(1, false)]);
}

#[test]
fn a_large_body_arrives_whole() {
    let (mut world, mut publisher, mut consumer) = pair();
    let body = "0123456789".repeat(5000);
    publisher.declare("q", &[]).publish("", "q", &body).go(&mut world);
    consumer.consume("q", 0);
    assert_eq!(deliveries(&consumer.go(&mut world)), [(body.as_str(), false)]);
}

#[test]
fn a_transaction_is_nothing_until_it_is_committed() {
    let (mut world, mut publisher, _) = pair();
    publisher.declare("q", &[]).select_tx().publish("", "q", "a").go(&mut world);
    assert_eq!(world.ready("q"), Some(0));
    let commit = Method::Tx(tx::Tx::Commit(tx::Commit {}));
    assert_eq!(publisher.send(&commit).go(&mut world), []);
    world.sync();
    assert_eq!(publisher.got(&mut world), [Got::Method("tx.commit_ok")]);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn get_takes_one_and_says_when_there_is_none() {
    let (mut world, mut publisher, mut getter) = pair();
    publisher.declare("q", &[]).publish("", "q", "a").go(&mut world);
    assert_eq!(getter.get("q").go(&mut world), [Got::GetOk(1, "a".into())]);
    assert_eq!(getter.get("q").go(&mut world), [Got::Method("basic.get_empty")]);
}

#[test]
fn a_topic_goes_to_every_queue_that_asked() {
    let (mut world, mut publisher, _) = pair();
    publisher.declare("a", &[]).declare("b", &[]).declare("c", &[]);
    publisher.declare_exchange("t", "topic", &[]);
    publisher.bind("a", "t", "jobs.*.done").bind("b", "t", "jobs.#").bind("c", "t", "other");
    publisher.publish("t", "jobs.7.done", "x").go(&mut world);
    assert_eq!([world.ready("a"), world.ready("b"), world.ready("c")], [Some(1), Some(1), Some(0)]);
}

#[test]
fn a_delayed_message_comes_when_it_is_due() {
    let (mut world, mut publisher, _) = pair();
    publisher.declare("q", &[]);
    publisher.declare_exchange(
        "later",
        "x-delayed-message",
        &[("x-delayed-type", FieldValue::text("fanout"))],
    );
    publisher.bind("q", "later", "");
    let headers = [("x-delay".to_owned(), FieldValue::I32(500))].into_iter().collect();
    let properties = Properties { headers: Some(headers), delivery_mode: Some(2), ..Default::default() };
    publisher
        .publish_with(basic::Publish { exchange: "later", ..Default::default() }, &properties, "x")
        .go(&mut world);
    world.pass(499);
    assert_eq!(world.ready("q"), Some(0));
    world.pass(1);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn a_delayed_message_keeps_its_blind_copies_and_its_time_to_live() {
    for in_transaction in [false, true] {
        let (mut world, mut publisher, _) = pair();
        publisher.declare("shown", &[]).declare("blind", &[]);
        let direct = [("x-delayed-type", FieldValue::text("direct"))];
        publisher.declare_exchange("later", "x-delayed-message", &direct);
        publisher.bind("shown", "later", "shown").bind("blind", "later", "blind");
        if in_transaction {
            publisher.select_tx();
        }
        let blind = FieldValue::Array(vec![FieldValue::text("blind")]);
        let headers = [("x-delay", FieldValue::I32(500)), ("BCC", blind)];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let expiration = Some(b"100".to_vec());
        let properties =
            Properties { headers: Some(headers), delivery_mode: Some(2), expiration, ..Default::default() };
        let publish = basic::Publish { exchange: "later", routing_key: "shown", ..Default::default() };
        publisher.publish_with(publish, &properties, "x");
        if in_transaction {
            publisher.send(&Method::Tx(tx::Tx::Commit(tx::Commit {})));
        }
        publisher.go(&mut world);
        world.pass(500);
        assert_eq!([world.ready("shown"), world.ready("blind")], [Some(1), Some(1)]);
        let mut reader = world.client();
        reader.get("shown");
        let got = reader.go_whole(&mut world);
        assert!(got.iter().all(|(_, headers)| headers.find("BCC").is_none()), "{got:?}");
        world.pass(100);
        assert_eq!(world.ready("blind"), Some(0), "it expires");
    }
}

#[test]
fn a_refused_method_costs_its_channel_only() {
    let (mut world, mut publisher, mut other) = pair();
    let got = publisher.get("nowhere").go(&mut world);
    assert_eq!(got, [Got::Closed("NOT_FOUND - no queue 'nowhere' in vhost '/'".into())]);
    publisher.open_channel(&mut world, 2);
    assert_eq!(other.declare("q", &[]).go(&mut world), [Got::Method("queue.declare_ok")]);
}
