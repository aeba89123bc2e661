//! The bars that Weft's broker is held to (DESIGN.md, Messaging), and which of them a run has met.

use super::p99_or_nan;
use crate::{
    brokers::{CaseResults, peer::Peer},
    report::Bar,
    sample::Sample,
};

/// CPU a persistent message, of RabbitMQ's.
const CPU_RABBITMQ: f64 = 0.2;
/// CPU a persistent message, of NATS JetStream's.
const CPU_NATS: f64 = 1.0;
/// CPU a delivery of a fan-out, of RabbitMQ's.
const CPU_FANOUT: f64 = 0.1;
/// 99th percentile of latency, of either's.
const P99: f64 = 1.0;

/// A row a bar that the results say something about.
pub(super) fn table(results: &[CaseResults]) -> String {
    let cpu = |case, to, at_most| cpu_row(results, case, to, at_most);
    let persistent =
        ["persistent-16", "persistent-256", "persistent-4k", "persistent-64k", "persistent-queues"];
    let fanout = ["fanout-10", "fanout-100", "fanout-10-persistent", "fanout-100-persistent"];
    let mut rows = Vec::new();
    rows.extend(persistent.iter().filter_map(|case| cpu(case, Peer::Rabbitmq, CPU_RABBITMQ)));
    rows.extend(persistent.iter().filter_map(|case| cpu(case, Peer::Nats, CPU_NATS)));
    rows.extend(fanout.iter().filter_map(|case| cpu(case, Peer::Rabbitmq, CPU_FANOUT)));
    rows.extend([Peer::Rabbitmq, Peer::Nats].iter().filter_map(|peer| p99_row(results, *peer)));
    if rows.is_empty() { String::new() } else { Bar::table(&rows) }
}

fn cpu_row(results: &[CaseResults], case: &str, to: Peer, at_most: f64) -> Option<Bar> {
    let result = results.iter().find(|result| result.case == case)?;
    let ratio = result.ratio((Peer::Weft, to), Sample::cpu_micros)?;
    Some(Bar::of_ratio(format!("CPU, `{case}`, of {}'s", to.name()), at_most, ratio))
}

fn p99_row(results: &[CaseResults], to: Peer) -> Option<Bar> {
    let result = results.iter().find(|result| result.case == "rate")?;
    let ratio = result.ratio((Peer::Weft, to), p99_or_nan)?;
    Some(Bar::of_ratio(format!("p99, `rate`, of {}'s", to.name()), P99, ratio))
}
