//! The bars that the sidecar is held to (DESIGN.md, Performance), and which of them a run has met.

use super::{Bar, KIB, p99_ratio, ratio_of};
use crate::{
    driver::{CaseResults, Results},
    memory::{CONNECTIONS, Memory},
    peer::Peer,
    sample::{Sample, as_f64},
    statistics::Spread,
};

/// Of HAProxy's CPU a request over HTTP/1.1.
const CPU_HTTP1: f64 = 1.0;
/// Of HAProxy's CPU a request over HTTP/2.
const CPU_HTTP2: f64 = 1.3;
/// Of Envoy's CPU a request.
const CPU_ENVOY: f64 = 0.3;
/// Of HAProxy's 99th percentile.
const P99: f64 = 1.1;
/// MiB, at rest and for a thousand idle connections.
const MEMORY: f64 = 10.0;

/// A row a bar that the results say something about.
pub(super) fn table(results: &Results) -> String {
    let cpu = |case, to, bar| cpu_row(results, case, to, bar);
    let mut rows: Vec<Bar> = [
        cpu("h1", Peer::Haproxy, CPU_HTTP1),
        cpu("h1-16k", Peer::Haproxy, CPU_HTTP1),
        cpu("h1-endpoints", Peer::Haproxy, CPU_HTTP1),
        cpu("h1-routes", Peer::Haproxy, CPU_HTTP1),
        cpu("h2", Peer::Haproxy, CPU_HTTP2),
        cpu("grpc", Peer::Haproxy, CPU_HTTP2),
        cpu("grpc-stream", Peer::Haproxy, CPU_HTTP2),
        cpu("h1", Peer::Envoy, CPU_ENVOY),
        cpu("h2", Peer::Envoy, CPU_ENVOY),
        cpu("grpc", Peer::Envoy, CPU_ENVOY),
        p99_row(results, "h1-rate"),
        p99_row(results, "h2-rate"),
    ]
    .into_iter()
    .flatten()
    .collect();
    rows.extend(memory_rows(results));
    Bar::table(&rows)
}

/// Idle, and with connections; medians, in MiB.
pub(super) fn memory_mib(memories: &[Memory]) -> Option<(f64, f64)> {
    let median =
        |kib: fn(&Memory) -> u64| Spread::of(memories.iter().map(|memory| as_f64(kib(memory)) / KIB));
    Some((median(|memory| memory.idle)?.median, median(|memory| memory.connected)?.median))
}

fn cpu_row(results: &Results, case: &str, to: Peer, bar: f64) -> Option<Bar> {
    let spread = ratio_of(case_results(results, case)?, (Peer::Sidecar, to), Sample::cpu_micros)?;
    Some(Bar::of_ratio(format!("CPU, `{case}`, of {}'s", to.name()), bar, spread))
}

fn p99_row(results: &Results, case: &str) -> Option<Bar> {
    let spread = p99_ratio(case_results(results, case)?, Peer::Sidecar)?;
    Some(Bar::of_ratio(format!("p99, `{case}`, of HAProxy's"), P99, spread))
}

fn memory_rows(results: &Results) -> Vec<Bar> {
    let of_sidecar = results.memory.iter().find(|(peer, _)| *peer == Peer::Sidecar);
    let Some((idle, connected)) = of_sidecar.and_then(|(_, memories)| memory_mib(memories)) else {
        return Vec::new();
    };
    let held = [
        ("idle memory, MiB".to_owned(), idle),
        (format!("{CONNECTIONS} idle connections, MiB"), connected - idle),
    ];
    let row = |(what, mib): (String, f64)| Bar {
        what,
        at_most: format!("{MEMORY:.0}"),
        measured: format!("{mib:.1}"),
        is_met: mib <= MEMORY,
    };
    held.into_iter().map(row).collect()
}

fn case_results<'a>(results: &'a Results, case: &str) -> Option<&'a CaseResults> {
    results.cases.iter().find(|result| result.case == case)
}
