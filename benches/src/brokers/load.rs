//! The load on a broker: one publisher's connection, one consumers' connection with a channel for each queue. It tells
//! what came of it and what the broker used meanwhile.
//!
//! ```text
//!   connect, declare ─▶ consumers, publisher ─▶ warm up ─▶ CPU, before ─▶ measure ─▶ CPU, after ─▶ one line of JSON
//!   a backlog: declare ─▶ publish all, confirmed ─▶ CPU, before ─▶ consumers, until all is acknowledged ─▶ CPU, after
//! ```

mod amqp;
mod flow;
mod jetstream;

use std::{
    collections::VecDeque,
    io::{self, Write},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::LocalSet;

use self::flow::Flow;
use super::{
    case::{Case, Pace},
    peer::Protocol,
};
use crate::{
    process::{self, Tree},
    sample::Sample,
};

/// How long a backlog may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Messages that a client hands over, or acknowledges, before it waits: lapin waits for each to be written, and one at a
/// time would be a system call of the client and of the broker for each.
const BATCH_MAX: usize = 64;

/// What `weft-bench broker-load` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct BrokerLoadArgs {
    /// What to speak
    #[arg(long)]
    pub protocol: Protocol,
    /// The case, by name
    #[arg(long)]
    pub case: String,
    /// The broker
    #[arg(long)]
    pub target: SocketAddr,
    /// Before anything counts, in seconds
    #[arg(long, default_value_t = 0.7)]
    pub warm_up: f64,
    /// How long to measure
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// The process whose CPU time and memory, with those of its descendants, are told
    #[arg(long)]
    pub cpu_of: Option<u32>,
}

/// What each client does, whatever it speaks.
trait Broker: Sized + 'static {
    /// Connects and declares all that the case needs.
    async fn connect(target: SocketAddr, case: &Case) -> anyhow::Result<Self>;

    /// Hands a message over; the inner future is the broker's word that it has it, where the case asks for that.
    async fn publish(
        &self,
        queue: u16,
        body: Bytes,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>>>;

    /// Consumes from a queue for ever, acknowledging where the case asks for that.
    async fn consume(&self, queue: u16, flow: &Flow) -> anyhow::Result<()>;

    /// Removes what was declared.
    async fn remove(&self) -> anyhow::Result<()>;
}

/// Puts the load on, and tells.
///
/// # Errors
/// When something is wrong with the load itself; what the broker fails at is in the sample.
pub fn run(args: &BrokerLoadArgs) -> anyhow::Result<()> {
    let case = Case::named(&args.case).with_context(|| format!("no case is called `{}`", args.case))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sample = LocalSet::new().block_on(&runtime, async {
        match args.protocol {
            Protocol::Amqp => measure::<amqp::Amqp>(args, &case).await,
            Protocol::Jetstream => measure::<jetstream::Jetstream>(args, &case).await,
        }
    })?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&sample)?)?;
    Ok(())
}

async fn measure<B: Broker>(args: &BrokerLoadArgs, case: &Case) -> anyhow::Result<Sample> {
    let broker = Rc::new(B::connect(args.target, case).await?);
    let flow = Rc::new(Flow::new(case)?);
    let sample = match case.pace {
        Pace::Backlog(count) => backlog(args, &broker, &flow, count).await?,
        Pace::Closed | Pace::Rate(_) => steady(args, &broker, &flow).await?,
    };
    // Consumers are told so by an error, which is nobody's any more.
    broker.remove().await?;
    Ok(sample)
}

async fn steady<B: Broker>(args: &BrokerLoadArgs, broker: &Rc<B>, flow: &Rc<Flow>) -> anyhow::Result<Sample> {
    start_consumers(broker, flow);
    // A message that comes before its queue's consumer waits, and its latency with it: they are there in time.
    tokio::time::sleep(Duration::from_secs_f64(args.warm_up / 2.0)).await;
    if flow.schedule.is_some() {
        let flow = Rc::clone(flow);
        tokio::task::spawn_local(async move { flow.run_schedule().await });
    }
    let (publisher, its_flow) = (Rc::clone(broker), Rc::clone(flow));
    tokio::task::spawn_local(async move {
        if let Err(error) = publish(&*publisher, &its_flow, u64::MAX).await {
            its_flow.tally.fail(&error);
        }
    });
    tokio::time::sleep(Duration::from_secs_f64(args.warm_up)).await;
    let (cpu_before, start) = (cpu_seconds(args)?, Instant::now());
    flow.tally.begin();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let mut sample = flow.tally.sample();
    sample.seconds = start.elapsed().as_secs_f64();
    sample.cpu_seconds = cpu_seconds(args)? - cpu_before;
    sample.resident_kib = resident_kib(args)?;
    Ok(sample)
}

async fn backlog<B: Broker>(
    args: &BrokerLoadArgs,
    broker: &Rc<B>,
    flow: &Rc<Flow>,
    count: u64,
) -> anyhow::Result<Sample> {
    publish(&**broker, flow, count).await?;
    let resident_kib = resident_kib(args)?;
    let (cpu_before, start) = (cpu_seconds(args)?, Instant::now());
    start_consumers(broker, flow);
    tokio::time::timeout(DRAIN_TIMEOUT, flow.tally.until_enough()).await.context("the backlog stays")?;
    let mut sample = flow.tally.sample();
    sample.seconds = start.elapsed().as_secs_f64();
    sample.cpu_seconds = cpu_seconds(args)? - cpu_before;
    sample.resident_kib = resident_kib;
    Ok(sample)
}

fn start_consumers<B: Broker>(broker: &Rc<B>, flow: &Rc<Flow>) {
    for queue in 0..flow.case.queues {
        let (broker, flow) = (Rc::clone(broker), Rc::clone(flow));
        tokio::task::spawn_local(async move {
            if let Err(error) = broker.consume(queue, &flow).await {
                flow.tally.fail(&error);
            }
        });
    }
}

/// Publishes so many, queue after queue, and waits for what it waits for.
async fn publish<B: Broker>(broker: &B, flow: &Flow, count: u64) -> anyhow::Result<()> {
    let window = usize::try_from(flow.case.window())?;
    // A part of the window, so that one is handed over while others are under way.
    let batch_max = (window / 4).clamp(1, BATCH_MAX);
    let mut waiting = VecDeque::with_capacity(window);
    let mut queues = (0..flow.case.queues).cycle();
    let mut left = count;
    while left > 0 {
        let bodies = flow.next(batch_max.min(usize::try_from(left).unwrap_or(batch_max))).await;
        left -= u64::try_from(bodies.len())?;
        let publishes = bodies.into_iter().map(|body| {
            let queue = if flow.case.is_fanout { Some(0) } else { queues.next() };
            broker.publish(queue.unwrap_or_default(), body)
        });
        for confirm in join_all(publishes).await {
            waiting.push_back(confirm?);
        }
        while waiting.len() + batch_max > window || !flow.case.is_persistent {
            let Some(oldest) = waiting.pop_front() else { break };
            oldest.await?;
        }
    }
    for confirm in waiting {
        confirm.await?;
    }
    Ok(())
}

fn cpu_seconds(args: &BrokerLoadArgs) -> anyhow::Result<f64> {
    args.cpu_of.map_or(Ok(0.0), process::cpu_seconds_with_ended)
}

fn resident_kib(args: &BrokerLoadArgs) -> anyhow::Result<Option<u64>> {
    args.cpu_of.map(|pid| Tree::of(pid)?.resident_kib()).transpose()
}
