//! Faults that were found by reading, each as a client would meet it.

use super::{
    Client, World,
    harness::{Got, deliveries},
};
use crate::{
    amqp::{
        method::{Channel, Method, basic, channel, queue, tx},
        properties::Properties,
        reply::ReplyCode,
        value::FieldValue,
    },
    policy::{ApplyTo, Level, Policy},
    queue::Address,
    vhost::{PARKED_QUEUE, refuse::Refusal},
};

fn start() -> (World, Client) {
    let mut world = World::new();
    let client = world.client();
    (world, client)
}

fn delete(client: &mut Client, queue: &str) {
    let delete = queue::Delete { queue, ..Default::default() };
    client.send(&Method::Queue(crate::amqp::method::Queue::Delete(delete)));
}

/// More than stays in memory, so that the head of the queue has to be read.
fn spill(world: &mut World, client: &mut Client, queue: &str) {
    let body = "x".repeat(3000);
    for _ in 0..20 {
        (0..100).for_each(|_| {
            client.publish("", queue, &body);
        });
        client.go(world);
        world.sync();
    }
}

#[test]
fn a_queue_that_was_only_declared_keeps_its_number_to_itself() {
    for checkpoint in [false, true] {
        let (mut world, mut client) = start();
        client.declare("a", &[]).declare("b", &[]).publish("", "a", "1").go(&mut world);
        let mut world = if checkpoint { world.restart() } else { world.crash() };
        let mut client = world.client();
        client.declare("c", &[]).publish("", "b", "2").publish("", "c", "3").go(&mut world);
        let mut world = world.crash();
        let mut client = world.client();
        assert_eq!(["a", "b", "c"].map(|queue| world.ready(queue)), [Some(1); 3]);
        delete(&mut client, "c");
        client.go(&mut world);
        assert_eq!(["a", "b", "c"].map(|queue| world.crash_and_look(queue)), [Some(1), Some(1), None]);
    }
}

#[test]
fn another_queues_time_to_live_is_not_ours() {
    let (mut world, mut client) = start();
    client.declare("short", &[("x-message-ttl", FieldValue::I32(1000))]).declare("long", &[]);
    client.declare_exchange("both", "fanout", &[]).bind("short", "both", "").bind("long", "both", "");
    client.publish("both", "", "a").go(&mut world);
    let mut world = world.crash();
    let mut client = world.client();
    client.consume("long", 1).go(&mut world);
    world.read();
    client.got(&mut world);
    client.vanish(&mut world);
    world.pass(1000);
    world.read();
    world.pass(1);
    assert_eq!([world.ready("short"), world.ready("long")], [Some(0), Some(1)]);
}

#[test]
fn how_often_a_message_came_back_outlives_a_checkpoint() {
    let (mut world, mut client) = start();
    let quorum = [("x-queue-type", FieldValue::text("quorum")), ("x-delivery-limit", FieldValue::I32(1))];
    client.declare("q", &quorum).consume("q", 1);
    client.publish("", "q", "a").go(&mut world);
    client.nack(1, true).go(&mut world);
    client.vanish(&mut world);
    let mut world = world.restart().restart();
    world.read();
    let mut client = world.client();
    client.consume("q", 1).go(&mut world);
    world.read();
    client.got(&mut world);
    client.nack(1, true).go(&mut world);
    assert_eq!([world.ready("q"), world.ready(PARKED_QUEUE)], [Some(0), Some(1)]);
}

#[test]
fn what_is_with_the_writer_still_is_read_when_it_is_written() {
    let (mut world, mut client) = start();
    client.declare("q", &[]).consume("q", 0).go(&mut world);
    let body = "x".repeat(3000);
    (0..2000).for_each(|_| {
        client.publish("", "q", &body);
    });
    client.go(&mut world);
    // More is out than a channel holds in memory, and nothing of it is on the disk.
    client.vanish(&mut world);
    world.read();
    assert_eq!(world.ready("q"), Some(2000));
    let mut client = world.client();
    let mut got = client.consume("q", 0).go(&mut world);
    for _ in 0..100 {
        world.sync();
        world.read();
        got.extend(client.got(&mut world));
    }
    assert_eq!(deliveries(&got).len(), 2000);
}

