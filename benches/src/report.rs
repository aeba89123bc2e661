//! The tables of `docs/benchmarks.md`: bars first, then each case. What is written around them by hand stays.

mod bars;
mod machine;
mod table;

pub(crate) use self::{
    machine::{Run, describe},
    table::{Bar, KIB, failed, good, p50, p99, p999, push_row, ratio, replace_between, two},
};

use std::path::Path;

use crate::{
    case::Case,
    driver::{Bench, CaseResults, Results},
    load::Work,
    memory,
    peer::Peer,
    process,
    sample::Sample,
    statistics::Spread,
};

/// Between these lines of the document stands what a run has written.
const BEGIN: &str = "<!-- from here on written by `make bench` -->";
const END: &str = "<!-- up to here written by `make bench` -->";
const MIB: f64 = 1_024.0 * 1_024.0;

/// All tables.
pub fn markdown(bench: &Bench<'_>, results: &Results) -> String {
    let args = bench.args;
    let run = Run {
        rounds: args.rounds,
        seconds: args.seconds,
        places: format!(
            "Load and backend on core {}, the proxy on core {}.",
            args.load_core, args.proxy_core
        ),
    };
    let version = |peer: &Peer| process::version(peer.program(&bench.programs), peer.version_argument());
    let mut text = describe(&run, bench.peers().iter().map(|peer| (peer.name(), version(peer))));
    text.push_str(&bars::table(results));
    for result in &results.cases {
        let Some(case) = Case::named(result.case) else { continue };
        text.push_str(&match case.rate {
            Some(rate) => latency_table(&case, rate, result),
            None => cpu_table(&case, result),
        });
    }
    if !results.memory.is_empty() {
        text.push_str(&memory_table(results));
    }
    text
}

/// Puts the tables into the document, in the place of those of the run before.
///
/// # Errors
/// When the document cannot be read or written, or has lost its marks.
pub fn replace_tables(path: &Path, tables: &str) -> anyhow::Result<()> {
    replace_between(path, (BEGIN, END), tables)
}

fn ratio_of(result: &CaseResults, (of, to): (Peer, Peer), figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
    let samples = |peer| result.peers.iter().find(|(p, _)| *p == peer).map(|(_, samples)| samples.as_slice());
    ratio((samples(of)?, samples(to)?), figure)
}

fn cpu_table(case: &Case, result: &CaseResults) -> String {
    // Bytes are told by the MiB.
    let (unit, scale) = if case.work == Work::Tcp { ("MiB", MIB) } else { ("request", 1.0) };
    let unit = if case.work == Work::GrpcStreaming { "message" } else { unit };
    let mut text = format!(
        "### {}\n\n| | CPU µs a {unit} | min..max | of HAProxy's | of Envoy's | {unit}s a second | core |\n\
         |---|---|---|---|---|---|---|\n",
        case.title
    );
    for (peer, samples) in &result.peers {
        let cpu = Spread::of(good(samples).map(|sample| sample.cpu_micros() * scale));
        let rate = Spread::of(good(samples).map(|sample| sample.rate() / scale));
        let busy = Spread::of(good(samples).map(Sample::utilisation));
        let of = |other| ratio_of(result, (*peer, other), Sample::cpu_micros).map_or("-".to_owned(), two);
        let (haproxy, envoy) = (of(Peer::Haproxy), of(Peer::Envoy));
        let row = match (cpu, rate, busy) {
            (Some(cpu), Some(rate), Some(busy)) => format!(
                "{:.1} | {:.1}..{:.1} | {haproxy} | {envoy} | {:.0} | {:.0} %",
                cpu.median,
                cpu.min,
                cpu.max,
                rate.median,
                busy.median * 100.0
            ),
            _ => failed(samples),
        };
        push_row(&mut text, peer.name(), &row);
    }
    text.push('\n');
    text
}

fn latency_table(case: &Case, rate: u32, result: &CaseResults) -> String {
    let mut text = format!(
        "### {}, latency at {rate} requests a second\n\n| | p50 µs | p99 µs | min..max | p99.9 µs | p99 of \
         HAProxy's | CPU µs a request |\n|---|---|---|---|---|---|---|\n",
        case.title
    );
    for (peer, samples) in &result.peers {
        let spread = |quantile: fn(&Sample) -> Option<f64>| Spread::of(good(samples).filter_map(quantile));
        let row = match (spread(p50), spread(p99), spread(p999)) {
            (Some(p50), Some(p99), Some(p999)) => format!(
                "{:.0} | {:.0} | {:.0}..{:.0} | {:.0} | {} | {:.1}",
                p50.median,
                p99.median,
                p99.min,
                p99.max,
                p999.median,
                p99_ratio(result, *peer).map_or("-".to_owned(), two),
                Spread::of(good(samples).map(Sample::cpu_micros)).map_or(f64::NAN, |cpu| cpu.median),
            ),
            _ => failed(samples),
        };
        push_row(&mut text, peer.name(), &row);
    }
    text.push('\n');
    text
}

fn memory_table(results: &Results) -> String {
    let mut text = format!(
        "### Memory\n\nResident, all processes of the peer, medians.\n\n| | idle MiB | with {} idle connections, \
         MiB | of that for the connections |\n|---|---|---|---|\n",
        memory::CONNECTIONS
    );
    for (peer, memories) in &results.memory {
        let Some((idle, connected)) = bars::memory_mib(memories) else { continue };
        push_row(&mut text, peer.name(), &format!("{idle:.1} | {connected:.1} | {:.1}", connected - idle));
    }
    text.push('\n');
    text
}

fn p99_ratio(result: &CaseResults, peer: Peer) -> Option<Spread> {
    ratio_of(result, (peer, Peer::Haproxy), |sample| p99(sample).unwrap_or(f64::NAN))
}
