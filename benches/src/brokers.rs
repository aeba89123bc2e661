//! The comparison of Weft's broker with RabbitMQ and NATS JetStream: the same client work on each, in interleaved
//! rounds, with what the broker's processes used. It knows brokers by their programs and their protocols; no crate of
//! the mesh is imported here.
//!
//! ```text
//!   core 0: publishers ─▶┐                       ┌─▶ consumers :core 0
//!                        └─▶ core 1: one broker ─┘
//! ```

pub mod case;
pub mod load;
pub mod peer;
mod report;
mod running;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Serialize;

use self::{
    case::Case,
    peer::{Peer, Programs},
    running::Running,
};
use crate::{driver::progress, process::pause, sample::Sample};

/// Looks, a hundredth of a second apart, before a broker is taken to be at rest after its start.
const REST_LOOKS: u32 = 300;

/// What `weft-bench brokers` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct BrokersArgs {
    /// Rounds of each case; the bars are held against the median of 9
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 9)]
    pub rounds: u32,
    /// Measured seconds of each broker in each round
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
    /// Some of the cases only, by name
    #[arg(long, env = "BENCH_BROKER_CASES", value_delimiter = ',')]
    pub cases: Vec<String>,
    /// Some of the brokers only
    #[arg(long, env = "BENCH_BROKERS", value_delimiter = ',')]
    pub peers: Vec<Peer>,
    /// The sidecar whose broker is measured [default: beside this program]
    #[arg(long)]
    pub sidecar: Option<PathBuf>,
    /// What starts RabbitMQ in the foreground
    #[arg(long, default_value = "benches/rabbitmq.sh")]
    pub rabbitmq: PathBuf,
    /// Where Debian's packages of RabbitMQ and NATS were unpacked
    #[arg(long, default_value = "target/bench/root")]
    pub root: PathBuf,
    /// For the brokers' data, on a disk that can be fsynced; emptied after each case
    #[arg(long, default_value = "target/bench/brokers")]
    pub dir: PathBuf,
    /// The core of publishers and consumers
    #[arg(long, default_value_t = 0)]
    pub load_core: usize,
    /// The core of the broker that is measured
    #[arg(long, default_value_t = 1)]
    pub broker_core: usize,
    /// The document whose tables are replaced
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// Where every sample goes
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// One case.
#[derive(Debug, Serialize)]
struct CaseResults {
    /// Its name.
    case: &'static str,
    /// In the order of the brokers.
    peers: Vec<PeerResults>,
}

/// One broker in one case.
#[derive(Debug, Serialize)]
struct PeerResults {
    peer: Peer,
    /// Resident memory after its start, in KiB.
    idle_kib: u64,
    /// One a round.
    samples: Vec<Sample>,
}

/// What a run needs everywhere.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a BrokersArgs,
    programs: Programs,
    /// This program: the load.
    this: PathBuf,
}

/// Compares, and writes the tables.
///
/// # Errors
/// When a part cannot be started or the document cannot be written.
pub fn run(args: &BrokersArgs) -> anyhow::Result<()> {
    let cases = cases(args)?;
    let bench = Bench::prepare(args)?;
    let mut results = Vec::new();
    for case in &cases {
        results.push(bench.compare(case)?);
        // What is measured is kept, whatever becomes of the cases to come.
        if let Some(path) = &args.json {
            fs::write(path, serde_json::to_string(&results)?)?;
        }
    }
    let text = report::markdown(&bench, &results);
    writeln!(io::stdout(), "{text}")?;
    match &args.document {
        Some(path) => report::replace_tables(path, &text),
        None => Ok(()),
    }
}

fn cases(args: &BrokersArgs) -> anyhow::Result<Vec<Case>> {
    if args.cases.is_empty() {
        return Ok(case::ALL.into());
    }
    let named = |name: &String| Case::named(name).with_context(|| format!("no case is called `{name}`"));
    args.cases.iter().map(named).collect()
}

impl<'a> Bench<'a> {
    fn prepare(args: &'a BrokersArgs) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let beside = this.parent().context("this program has no folder")?;
        let root = args.root.canonicalize().with_context(|| format!("no {}", args.root.display()))?;
        let programs = Programs {
            weft: args.sidecar.clone().unwrap_or_else(|| beside.join("weft-sidecar")),
            rabbitmq: args.rabbitmq.clone(),
            root,
        };
        Ok(Self { args, programs, this })
    }

    fn peers(&self) -> &[Peer] {
        if self.args.peers.is_empty() { &Peer::ALL } else { &self.args.peers }
    }

    fn compare(&self, case: &Case) -> anyhow::Result<CaseResults> {
        let dir = self.args.dir.join(case.name);
        let mut running = self.start(case, &dir)?;
        let mut peers = running.iter().map(PeerResults::of).collect::<anyhow::Result<Vec<_>>>()?;
        for round in 0..self.args.rounds {
            for place in 0..running.len() {
                // Each round begins with another one, so that nobody always comes after the same broker.
                let place = (place + round as usize) % running.len();
                let (Some(broker), Some(results)) = (running.get_mut(place), peers.get_mut(place)) else {
                    continue;
                };
                let sample = broker.sample(self, case)?;
                progress(&format!("{} {} {}: {}", case.name, round + 1, broker.peer.name(), line(&sample)));
                results.samples.push(sample);
            }
        }
        drop(running);
        fs::remove_dir_all(&dir)?;
        Ok(CaseResults { case: case.name, peers })
    }

    /// All that have a part in the case, at rest.
    fn start(&self, case: &Case, dir: &Path) -> anyhow::Result<Vec<Running>> {
        // JetStream has one kind of queue: a case of another kind says nothing new about it.
        let peers = self.peers().iter().filter(|peer| !(case.is_quorum && **peer == Peer::Nats));
        let mut running =
            peers.map(|peer| Running::spawn(self, *peer, dir)).collect::<anyhow::Result<Vec<_>>>()?;
        for broker in &mut running {
            broker.until_ready()?;
        }
        for _ in 0..REST_LOOKS {
            pause();
        }
        Ok(running)
    }
}

impl PeerResults {
    fn of(running: &Running) -> anyhow::Result<Self> {
        Ok(Self { peer: running.peer, idle_kib: running.resident_kib()?, samples: Vec::new() })
    }
}

fn line(sample: &Sample) -> String {
    if let Some(failure) = &sample.failure {
        return format!("{} failed: {failure}", sample.failed);
    }
    let latency = sample.latency.map(|l| format!(", p50 {} p99 {} µs", l.p50, l.p99)).unwrap_or_default();
    let (cpu, rate, busy) = (sample.cpu_micros(), sample.rate(), sample.utilisation());
    let mib = sample.resident_kib.unwrap_or_default() / 1_024;
    format!("{cpu:.2} µs, {rate:.0}/s, core {:.0} %, {mib} MiB{latency}", busy * 100.0)
}