#[test]
fn a_get_that_waits_for_the_disk_is_not_for_the_next_channel() {
    let (mut world, mut client) = start();
    client.declare("q", &[]).go(&mut world);
    spill(&mut world, &mut client, "q");
    let mut world = world.crash();
    let mut client = world.client();
    client.get("q").go(&mut world);
    let refusal = Refusal::new(ReplyCode::PreconditionFailed, "too late");
    world.vhost.refuse(Address { session: client.id, channel: 1 }, &refusal);
    client.send(&Method::Channel(Channel::CloseOk(channel::CloseOk {})));
    client.go(&mut world);
    client.open_channel(&mut world, 1);
    world.read();
    let got = client.got(&mut world);
    assert!(!got.iter().any(|got| matches!(got, Got::GetOk(..))), "{got:?}");
    assert_eq!(world.ready("q"), Some(2000));
}

#[test]
fn nothing_is_listened_to_before_a_get_has_its_answer() {
    let (mut world, mut client) = start();
    client.declare("q", &[]).go(&mut world);
    spill(&mut world, &mut client, "q");
    let mut world = world.crash();
    let mut client = world.client();
    client.get("q").go(&mut world);
    assert!(!world.vhost.may_read(client.id));
    world.read();
    assert!(world.vhost.may_read(client.id));
    assert!(matches!(client.got(&mut world)[..], [Got::GetOk(1, _)]));
}

#[test]
fn a_dead_letter_waits_in_a_delayed_exchange() {
    let (mut world, mut client) = start();
    client.declare_exchange("later", "x-delayed-message", &[("x-delayed-type", FieldValue::text("fanout"))]);
    client.declare("dead", &[]).bind("dead", "later", "");
    client.declare("q", &[("x-dead-letter-exchange", FieldValue::text("later"))]).consume("q", 1);
    let headers = [("x-delay".to_owned(), FieldValue::I32(500))].into_iter().collect();
    let properties = Properties { headers: Some(headers), delivery_mode: Some(2), ..Default::default() };
    client.publish_with(basic::Publish { routing_key: "q", ..Default::default() }, &properties, "a");
    client.go(&mut world);
    client.nack(1, false).go(&mut world);
    let mut world = world.crash();
    world.read();
    world.pass(500);
    world.read();
    assert_eq!([world.ready("q"), world.ready("dead")], [Some(0), Some(1)]);
}

#[test]
fn a_long_ring_of_dead_letter_queues_ends() {
    let (mut world, mut client) = start();
    for at in 0..80 {
        let next = format!("ring-{}", (at + 1) % 80);
        let arguments = [
            ("x-message-ttl", FieldValue::I32(0)),
            ("x-dead-letter-exchange", FieldValue::text("")),
            ("x-dead-letter-routing-key", FieldValue::text(next)),
        ];
        client.declare(&format!("ring-{at}"), &arguments);
    }
    client.publish("", "ring-0", "a").go(&mut world);
    world.pass(1);
    assert!((0..80).all(|at| world.ready(&format!("ring-{at}")) == Some(0)));
}

#[test]
fn a_queue_is_no_way_back_into_itself() {
    let (mut world, mut client) = start();
    let arguments =
        [("x-message-ttl", FieldValue::I32(10)), ("x-dead-letter-exchange", FieldValue::text(""))];
    client.declare("q", &arguments).publish("", "q", "a").go(&mut world);
    world.pass(10);
    assert_eq!(world.ready("q"), Some(0));
}

#[test]
fn a_full_dead_letter_queue_refuses() {
    let (mut world, mut client) = start();
    client.declare(
        "dead",
        &[("x-max-length", FieldValue::I32(1)), ("x-overflow", FieldValue::text("reject-publish"))],
    );
    let arguments = [
        ("x-dead-letter-exchange", FieldValue::text("")),
        ("x-dead-letter-routing-key", FieldValue::text("dead")),
    ];
    client.declare("q", &arguments).consume("q", 10);
    client.publish("", "q", "a").publish("", "q", "b").go(&mut world);
    client.nack(1, false).nack(2, false).go(&mut world);
    assert_eq!([world.ready("q"), world.ready("dead")], [Some(0), Some(1)]);
}

