//! What goes when an end goes, and what is said of it.

use super::{NO_ARGUMENTS, bind, exchange, published, small_host};
use crate::exchange::{
    QueueId,
    kind::Matching,
    topology::{Declaration, Effect, NamedBinding, Target, Topology},
};

/// Effects in short: `a>q1 k`, `-a>q1 k`, `-a`.
fn shown(effects: &[Effect]) -> Vec<String> {
    let binding = |binding: &NamedBinding| {
        let (Target::Queue(name) | Target::Exchange(name)) = binding.destination.target();
        let durable = if binding.durable { "" } else { " transient" };
        format!("{}>{name} {}{durable}", binding.source, binding.key)
    };
    let mut shown: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Bound(bound) => binding(bound),
            Effect::Unbound(gone) => format!("-{}", binding(gone)),
            Effect::ExchangeDeleted { name, .. } => format!("-{name}"),
        })
        .collect();
    shown.sort();
    shown
}

fn with_auto(host: &mut Topology, name: &str) {
    host.declare(&Declaration { auto_delete: true, ..exchange(name, Matching::Fanout) }).unwrap();
}

#[test]
fn a_virtual_host_begins_with_rabbitmq_s_exchanges() {
    let host = Topology::new("/");
    let mut names: Vec<_> = host
        .exchanges()
        .map(|(_, exchange)| {
            (exchange.name(), exchange.attributes().kind.name(), exchange.attributes().internal)
        })
        .collect();
    names.sort_unstable();
    let expected = [
        ("", "direct", false),
        ("amq.direct", "direct", false),
        ("amq.fanout", "fanout", false),
        ("amq.headers", "headers", false),
        ("amq.match", "headers", false),
        ("amq.rabbitmq.trace", "topic", true),
        ("amq.topic", "topic", false),
    ];
    assert_eq!(names, expected);
    assert!(host.exchanges().all(|(_, exchange)| exchange.attributes().durable));
}

#[test]
fn a_binding_is_made_once_and_is_durable_if_both_ends_are() {
    let mut host = small_host();
    host.add_queue("fleeting", QueueId(20), false);
    let mut bound = |to| host.bind("a", to, "k", &NO_ARGUMENTS).unwrap();
    assert_eq!(shown(&Vec::from_iter(bound(Target::Queue("q1")))), ["a>q1 k"]);
    assert_eq!(bound(Target::Queue("q1")), None);
    assert_eq!(shown(&Vec::from_iter(bound(Target::Queue("fleeting")))), ["a>fleeting k transient"]);
    assert_eq!(shown(&Vec::from_iter(bound(Target::Exchange("b")))), ["a>b k"]);
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let mut host = small_host();
    with_auto(&mut host, "auto");
    assert_eq!(host.unbind("auto", Target::Queue("q1"), "", &NO_ARGUMENTS), Ok(vec![]));
    bind(&mut host, "auto", Target::Queue("q1"), "");
    bind(&mut host, "auto", Target::Queue("q2"), "");
    bind(&mut host, "a", Target::Exchange("auto"), "k");
    let effects = host.unbind("auto", Target::Queue("q1"), "", &NO_ARGUMENTS).unwrap();
    assert_eq!(shown(&effects), ["-auto>q1 "]);
    let effects = host.unbind("auto", Target::Queue("q2"), "", &NO_ARGUMENTS).unwrap();
    assert_eq!(shown(&effects), ["-a>auto k", "-auto", "-auto>q2 "]);
    assert_eq!(host.find("auto"), None);
    assert!(host.exchange(host.find("a").unwrap()).unwrap().routes().is_empty());
}

#[test]
fn a_deleted_queue_takes_a_chain_of_auto_delete_exchanges_along() {
    let mut host = small_host();
    for name in ["one", "two", "three"] {
        with_auto(&mut host, name);
    }
    bind(&mut host, "one", Target::Exchange("two"), "");
    bind(&mut host, "two", Target::Exchange("three"), "");
    bind(&mut host, "three", Target::Queue("q1"), "");
    bind(&mut host, "a", Target::Queue("q1"), "k");
    let effects = host.remove_queue(QueueId(1));
    assert_eq!(
        shown(&effects),
        ["-a>q1 k", "-one", "-one>two ", "-three", "-three>q1 ", "-two", "-two>three "]
    );
    assert!(host.find("a").is_some());
    assert_eq!(published(&host, "", "q1"), [0; 0]);
}

#[test]
fn a_deleted_exchange_leaves_no_binding_behind() {
    let mut host = small_host();
    bind(&mut host, "a", Target::Exchange("b"), "k");
    bind(&mut host, "b", Target::Exchange("b"), "k");
    bind(&mut host, "b", Target::Queue("q1"), "k");
    let effects = host.delete("b", false).unwrap();
    assert_eq!(shown(&effects), ["-a>b k", "-b", "-b>b k", "-b>q1 k"]);
    host.declare(&exchange("again", Matching::Direct)).unwrap();
    assert_eq!(host.bindings_to(host.destination(Target::Queue("q1")).unwrap()).count(), 0);
    assert_eq!(published(&host, "a", "k"), [0; 0]);
}

#[test]
fn bindings_are_listed_from_and_to() {
    let mut host = small_host();
    bind(&mut host, "a", Target::Queue("q1"), "x");
    bind(&mut host, "b", Target::Queue("q1"), "y");
    bind(&mut host, "a", Target::Exchange("b"), "z");
    let from: Vec<_> = host.bindings_from(host.find("a").unwrap()).map(Effect::Bound).collect();
    assert_eq!(shown(&from), ["a>b z", "a>q1 x"]);
    let queue = host.destination(Target::Queue("q1")).unwrap();
    let to: Vec<_> = host.bindings_to(queue).map(Effect::Bound).collect();
    assert_eq!(shown(&to), ["a>q1 x", "b>q1 y"]);
}

#[test]
fn a_queue_s_name_and_number_are_its_own() {
    let mut host = small_host();
    assert!(!host.add_queue("q1", QueueId(50), true));
    assert!(!host.add_queue("other", QueueId(1), true));
    assert!(!host.add_queue("far", QueueId(u32::MAX), true));
    host.remove_queue(QueueId(1));
    assert!(host.add_queue("q1", QueueId(1), true));
    assert_eq!(host.queues().len(), 10);
}
