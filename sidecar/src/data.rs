//! The data threads: each a single-threaded runtime with listeners of its own on the same ports. Nothing that
//! carries a request moves between them.
//!
//! ```text
//!  Serving ──begin_drain, 250 ms──▶ Draining ──no call for 500 ms, or the timeout──▶ Quiet ──shutdown──▶ End
//!           inbound serves on        GOAWAY, `connection: close`      idle connections closed
//! ```
//! Outbound serves until the end: an application that stops may still have calls to make.

pub(crate) mod accept;
mod arrivals;
mod backlog;
mod bind;
pub(crate) mod caller;
pub(crate) mod guarded;
mod pressure;
pub(crate) mod serve;
pub(crate) mod thread;
pub(crate) mod waiting;

use std::{
    io,
    rc::Rc,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime::{self, LocalOptions},
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

pub use self::bind::{Listeners, UpstreamListeners};
use self::{bind::ThreadListeners, caller::Callers, thread::Thread};
use crate::{
    clock,
    concurrency::Limiter,
    config::SidecarConfig,
    memory,
    metrics::DataMetrics,
    record::{Observed, RecordQueue},
    table::Directory,
    trace::Traces,
};

/// Between deregistration and the first refusal: time for callers to hear of it.
pub const DRAIN_GRACE: Duration = Duration::from_millis(250);
/// No call for this long means that callers have heard.
pub const QUIET_AFTER: Duration = Duration::from_millis(500);
/// How often a draining thread looks whether it is quiet.
const QUIET_POLL: Duration = Duration::from_millis(25);
/// How often pools are looked over for connections that nobody uses.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Where the data path stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    Draining,
    End,
}

/// The running threads. Dropped, they end.
#[derive(Debug)]
pub struct DataThreads {
    phase: Arc<watch::Sender<Phase>>,
    /// How many threads are not yet drained.
    undrained: watch::Receiver<usize>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    observed: Arc<Observed>,
}

/// What the calls of all threads share, beside the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    /// Inbound calls under way, for the calls that are made for them.
    pub(crate) traces: Arc<Traces>,
    /// Protects the application.
    pub(crate) inbound: Arc<Limiter>,
}

/// What a thread takes along.
struct Seed {
    config: Arc<SidecarConfig>,
    directory: Directory,
    metrics: Arc<DataMetrics>,
    records: RecordQueue,
    phase: watch::Receiver<Phase>,
    shared: Shared,
    undrained: watch::Sender<usize>,
    listeners: ThreadListeners,
    _ended: mpsc::Sender<()>,
}

/// Starts `config.data_threads` threads on `listeners`.
///
/// # Errors
/// When the access log's file cannot be opened, or a thread cannot be started.
pub fn spawn(
    config: &Arc<SidecarConfig>,
    directory: &Directory,
    listeners: Listeners,
    metrics: &Arc<DataMetrics>,
) -> io::Result<DataThreads> {
    let (records, observed) = RecordQueue::spawn(&config.access_log, &config.records, directory, metrics)?;
    let listeners = listeners.split();
    let (phase, phases) = watch::channel(Phase::Serving);
    let (undrained, waiting) = watch::channel(listeners.len());
    let (ended, end) = mpsc::channel(1);
    let mut threads = Vec::with_capacity(listeners.len());
    let shared = Shared::default();
    for (number, listeners) in listeners.into_iter().enumerate() {
        let seed = Seed {
            config: Arc::clone(config),
            directory: directory.clone(),
            metrics: Arc::clone(metrics),
            records: records.clone(),
            phase: phases.clone(),
            shared: shared.clone(),
            undrained: undrained.clone(),
            listeners,
            _ended: ended.clone(),
        };
        threads.push(Builder::new().name(format!("weft-data-{number}")).spawn(move || run(seed))?);
    }
    Ok(DataThreads { phase: Arc::new(phase), undrained: waiting, ended: end, threads, observed })
}

