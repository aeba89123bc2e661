//! Routing through the topology: default exchange, chains, cycles, alternates, extra keys.

use super::{bind, exchange, published, small_host, sorted, table};
use crate::{
    amqp::value::FieldValue,
    exchange::{
        kind::Matching,
        message::{Message, RouteResult},
        topology::{DEFAULT, Declaration, Target, Topology},
    },
};

fn with_alternate(host: &mut Topology, name: &str, alternate: &str) {
    let arguments = table([("alternate-exchange", FieldValue::text(alternate))]);
    host.declare(&Declaration { arguments: &arguments, ..exchange(name, Matching::Direct) }).unwrap();
}

#[test]
fn the_default_exchange_reaches_a_queue_by_its_name() {
    let host = small_host();
    assert_eq!(published(&host, "", "q3"), [3]);
    assert_eq!(published(&host, "", "nobody"), [0; 0]);
}

#[test]
fn a_queue_bound_twice_gets_one_copy() {
    let mut host = small_host();
    for key in ["one", "two"] {
        bind(&mut host, "amq.fanout", Target::Queue("q1"), key);
    }
    bind(&mut host, "amq.fanout", Target::Queue("q2"), "");
    let mut out = RouteResult::new();
    host.route(host.find("amq.fanout").unwrap(), &Message::bare(&["any"]), &mut out);
    assert_eq!((out.queues().len(), sorted(&out)), (2, vec![1, 2]));
}

#[test]
fn copies_by_further_keys_reach_their_queues_too() {
    let mut host = small_host();
    for (queue, key) in [("q1", "one"), ("q2", "two"), ("q2", "three")] {
        bind(&mut host, "a", Target::Queue(queue), key);
    }
    let mut out = RouteResult::new();
    host.route(host.find("a").unwrap(), &Message::bare(&["one", "two", "three"]), &mut out);
    assert_eq!(sorted(&out), [1, 2]);
    host.route(DEFAULT, &Message::bare(&["q4", "q5", "q4"]), &mut out);
    assert_eq!(sorted(&out), [4, 5]);
}

#[test]
fn a_cycle_of_exchanges_ends() {
    let mut host = small_host();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")] {
        bind(&mut host, from, Target::Exchange(to), "k");
    }
    bind(&mut host, "c", Target::Queue("q1"), "k");
    bind(&mut host, "a", Target::Queue("q1"), "k");
    assert_eq!(published(&host, "b", "k"), [1]);
}

#[test]
fn alternates_are_followed_one_after_the_other() {
    let mut host = small_host();
    with_alternate(&mut host, "first", "second");
    with_alternate(&mut host, "second", "amq.fanout");
    bind(&mut host, "amq.fanout", Target::Queue("q9"), "");
    bind(&mut host, "first", Target::Queue("q1"), "k");
    assert_eq!(published(&host, "first", "other"), [9]);
    assert_eq!(published(&host, "first", "k"), [1]);
}

#[test]
fn an_exchange_that_led_to_another_asks_no_alternate() {
    let mut host = small_host();
    with_alternate(&mut host, "first", "amq.fanout");
    bind(&mut host, "amq.fanout", Target::Queue("q9"), "");
    bind(&mut host, "first", Target::Exchange("a"), "k");
    assert_eq!(published(&host, "first", "k"), [0; 0]);
}

#[test]
fn an_exchange_along_the_way_asks_its_own_alternate() {
    let mut host = small_host();
    with_alternate(&mut host, "second", "amq.fanout");
    bind(&mut host, "amq.fanout", Target::Queue("q9"), "");
    bind(&mut host, "a", Target::Queue("q1"), "k");
    bind(&mut host, "a", Target::Exchange("second"), "k");
    assert_eq!(published(&host, "a", "k"), [1, 9]);
}

#[test]
fn an_alternate_that_is_missing_or_leads_back_is_no_harm() {
    let mut host = small_host();
    with_alternate(&mut host, "lost", "nowhere");
    with_alternate(&mut host, "self", "self");
    assert_eq!(published(&host, "lost", "k"), [0; 0]);
    assert_eq!(published(&host, "self", "k"), [0; 0]);
}

#[test]
fn a_policy_gives_an_alternate_and_an_argument_wins() {
    let mut host = small_host();
    with_alternate(&mut host, "own", "amq.fanout");
    bind(&mut host, "amq.fanout", Target::Queue("q9"), "");
    bind(&mut host, "amq.direct", Target::Queue("q8"), "k");
    assert!(host.set_policy_alternate("own", Some("amq.direct")));
    assert!(host.set_policy_alternate("a", Some("amq.direct")));
    assert_eq!(published(&host, "own", "k"), [9]);
    assert_eq!(published(&host, "a", "k"), [8]);
    host.set_policy_alternate("a", None);
    assert_eq!(published(&host, "a", "k"), [0; 0]);
    assert!(!host.set_policy_alternate("nowhere", None));
}

#[test]
fn a_result_is_the_last_message_s_alone() {
    let mut host = small_host();
    bind(&mut host, "a", Target::Queue("q1"), "k");
    let mut out = RouteResult::new();
    let a = host.find("a").unwrap();
    for (key, expected) in [("k", vec![1]), ("none", vec![]), ("k", vec![1])] {
        host.route(a, &Message::bare(&[key]), &mut out);
        assert_eq!((sorted(&out), out.is_unroutable()), (expected.clone(), expected.is_empty()));
    }
}
