//! Runs the comparison: starts backend and peers, takes the rounds in turn, and hands what came of it to the
//! report. What a figure means is the report's affair.

pub mod ends;
pub mod rules;
pub mod running;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Serialize;

use self::{ends::Backend, running::Running};
use crate::{
    case::{self, Case},
    memory::{self, Memory},
    peer::{Peer, Programs},
    report,
    sample::Sample,
};

/// What `weft-bench run` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Rounds of each case; the bars are held against the median of 9
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 9)]
    pub rounds: u32,
    /// Measured seconds of each peer in each round
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
    /// Some of the cases only, by name; `memory` is one
    #[arg(long, env = "BENCH_CASES", value_delimiter = ',')]
    pub cases: Vec<String>,
    /// Some of the peers only
    #[arg(long, env = "BENCH_PEERS", value_delimiter = ',')]
    pub peers: Vec<Peer>,
    /// The sidecar to measure [default: beside this program]
    #[arg(long)]
    pub sidecar: Option<PathBuf>,
    /// Envoy, wherever it was installed
    #[arg(long, default_value = "envoy")]
    pub envoy: PathBuf,
    /// Where HAProxy is
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    pub haproxy: PathBuf,
    /// Where nginx is
    #[arg(long, default_value = "/usr/sbin/nginx")]
    pub nginx: PathBuf,
    /// The core of load and backend
    #[arg(long, default_value_t = 0)]
    pub load_core: usize,
    /// The core of the proxy that is measured
    #[arg(long, default_value_t = 1)]
    pub proxy_core: usize,
    /// The document whose tables are replaced
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// Where every sample goes
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Case by case.
    pub cases: Vec<CaseResults>,
    /// At rest and with idle connections.
    pub memory: Vec<(Peer, Vec<Memory>)>,
}

/// One case.
#[derive(Debug, Serialize)]
pub struct CaseResults {
    /// Its name.
    pub case: &'static str,
    /// A sample a round of each peer that has a part in it, in the order of the peers.
    pub peers: Vec<(Peer, Vec<Sample>)>,
}

/// What a run needs everywhere.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What was asked for.
    pub args: &'a RunArgs,
    /// Where the programs are.
    pub programs: Programs,
    /// This program: load and backend.
    pub this: PathBuf,
    /// For the peers' files; emptied after each case.
    pub dir: PathBuf,
    /// What answers.
    pub backend: Backend,
}

/// Compares, and writes the tables.
///
/// # Errors
/// When a part cannot be started or the document cannot be written.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let cases = cases(args)?;
    let bench = Bench::prepare(args)?;
    let mut results = Results { cases: Vec::new(), memory: Vec::new() };
    for case in &cases {
        results.cases.push(bench.compare(case)?);
    }
    if args.cases.is_empty() || args.cases.iter().any(|name| name == memory::NAME) {
        results.memory = memory::measure(&bench)?;
    }
    fs::remove_dir_all(&bench.dir)?;
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string(&results)?)?;
    }
    let text = report::markdown(&bench, &results);
    writeln!(io::stdout(), "{text}")?;
    match &args.document {
        Some(path) => report::replace_tables(path, &text),
        None => Ok(()),
    }
}

fn cases(args: &RunArgs) -> anyhow::Result<Vec<Case>> {
    if args.cases.is_empty() {
        return Ok(case::ALL.into());
    }
    let names = args.cases.iter().filter(|name| *name != memory::NAME);
    names.map(|name| Case::named(name).with_context(|| format!("no case is called `{name}`"))).collect()
}

/// Tells the person at the keyboard how far it is.
pub fn progress(text: &str) {
    // Nobody needs to hear it.
    let _unheard = writeln!(io::stderr(), "{text}");
}

impl<'a> Bench<'a> {
    fn prepare(args: &'a RunArgs) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let beside = this.parent().context("this program has no folder")?;
        let dir = std::env::temp_dir().join(format!("weft-bench-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let programs = Programs {
            control_plane: beside.join("weft-control-plane"),
            sidecar: args.sidecar.clone().unwrap_or_else(|| beside.join("weft-sidecar")),
            bare: beside.join("bare-proxy"),
            haproxy: args.haproxy.clone(),
            nginx: args.nginx.clone(),
            envoy: args.envoy.clone(),
        };
        let backend = Backend::start(args.load_core, &this)?;
        Ok(Self { args, programs, this, dir, backend })
    }

    /// The peers of this run.
    pub fn peers(&self) -> &[Peer] {
        if self.args.peers.is_empty() { &Peer::DEFAULT } else { &self.args.peers }
    }

    fn compare(&self, case: &Case) -> anyhow::Result<CaseResults> {
        let dir = self.dir.join(case.name);
        let mut running = Vec::new();
        for peer in self.peers() {
            running.extend(Running::start(self, *peer, case, &dir)?);
        }
        let mut samples: Vec<Vec<Sample>> = running.iter().map(|_| Vec::new()).collect();
        for round in 0..self.args.rounds {
            for place in 0..running.len() {
                // Each round begins with another one, so that nobody always comes after the same peer.
                let place = (place + round as usize) % running.len();
                let (Some(peer), Some(samples)) = (running.get_mut(place), samples.get_mut(place)) else {
                    continue;
                };
                let sample = peer.sample(self, case)?;
                progress(&format!("{} {} {}: {}", case.name, round + 1, peer.peer.name(), line(&sample)));
                samples.push(sample);
            }
        }
        let peers = running.iter().map(|running| running.peer).zip(samples).collect();
        drop(running);
        remove(&dir)?;
        Ok(CaseResults { case: case.name, peers })
    }
}

fn line(sample: &Sample) -> String {
    if let Some(failure) = &sample.failure {
        return format!("{} failed: {failure}", sample.failed);
    }
    let latency = sample.latency.map(|l| format!(", p99 {} µs", l.p99)).unwrap_or_default();
    let (cpu, rate, busy) = (sample.cpu_micros(), sample.rate(), sample.utilisation());
    format!("{cpu:.2} µs, {rate:.0}/s, core {:.0} %{latency}", busy * 100.0)
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