impl DataThreads {
    /// Begins to stop: [`DRAIN_GRACE`] from now inbound asks its callers to go. Must be called in a runtime.
    pub fn begin_drain(&self) {
        let phase = Arc::clone(&self.phase);
        tokio::spawn(async move {
            tokio::time::sleep(DRAIN_GRACE).await;
            phase.send_if_modified(|phase| {
                let begins = *phase == Phase::Serving;
                *phase = (*phase).max(Phase::Draining);
                begins
            });
        });
    }

    /// What the records of all threads tell.
    pub(crate) const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// Waits until no call has come for [`QUIET_AFTER`] and none is under way, or the drain timeout is over.
    pub async fn drained(&self) {
        // An error means that the threads have ended, so nothing is left to drain.
        let _ = self.undrained.clone().wait_for(|undrained| *undrained == 0).await;
    }

    /// Ends all threads; what is still under way is cut off.
    pub async fn shutdown(mut self) {
        self.phase.send_replace(Phase::End);
        self.ended.recv().await;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("data thread panicked");
            }
        }
    }
}

impl Drop for DataThreads {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::End);
    }
}

fn run(seed: Seed) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "data thread has no runtime"),
    };
    let Seed { config, directory, metrics, records, phase, shared, undrained, listeners, _ended } = seed;
    let mut end = phase.clone();
    runtime.block_on(async move {
        let thread = Rc::new(Thread::new(&config, directory, metrics, records, phase, shared));
        tend(&thread, undrained);
        accept::listen(&thread, listeners);
        // An error means that the handle is gone, which is an end as well.
        let _ = end.wait_for(|phase| *phase == Phase::End).await;
    });
}

/// Starts what a thread does beside its calls.
pub(crate) fn tend(thread: &Rc<Thread>, undrained: watch::Sender<usize>) {
    tokio::task::spawn_local(Rc::clone(thread).follow());
    tokio::task::spawn_local(sweep(Rc::clone(thread)));
    tokio::task::spawn_local(Rc::clone(&thread.recorder).flush_in_time());
    tokio::task::spawn_local(report_quiet(Rc::clone(thread), undrained));
    tokio::task::spawn_local(watch_callers(Rc::clone(thread)));
}

async fn sweep(thread: Rc<Thread>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        thread.sweep();
    }
}

/// One timer for all clients: see [`caller`].
async fn watch_callers(thread: Rc<Thread>) {
    let limits = &thread.config.limits;
    let mut ticks = tokio::time::interval(Callers::sweep_interval(limits));
    // A thread that was busy must not count the time twice.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = ticks.tick().await;
    let mut debt = memory::Debt::default();
    loop {
        let now = ticks.tick().await;
        let elapsed = now - last;
        let has_freed = thread.callers.sweep(elapsed, limits);
        if debt.is_due(has_freed, elapsed) {
            memory::give_back();
        }
        last = now;
    }
}

/// Waits for the drain, then for quiet, and says so.
async fn report_quiet(thread: Rc<Thread>, undrained: watch::Sender<usize>) {
    if thread.phase.clone().wait_for(|phase| *phase >= Phase::Draining).await.is_err() {
        return;
    }
    thread.inbound.is_draining.set(true);
    let since = clock::now();
    let is_quiet = || {
        let last = thread.inbound.last_call.get().max(since);
        let silent = Duration::from_nanos(clock::now().saturating_sub(last));
        thread.inbound.active.get() == 0 && silent >= QUIET_AFTER
    };
    let quiet = async {
        while !is_quiet() {
            tokio::time::sleep(QUIET_POLL).await;
        }
    };
    if tokio::time::timeout(thread.config.drain_timeout, quiet).await.is_err() {
        tracing::warn!(active = thread.inbound.active.get(), "drain timeout is over, calls are cut off");
    }
    undrained.send_modify(|undrained| *undrained = undrained.saturating_sub(1));
}
