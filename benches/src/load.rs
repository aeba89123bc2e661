//! The load: repeats one kind of work over its connections and tells what came of it and what the proxy used
//! meanwhile. Closed loop, each answer is followed by the next request; at a fixed rate, requests start when
//! the schedule says, and latency counts from then, so that a stall cannot hide.
//!
//! ```text
//!   connect ─▶ warm up ─▶ CPU and counts, before ─▶ measure ─▶ CPU and counts, after ─▶ one line of JSON
//! ```

mod h1;
mod h2;
mod idle;
mod schedule;
mod stream;
mod tally;

use std::{
    io::{self, Write},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

pub(crate) use self::{schedule::Schedule, tally::Tally};
use crate::{process::Tree, sample::Sample};

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Work {
    /// GET over HTTP/1.1, one at a time a connection.
    Http1,
    /// GET over HTTP/2.
    Http2,
    /// A gRPC call with a message each way.
    GrpcUnary,
    /// A gRPC call that sends a message, waits for its echo, and sends the next.
    GrpcStreaming,
    /// Bytes from the backend, as fast as they come.
    Tcp,
}

/// What `weft-bench load` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// What to do
    #[arg(long)]
    pub work: Work,
    /// The proxy
    #[arg(long)]
    pub target: SocketAddr,
    /// The service, as host name
    #[arg(long, default_value = "echo")]
    pub host: String,
    /// What to ask for
    #[arg(long, default_value = "/")]
    pub path: String,
    /// Connections
    #[arg(long, default_value_t = 64)]
    pub connections: u32,
    /// Streams at a time on each connection, where there are streams
    #[arg(long, default_value_t = 10)]
    pub streams: usize,
    /// Before anything counts, in seconds
    #[arg(long, default_value_t = 0.3)]
    pub warm_up: f64,
    /// How long to measure
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Requests a second, all connections together; without it, as many as come back
    #[arg(long)]
    pub rate: Option<u32>,
    /// Ends after so many requests instead of `--seconds`, without a warm-up
    #[arg(long)]
    pub requests: Option<u64>,
    /// The process whose CPU time, with that of its descendants, is told
    #[arg(long)]
    pub cpu_of: Option<u32>,
    /// Holds the connections open after a request each, until standard input ends
    #[arg(long)]
    pub hold: bool,
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    args: LoadArgs,
    tally: Tally,
    schedule: Option<Schedule>,
}

/// Puts the load on, and tells.
///
/// # Errors
/// When something is wrong with the load itself; what the proxy fails at is in the sample.
pub fn run(args: LoadArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        if args.hold {
            return idle::hold(&args).await;
        }
        let sample = measure(args).await?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&sample)?)?;
        Ok(())
    })
}

async fn measure(args: LoadArgs) -> anyhow::Result<Sample> {
    let shared = Rc::new(Shared {
        tally: Tally::new(args.requests)?,
        schedule: args.rate.map(Schedule::new).transpose()?,
        args,
    });
    for _ in 0..shared.args.connections {
        tokio::task::spawn_local(connection(Rc::clone(&shared)));
    }
    if shared.schedule.is_some() {
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            let Some(schedule) = &shared.schedule else { return };
            if let Err(error) = schedule.run().await {
                shared.tally.fail(&error);
            }
        });
    }
    if shared.args.requests.is_some() {
        shared.tally.until_enough().await;
        return Ok(shared.tally.sample());
    }
    tokio::time::sleep(Duration::from_secs_f64(shared.args.warm_up)).await;
    let tree = shared.args.cpu_of.map(Tree::of).transpose()?;
    let cpu = || tree.as_ref().map_or(Ok(0.0), Tree::cpu_seconds);
    let (cpu_before, start) = (cpu()?, Instant::now());
    shared.tally.begin();
    tokio::time::sleep(Duration::from_secs_f64(shared.args.seconds)).await;
    let mut sample = shared.tally.sample();
    sample.seconds = start.elapsed().as_secs_f64();
    sample.cpu_seconds = cpu()? - cpu_before;
    Ok(sample)
}

/// One connection; one that fails spoils the sample and is not replaced.
async fn connection(shared: Rc<Shared>) {
    let result = match shared.args.work {
        Work::Http1 => h1::connection(&shared).await,
        Work::Http2 | Work::GrpcUnary | Work::GrpcStreaming => h2::connection(&shared).await,
        Work::Tcp => stream::connection(&shared).await,
    };
    if let Err(error) = result {
        shared.tally.fail(&error);
    }
}
