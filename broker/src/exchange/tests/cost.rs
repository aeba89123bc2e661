//! What 100,000 bindings cost, in processor time and memory. Printed, not asserted: `cargo nextest run --no-capture cost`.

use super::{exchange, table};
use crate::{
    amqp::value::{FieldTable, FieldValue},
    exchange::{
        QueueId,
        kind::Matching,
        message::{Message, RouteResult},
        topology::{Target, Topology},
    },
};

const BINDINGS: u32 = 100_000;
const QUEUES: u32 = 10_000;

/// Processor time of this thread, nanoseconds; 0 where there is no `/proc`.
fn spent() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or_default()
}

/// Resident memory of this process, bytes; 0 where there is no `/proc`.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4_096
}

fn pattern(matching: Matching, number: u32) -> String {
    let (region, kind) = (number % 50, number % 7);
    match (matching, number % 4) {
        (Matching::Topic, 0) => format!("region{region}.*.device{number}"),
        (Matching::Topic, 1) => format!("region{region}.sensor.device{number}.#"),
        _ => format!("region{region}.kind{kind}.device{number}"),
    }
}

fn headers(matching: Matching, number: u32) -> FieldTable {
    if matching != Matching::Headers {
        return FieldTable::new();
    }
    let kind = FieldValue::text(format!("kind{}", number % 7));
    table([("kind", kind), ("device", FieldValue::U32(number)), ("x-match", FieldValue::text("all"))])
}

fn measure(matching: Matching) {
    let mut host = Topology::new("/");
    host.declare(&exchange("e", matching)).unwrap();
    let names: Vec<_> = (0..QUEUES).map(|number| format!("queue-{number}")).collect();
    (0..).zip(&names).for_each(|(number, name)| assert!(host.add_queue(name, QueueId(number), true)));
    let keys: Vec<_> =
        (0..BINDINGS).map(|number| (pattern(matching, number), headers(matching, number))).collect();
    let (memory, start) = (resident(), spent());
    for ((key, arguments), name) in keys.iter().zip(names.iter().cycle()) {
        host.bind("e", Target::Queue(name), key, arguments).unwrap();
    }
    let (bound, bytes) = (spent() - start, resident().saturating_sub(memory));

    let rounds = if matching == Matching::Fanout { 100 } else { keys.len() };
    let (mut out, mut found, start) = (RouteResult::new(), 0, spent());
    for (key, headers) in keys.iter().take(rounds) {
        host.route(host.publishable("e").unwrap(), &Message::new(&[key], headers), &mut out);
        found += out.queues().len();
    }
    let routed = spent() - start;

    let start = spent();
    (0..QUEUES).for_each(|number| drop(host.remove_queue(QueueId(number))));
    let removed = spent() - start;
    println!(
        "{matching:?}: bind {} ns and {} B a binding; route {} ns a message, {found} found; {} ns a binding removed",
        bound / u64::from(BINDINGS),
        bytes / BINDINGS as usize,
        routed / rounds as u64,
        removed / u64::from(BINDINGS),
    );
    assert_eq!(host.bindings_from(host.find("e").unwrap()).count(), 0);
}

#[test]
fn cost_of_a_hundred_thousand_headers_bindings() {
    measure(Matching::Headers);
}

#[test]
fn cost_of_a_hundred_thousand_topic_bindings() {
    measure(Matching::Topic);
}

#[test]
fn cost_of_a_hundred_thousand_direct_bindings() {
    measure(Matching::Direct);
}

#[test]
fn cost_of_a_hundred_thousand_fanout_bindings() {
    measure(Matching::Fanout);
}
