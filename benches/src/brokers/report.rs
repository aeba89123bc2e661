//! The brokers' tables of `docs/benchmarks.md`: bars first, then each case.

mod bars;

use std::{fmt::Write, path::Path};

use super::{
    Bench, CaseResults, PeerResults,
    case::{Case, Pace},
    peer::Peer,
};
use crate::{
    report::{KIB, Run, describe, failed, good, p50, p99, p999, push_row, ratio, replace_between, two},
    sample::{Sample, as_f64},
    statistics::Spread,
};

/// Between these lines of the document stands what a run has written.
const BEGIN: &str = "<!-- from here on written by `make bench`, brokers -->";
const END: &str = "<!-- up to here written by `make bench`, brokers -->";

/// All tables.
pub(super) fn markdown(bench: &Bench<'_>, results: &[CaseResults]) -> String {
    let args = bench.args;
    let run = Run {
        rounds: args.rounds,
        seconds: args.seconds,
        places: format!("Clients on core {}, the broker on core {}.", args.load_core, args.broker_core),
    };
    let versions = bench.peers().iter().map(|peer| (peer.name(), peer.version(&bench.programs)));
    let mut text = describe(&run, versions);
    text.push_str(&bars::table(results));
    for result in results {
        let Some(case) = Case::named(result.case) else { continue };
        text.push_str(&match case.pace {
            Pace::Rate(rate) => latency_table(&case, rate, result),
            Pace::Closed | Pace::Backlog(_) => cpu_table(&case, result),
        });
    }
    text
}

/// Puts the tables into the document, in the place of those of the run before.
///
/// # Errors
/// When the document cannot be read or written, or has lost its marks.
pub(super) fn replace_tables(path: &Path, tables: &str) -> anyhow::Result<()> {
    replace_between(path, (BEGIN, END), tables)
}

impl CaseResults {
    fn samples(&self, peer: Peer) -> &[Sample] {
        self.peers.iter().find(|results| results.peer == peer).map_or(&[], |results| &results.samples)
    }

    fn ratio(&self, (of, to): (Peer, Peer), figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        ratio((self.samples(of), self.samples(to)), figure)
    }

    fn ratio_text(&self, pair: (Peer, Peer), figure: impl Fn(&Sample) -> f64) -> String {
        self.ratio(pair, figure).map_or("-".to_owned(), two)
    }
}

fn cpu_table(case: &Case, result: &CaseResults) -> String {
    let unit = case.unit();
    let units = if case.is_fanout { "deliveries" } else { "messages" };
    let mut text = format!(
        "### {}\n\n| | CPU µs a {unit} | min..max | of RabbitMQ's | of NATS's | {units} a second | core | MiB, at \
         start MiB |\n|---|---|---|---|---|---|---|---|\n",
        case.title
    );
    for results in &result.peers {
        let samples = &results.samples;
        let cpu = Spread::of(good(samples).map(Sample::cpu_micros));
        let rate = Spread::of(good(samples).map(Sample::rate));
        let busy = Spread::of(good(samples).map(Sample::utilisation));
        let of = |other| result.ratio_text((results.peer, other), Sample::cpu_micros);
        let row = match (cpu, rate, busy) {
            (Some(cpu), Some(rate), Some(busy)) => format!(
                "{:.1} | {:.1}..{:.1} | {} | {} | {:.0} | {:.0} % | {}",
                cpu.median,
                cpu.min,
                cpu.max,
                of(Peer::Rabbitmq),
                of(Peer::Nats),
                rate.median,
                busy.median * 100.0,
                memory(results)
            ),
            _ => failed(samples),
        };
        push_row(&mut text, results.peer.name(), &row);
    }
    text.push('\n');
    text
}

fn latency_table(case: &Case, rate: u32, result: &CaseResults) -> String {
    let mut text = format!(
        "### {}, latency from publish to delivery at {rate} messages a second\n\n| | p50 µs | p99 µs | min..max | \
         p99.9 µs | p99 of RabbitMQ's | p99 of NATS's | CPU µs a message | MiB, at start MiB \
         |\n|---|---|---|---|---|---|---|---|---|\n",
        case.title
    );
    for results in &result.peers {
        let samples = &results.samples;
        let spread = |quantile: fn(&Sample) -> Option<f64>| Spread::of(good(samples).filter_map(quantile));
        let of = |other| result.ratio_text((results.peer, other), p99_or_nan);
        let row = match (spread(p50), spread(p99), spread(p999)) {
            (Some(p50), Some(p99), Some(p999)) => format!(
                "{:.0} | {:.0} | {:.0}..{:.0} | {:.0} | {} | {} | {:.1} | {}",
                p50.median,
                p99.median,
                p99.min,
                p99.max,
                p999.median,
                of(Peer::Rabbitmq),
                of(Peer::Nats),
                Spread::of(good(samples).map(Sample::cpu_micros)).map_or(f64::NAN, |cpu| cpu.median),
                memory(results)
            ),
            _ => failed(samples),
        };
        push_row(&mut text, results.peer.name(), &row);
    }
    text.push('\n');
    text
}

/// At the end of a round (of a backlog: when it was whole), and after the start.
fn memory(results: &PeerResults) -> String {
    let under_load = good(&results.samples).filter_map(|sample| sample.resident_kib);
    let mut text = match Spread::of(under_load.map(|kib| as_f64(kib) / KIB)) {
        Some(spread) => format!("{:.0}", spread.median),
        None => "-".to_owned(),
    };
    // Nothing fails when text is appended to a string.
    let _never = write!(text, ", {:.0}", as_f64(results.idle_kib) / KIB);
    text
}

fn p99_or_nan(sample: &Sample) -> f64 {
    p99(sample).unwrap_or(f64::NAN)
}
