//! Lengths, times, priorities, dead letters.

use super::{
    Client, World,
    harness::{Got, deliveries},
};
use crate::amqp::{method::basic, properties::Properties, value::FieldValue};

fn start() -> (World, Client) {
    let mut world = World::new();
    let client = world.client();
    (world, client)
}

fn publish(client: &mut Client, queue: &str, bodies: &[&str]) {
    for body in bodies {
        client.publish("", queue, body);
    }
}

#[test]
fn the_head_goes_when_the_queue_is_too_long() {
    let (mut world, mut client) = start();
    client.declare("q", &[("x-max-length", FieldValue::I32(2))]);
    publish(&mut client, "q", &["a", "b", "c"]);
    client.go(&mut world);
    client.consume("q", 0);
    assert_eq!(deliveries(&client.go(&mut world)), [("b", false), ("c", false)]);
}

#[test]
fn a_full_queue_refuses_where_it_is_told_to() {
    let (mut world, mut client) = start();
    let arguments =
        [("x-max-length", FieldValue::I32(1)), ("x-overflow", FieldValue::text("reject-publish"))];
    client.declare("q", &arguments).confirm();
    publish(&mut client, "q", &["a", "b"]);
    client.go(&mut world);
    world.sync();
    client.publish("", "q", "c");
    let got = client.go(&mut world);
    assert!(got.contains(&Got::Nack(3)), "{got:?}");
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn an_expired_message_goes_to_the_dead_letter_exchange_with_its_story() {
    let (mut world, mut client) = start();
    let arguments = [
        ("x-message-ttl", FieldValue::I32(100)),
        ("x-dead-letter-exchange", FieldValue::text("")),
        ("x-dead-letter-routing-key", FieldValue::text("dead")),
    ];
    client.declare("q", &arguments).declare("dead", &[]);
    publish(&mut client, "q", &["a"]);
    client.go(&mut world);
    world.pass(99);
    assert_eq!(world.ready("dead"), Some(0));
    world.pass(1);
    assert_eq!((world.ready("q"), world.ready("dead")), (Some(0), Some(1)));
    let (got, headers) = client.get("dead").go_whole(&mut world).remove(0);
    assert_eq!(got, Got::GetOk(1, "a".into()));
    assert_eq!(headers.find("x-first-death-reason").and_then(FieldValue::as_str), Some("expired"));
    assert_eq!(headers.find("x-first-death-queue").and_then(FieldValue::as_str), Some("q"));
}

#[test]
fn an_expiration_of_its_own_counts_as_well() {
    let (mut world, mut client) = start();
    client.declare("q", &[]);
    let properties = Properties { expiration: Some("50".into()), ..Default::default() };
    client.publish_with(basic::Publish { routing_key: "q", ..Default::default() }, &properties, "a");
    client.go(&mut world);
    world.pass(50);
    assert_eq!(world.ready("q"), Some(0));
}

#[test]
fn a_higher_priority_goes_first() {
    let (mut world, mut client) = start();
    client.declare("q", &[("x-max-priority", FieldValue::I32(5))]);
    for (priority, body) in [(1, "low"), (5, "high"), (9, "higher than there is")] {
        let properties = Properties { priority: Some(priority), ..Default::default() };
        client.publish_with(basic::Publish { routing_key: "q", ..Default::default() }, &properties, body);
    }
    client.go(&mut world);
    client.consume("q", 0);
    let got = client.go(&mut world);
    assert_eq!(deliveries(&got), [("high", false), ("higher than there is", false), ("low", false)]);
}

#[test]
fn what_comes_back_too_often_is_parked() {
    let (mut world, mut client) = start();
    let quorum = [("x-queue-type", FieldValue::text("quorum")), ("x-delivery-limit", FieldValue::I32(1))];
    client.declare("q", &quorum).consume("q", 0);
    publish(&mut client, "q", &["a"]);
    client.go(&mut world);
    client.nack(1, true).go(&mut world);
    assert_eq!(world.ready(crate::vhost::PARKED_QUEUE), None);
    client.nack(2, true).go(&mut world);
    assert_eq!(world.ready(crate::vhost::PARKED_QUEUE), Some(1));
}

#[test]
fn what_comes_back_too_often_is_parked_where_its_exchange_leads_nowhere() {
    for (exchange, queue) in [("missing", None), ("amq.direct", None), ("", Some("q"))] {
        let (mut world, mut client) = start();
        let mut arguments = vec![
            ("x-queue-type", FieldValue::text("quorum")),
            ("x-delivery-limit", FieldValue::I32(0)),
            ("x-dead-letter-exchange", FieldValue::text(exchange)),
        ];
        arguments.extend(queue.map(|queue| ("x-dead-letter-routing-key", FieldValue::text(queue))));
        client.declare("q", &arguments).consume("q", 0);
        let properties = Properties { delivery_mode: Some(1), ..Default::default() };
        client.publish_with(basic::Publish { routing_key: "q", ..Default::default() }, &properties, "a");
        client.go(&mut world);
        client.nack(1, true).go(&mut world);
        client.vanish(&mut world);
        let parked = || crate::vhost::PARKED_QUEUE;
        let in_all = world.ready(parked()).unwrap_or(0) + world.ready("q").unwrap_or(0);
        assert_eq!(in_all, 1, "{exchange}");
        let world = world.crash();
        let in_all = world.ready(parked()).unwrap_or(0) + world.ready("q").unwrap_or(0);
        assert_eq!(in_all, 1, "{exchange}: also after a crash");
    }
}

#[test]
fn an_unused_queue_expires() {
    let (mut world, mut client) = start();
    client.declare("q", &[("x-expires", FieldValue::I32(100))]).go(&mut world);
    world.pass(99);
    assert_eq!(world.ready("q"), Some(0));
    world.pass(1);
    assert_eq!(world.ready("q"), None);
}
