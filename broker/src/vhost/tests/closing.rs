//! What crosses on the way while a channel or a queue ends.

use super::{World, harness::Got};
use crate::amqp::method::{Method, basic, channel, queue};

#[test]
fn half_a_publish_to_a_closed_channel_is_passed_over() {
    let mut world = World::new();
    let mut client = world.client();
    client.publish("nobody-made-this", "k", "a");
    // The client hears of the error between the method and the header of its next one.
    let half = basic::Publish { exchange: "nobody-made-this", ..Default::default() };
    client.send(&Method::Basic(basic::Basic::Publish(half)));
    client.send(&Method::Channel(channel::Channel::CloseOk(channel::CloseOk {})));
    let got = client.go(&mut world);
    let text = "NOT_FOUND - no exchange 'nobody-made-this' in vhost '/'";
    assert_eq!(got, [Got::Closed(text.to_owned())]);
    client.open_channel(&mut world, 1);
}

#[test]
fn who_deletes_a_queue_hears_so_before_its_consumer_is_cancelled() {
    let mut world = World::new();
    let mut client = world.client();
    client.declare("q", &[]).consume("q", 0);
    client.go(&mut world);
    let delete = queue::Delete { queue: "q", ..Default::default() };
    let got = client.send(&Method::Queue(queue::Queue::Delete(delete))).go(&mut world);
    assert_eq!(got, [Got::Method("queue.delete_ok"), Got::Method("basic.cancel")]);
}