#[test]
fn a_dead_letter_that_must_arrive_is_parked() {
    let (mut world, mut client) = start();
    let arguments = [
        ("x-queue-type", FieldValue::text("quorum")),
        ("x-overflow", FieldValue::text("reject-publish")),
        ("x-dead-letter-strategy", FieldValue::text("at-least-once")),
        ("x-dead-letter-exchange", FieldValue::text("missing")),
    ];
    client.declare("q", &arguments).consume("q", 1).publish("", "q", "a").go(&mut world);
    client.nack(1, false).go(&mut world);
    assert_eq!([world.ready("q"), world.ready(PARKED_QUEUE)], [Some(0), Some(1)]);
}

#[test]
fn what_a_transaction_rejects_is_dead_when_it_is_committed() {
    let (mut world, mut client) = start();
    let arguments = [
        ("x-dead-letter-exchange", FieldValue::text("")),
        ("x-dead-letter-routing-key", FieldValue::text("dead")),
    ];
    client.declare("dead", &[]).declare("q", &arguments).consume("q", 10).publish("", "q", "a");
    client.go(&mut world);
    world.sync();
    client.select_tx().nack(1, false);
    client.send(&Method::Tx(tx::Tx::Commit(tx::Commit {})));
    assert!(!client.go(&mut world).contains(&Got::Method("tx.commit_ok")));
    world.sync();
    assert!(client.got(&mut world).contains(&Got::Method("tx.commit_ok")));
    assert_eq!(world.crash_and_look("dead"), Some(1));
}

#[test]
fn a_stream_knows_its_times_after_a_restart() {
    for checkpoint in [false, true] {
        let (mut world, mut client) = start();
        let arguments = [("x-queue-type", FieldValue::text("stream")), ("x-max-age", FieldValue::text("1h"))];
        client.declare("s", &arguments).go(&mut world);
        for body in ["a", "b", "c"] {
            client.publish("", "s", body).go(&mut world);
            world.pass(60_000);
        }
        let mut world = if checkpoint { world.restart() } else { world.crash() };
        let mut client = world.client();
        client.follow("s", FieldValue::text("90s")).go(&mut world);
        world.read();
        assert_eq!(deliveries(&client.got(&mut world)), [("c", false)]);
        client.follow("s", FieldValue::text("10s")).go(&mut world);
        world.read();
        assert_eq!(deliveries(&client.got(&mut world)), []);
        world.pass(3_600_000);
        assert_eq!(world.ready("s"), Some(1), "the last one stays");
    }
}

#[test]
fn unfinished_contents_are_bounded_for_a_connection() {
    let (mut world, mut client) = start();
    for number in 2..40 {
        client.open_channel(&mut world, number);
    }
    let mut closed = Vec::new();
    for number in 1..40 {
        client.begin_publish(number, 5_000_000, 4_500_000);
        closed.extend(client.go(&mut world));
    }
    assert!(
        matches!(&closed[..], [Got::Closed(text)] if text.contains("unfinished or uncommitted")),
        "{closed:?}"
    );
}

#[test]
fn many_dead_ones_on_the_disk_are_buried_in_pieces() {
    let (mut world, mut client) = start();
    let arguments = [
        ("x-dead-letter-exchange", FieldValue::text("")),
        ("x-dead-letter-routing-key", FieldValue::text("dead")),
    ];
    client.declare("dead", &[]).declare("q", &arguments).go(&mut world);
    spill(&mut world, &mut client, "q");
    let mut world = world.crash();
    let limit = serde_json::json!({"max-length": 10}).as_object().expect("an object").clone();
    let policy = Policy::new(Level::User, "p", "^q$", ApplyTo::Queues, 0, limit).expect("a policy");
    world.vhost.put_policy(Level::User, policy, world.now_ms).expect("it is put");
    world.turn();
    assert!(world.loads.len() <= 520, "{}", world.loads.len());
    world.read();
    assert_eq!([world.ready("q"), world.ready("dead")], [Some(10), Some(1990)]);
    let mut client = world.client();
    let mut got = client.consume("q", 1).go(&mut world);
    world.read();
    got.extend(client.got(&mut world));
    assert_eq!(deliveries(&got).len(), 1);
}
