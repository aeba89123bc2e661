//! What waits for the log before others may see it, and who is told when the log or its disk takes no more.

use super::{
    World,
    harness::{Got, deliveries},
};
use crate::{amqp::value::FieldValue, vhost::Blocked};

#[test]
fn a_reader_of_a_stream_gets_what_no_crash_takes_back() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("s", &[("x-queue-type", FieldValue::text("stream"))]).consume("s", 10);
    client.go(&mut world);
    world.sync();
    client.publish("", "s", "a").publish("", "s", "b");
    assert_eq!(deliveries(&client.go(&mut world)), []);
    world.sync();
    assert_eq!(deliveries(&client.got(&mut world)), [("a", false), ("b", false)]);
}

#[test]
fn only_who_publishes_is_told_that_publishers_are_blocked() {
    let mut world = World::new();
    let (mut consumer, mut publisher) = (world.client(), world.client());
    consumer.declare("q", &[]).consume("q", 10).go(&mut world);
    publisher.publish("", "q", "a").go(&mut world);
    consumer.got(&mut world);
    world.vhost.set_blocked(Blocked::Memory, true);
    assert_eq!(publisher.got(&mut world), [Got::Method("connection.blocked")]);
    assert_eq!(consumer.got(&mut world), []);
    // With its first message it is a publisher, too.
    consumer.publish("", "nowhere", "b");
    assert_eq!(consumer.go(&mut world), [Got::Method("connection.blocked")]);
}
