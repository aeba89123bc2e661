//! Publisher deduplication: what a queue has seen is left out, also after a crash, and confirmed no sooner than the first.

use super::{Client, World, harness::Got};
use crate::amqp::{
    method::{Method, basic, tx},
    properties::Properties,
    value::FieldValue,
};

const DEDUPLICATES: (&str, FieldValue) = ("x-message-deduplication", FieldValue::Bool(true));

fn start(arguments: &[(&str, FieldValue)]) -> (World, Client) {
    let mut world = World::new();
    let mut client = world.client();
    let arguments = [&[DEDUPLICATES], arguments].concat();
    client.declare("q", &arguments).go(&mut world);
    (world, client)
}

fn publish(client: &mut Client, id: &str, more: &[(&str, FieldValue)]) {
    publish_as(client, id, more, 2);
}

fn publish_as(client: &mut Client, id: &str, more: &[(&str, FieldValue)], delivery_mode: u8) {
    let id = [("x-deduplication-header", FieldValue::text(id))];
    let headers = id.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let properties =
        Properties { headers: Some(headers), delivery_mode: Some(delivery_mode), ..Default::default() };
    client.publish_with(basic::Publish { routing_key: "q", ..Default::default() }, &properties, "x");
}

#[test]
fn a_repeated_message_is_left_out() {
    let (mut world, mut client) = start(&[]);
    for id in ["a", "b", "a"] {
        publish(&mut client, id, &[]);
    }
    client.go(&mut world);
    assert_eq!(world.ready("q"), Some(2));
}

#[test]
fn a_repeated_message_is_left_out_after_a_crash_and_when_the_first_is_gone() {
    let (mut world, mut client) = start(&[]);
    publish(&mut client, "a", &[]);
    client.consume("q", 0).go(&mut world);
    client.ack(1, false).go(&mut world);
    assert_eq!(world.ready("q"), Some(0));
    let mut world = world.crash();
    let mut client = world.client();
    publish(&mut client, "a", &[]);
    publish(&mut client, "b", &[]);
    client.go(&mut world);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn what_a_crash_takes_may_come_again() {
    let (mut world, mut client) = start(&[]);
    publish_as(&mut client, "a", &[], 1);
    client.go(&mut world);
    let mut world = world.crash();
    assert_eq!(world.ready("q"), Some(0));
    let mut client = world.client();
    publish(&mut client, "a", &[]);
    client.go(&mut world);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn a_repeated_message_is_confirmed_no_sooner_than_the_first() {
    let (mut world, mut first) = start(&[]);
    world.sync();
    publish(&mut first, "a", &[]);
    first.go(&mut world);
    let mut second = world.client();
    second.confirm();
    publish(&mut second, "a", &[]);
    assert_eq!(second.go(&mut world), []);
    world.sync();
    assert_eq!(second.got(&mut world), [Got::Ack(1, false)]);
}

#[test]
fn a_refused_message_is_not_remembered() {
    let (mut world, mut client) =
        start(&[("x-max-length", FieldValue::I32(1)), ("x-overflow", FieldValue::text("reject-publish"))]);
    client.confirm();
    publish(&mut client, "a", &[]);
    publish(&mut client, "b", &[]);
    assert_eq!(client.go(&mut world), [Got::Nack(2)]);
    world.sync();
    client.get("q").go(&mut world);
    publish(&mut client, "b", &[]);
    client.go(&mut world);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn a_message_says_itself_for_how_long() {
    let (mut world, mut client) = start(&[("x-cache-ttl", FieldValue::I32(1_000))]);
    let ttl = [("x-cache-ttl", FieldValue::I32(10))];
    publish(&mut client, "a", &ttl);
    publish(&mut client, "b", &[]);
    client.go(&mut world);
    world.pass(10);
    publish(&mut client, "a", &ttl);
    publish(&mut client, "b", &[]);
    client.go(&mut world);
    assert_eq!(world.ready("q"), Some(3));
}

#[test]
fn a_transaction_publishes_once() {
    let (mut world, mut client) = start(&[]);
    client.select_tx();
    publish(&mut client, "a", &[]);
    publish(&mut client, "a", &[]);
    client.send(&Method::Tx(tx::Tx::Commit(tx::Commit {}))).go(&mut world);
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn a_deduplicating_exchange_lets_a_message_pass_once() {
    for restarts in [false, true] {
        let mut world = World::new();
        let mut client = world.client();
        client.declare_exchange("x", "x-message-deduplication", &[("x-cache-size", FieldValue::I32(2))]);
        client.declare("a", &[]).declare("b", &[]).bind("a", "x", "").bind("b", "x", "other");
        let send = |client: &mut Client, id: &str| {
            let headers = [("x-deduplication-header".to_owned(), FieldValue::text(id))].into_iter().collect();
            let properties =
                Properties { headers: Some(headers), delivery_mode: Some(2), ..Default::default() };
            let publish = basic::Publish { exchange: "x", mandatory: true, ..Default::default() };
            client.publish_with(publish, &properties, id);
        };
        send(&mut client, "1");
        send(&mut client, "1");
        client.go(&mut world);
        let mut world = if restarts { world.restart() } else { world.crash() };
        let mut client = world.client();
        client.confirm();
        send(&mut client, "1");
        assert_eq!(client.go(&mut world), [Got::Ack(1, false)], "it is not returned");
        assert_eq!([world.ready("a"), world.ready("b")], [Some(1); 2]);
        for id in ["2", "3", "1"] {
            send(&mut client, id);
        }
        client.go(&mut world);
        assert_eq!([world.ready("a"), world.ready("b")], [Some(4); 2], "the window has two");
    }
}

#[test]
fn a_deduplicating_exchange_says_how_much_it_remembers() {
    let mut world = World::new();
    let mut client = world.client();
    let got = client.declare_exchange("x", "x-message-deduplication", &[]).go(&mut world);
    assert!(matches!(&got[..], [Got::Closed(text)] if text.contains("x-cache-size")), "{got:?}");
}
