//! What is there after a crash, and what memory lets go of.

use super::{
    World,
    harness::{Client, deliveries},
};
use crate::{amqp::value::FieldValue, vhost::store::READ_BACK_MS};

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

/// Fills the queue `q` with 10,000 messages.
fn fill(world: &mut World) -> Client {
    let mut client = world.client();
    client.declare("q", &[]).go(world);
    let body = "x".repeat(1000);
    for _ in 0..20 {
        for _ in 0..500 {
            client.publish("", "q", &body);
        }
        client.go(world);
        world.sync();
    }
    client
}

#[test]
fn a_long_queue_leaves_memory_once_it_is_written() {
    let mut world = World::new();
    fill(&mut world);
    assert_eq!(world.ready("q"), Some(10_000));
    assert!(world.vhost.warm_bytes < 8 * 1024 * 1024, "{} bytes", world.vhost.warm_bytes);
    let mut consumer = world.client();
    consumer.consume("q", 10);
    assert_eq!(deliveries(&consumer.go(&mut world)).len(), 10);
}

#[test]
fn what_comes_while_messages_are_read_back_is_written_through_the_cache() {
    let mut world = World::new();
    let mut client = fill(&mut world);
    let mut written_past_cache = |world: &mut World| {
        client.publish("", "q", "more").go(world);
        world.sync();
        world.past_cache
    };
    assert!(written_past_cache(&mut world));
    let mut consumer = world.client();
    consumer.consume("q", 0);
    consumer.go(&mut world);
    world.read();
    assert!(!written_past_cache(&mut world));
    for _ in 0..1_000 {
        consumer.go(&mut world);
        world.read();
    }
    assert_eq!(world.ready("q"), Some(0));
    world.pass(READ_BACK_MS);
    assert!(written_past_cache(&mut world));
}

#[test]
fn what_was_there_before_the_start_is_not_recent() {
    let mut world = World::new();
    fill(&mut world);
    let mut world = world.crash();
    let mut client = world.client();
    client.consume("q", 100).go(&mut world);
    world.read();
    client.publish("", "q", "more").go(&mut world);
    world.sync();
    assert!(world.past_cache);
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
