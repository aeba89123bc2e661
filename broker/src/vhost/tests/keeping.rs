//! What is there after a crash, and what memory lets go of.

use super::{World, harness::deliveries};
use crate::amqp::value::FieldValue;

#[test]
fn stored_messages_and_declarations_are_there_after_a_crash() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[("x-max-priority", FieldValue::I32(3))]);
    client.declare_exchange("x", "topic", &[]).bind("q", "x", "a.#");
    client.publish("x", "a.b", "kept").publish("x", "other", "lost").go(&mut world);
    let mut world = world.crash();
    assert_eq!(world.ready("q"), Some(1));
    let mut client = world.client();
    client.publish("x", "a.c", "new").go(&mut world);
    assert_eq!(world.ready("q"), Some(2));
}

#[test]
fn an_acknowledged_message_is_gone_after_a_crash_and_one_that_was_out_is_back() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[]).consume("q", 0);
    client.publish("", "q", "a").publish("", "q", "b").go(&mut world);
    client.ack(1, false).go(&mut world);
    let world = world.crash();
    assert_eq!(world.ready("q"), Some(1));
}

#[test]
fn a_queue_that_was_deleted_stays_so() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[]).publish("", "q", "a").go(&mut world);
    let delete = crate::amqp::method::queue::Delete { queue: "q", ..Default::default() };
    client
        .send(&crate::amqp::method::Method::Queue(crate::amqp::method::Queue::Delete(delete)))
        .go(&mut world);
    assert_eq!(world.crash().ready("q"), None);
}

#[test]
fn an_exclusive_queue_goes_with_its_connection() {
    let mut world = World::new();
    let mut client = world.client();
    let declare =
        crate::amqp::method::queue::Declare { queue: "mine", exclusive: true, ..Default::default() };
    client
        .send(&crate::amqp::method::Method::Queue(crate::amqp::method::Queue::Declare(declare)))
        .go(&mut world);
    assert_eq!(world.ready("mine"), Some(0));
    client.vanish(&mut world);
    assert_eq!(world.ready("mine"), None);
}

#[test]
fn a_long_queue_leaves_memory_once_it_is_written() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[]).go(&mut world);
    let body = "x".repeat(1000);
    for _ in 0..20 {
        for _ in 0..500 {
            client.publish("", "q", &body);
        }
        client.go(&mut world);
        world.sync();
    }
    assert_eq!(world.ready("q"), Some(10_000));
    assert!(world.vhost.warm_bytes < 8 * 1024 * 1024, "{} bytes", world.vhost.warm_bytes);
    let mut consumer = world.client();
    consumer.consume("q", 10);
    assert_eq!(deliveries(&consumer.go(&mut world)).len(), 10);
}

#[test]
fn a_publisher_of_what_is_never_synced_is_read_on() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[]).go(&mut world);
    let body = "x".repeat(10_000);
    let properties = crate::amqp::properties::Properties::default();
    for _ in 0..30 {
        for _ in 0..100 {
            let publish = crate::amqp::method::basic::Publish { routing_key: "q", ..Default::default() };
            client.publish_with(publish, &properties, &body);
        }
        client.go(&mut world);
        world.sync();
        assert!(world.vhost.may_read(client.id), "with {:?} waiting", world.ready("q"));
    }
}
