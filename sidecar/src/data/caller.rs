//! One client's connection: who it is, what it holds, and what it is doing, in words that its thread's sweep
//! looks at now and then. A client that is slow on purpose is ended by that sweep, so that no request sets a
//! timer; an idle one is told to rest, which frees its buffers.
//!
//! ```text
//!  accept ─▶ Caller ─┬─ held by the connection's task, and by the records of its calls
//!                    └─ seen by the sweep ─▶ slowness ─▶ fine | rest | close
//! ```

mod slowness;
mod watch;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Waker,
    time::Duration,
};

use tokio::{sync::OwnedSemaphorePermit, task::AbortHandle};

use self::slowness::{Seen, Slowness, Verdict};
pub(crate) use self::{slowness::Reason, watch::Watch};
use crate::{
    body::Meter,
    limits::Limits,
    metrics::{ConnectionMetrics, OpenConnection},
};

/// How often connections are looked at, at most and at least: a fourth of the shortest limit.
const SWEEP_MIN: Duration = Duration::from_millis(20);
const SWEEP_MAX: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Shared with the connection's reader and writer.
    pub(crate) watch: Arc<Watch>,
    /// HTTP/1: one call at a time, which is what the sweep can judge.
    is_serial: Cell<bool>,
    /// Calls begun so far.
    calls: Cell<u64>,
    /// The body of the current call, while it is not whole.
    body: RefCell<Option<Meter>>,
    /// Bytes that were read when the last call ended.
    mark: Cell<u64>,
    must_rest: Cell<bool>,
    /// A call had its answer before all of its request was read, which ends an HTTP/1 connection.
    was_answered_early: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    metrics: Arc<ConnectionMetrics>,
    _open: OpenConnection,
    _place: OwnedSemaphorePermit,
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(crate) struct Callers(RefCell<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    caller: Weak<Caller>,
    task: AbortHandle,
    slowness: Slowness,
}

impl Caller {
    pub(crate) fn new(
        peer: SocketAddr,
        metrics: &Arc<ConnectionMetrics>,
        place: OwnedSemaphorePermit,
    ) -> Rc<Self> {
        Rc::new(Self {
            peer,
            watch: Arc::default(),
            is_serial: Cell::new(false),
            calls: Cell::new(0),
            body: RefCell::default(),
            mark: Cell::new(0),
            must_rest: Cell::new(false),
            was_answered_early: Cell::new(false),
            waker: RefCell::default(),
            metrics: Arc::clone(metrics),
            _open: OpenConnection::new(metrics),
            _place: place,
        })
    }

    /// The answer to the current call comes before all of its request.
    pub(crate) fn is_answered_early(&self) {
        self.was_answered_early.set(true);
    }

    /// Whether that happened.
    pub(crate) fn was_answered_early(&self) -> bool {
        self.was_answered_early.get()
    }

    /// HTTP/1 is served from here on by the task of `waker`.
    pub(crate) fn serve_serially(&self, waker: &Waker) {
        self.is_serial.set(true);
        *self.waker.borrow_mut() = Some(waker.clone());
    }

    /// A request head was read. `body` is what is still to come of it.
    pub(crate) fn begin_call(&self, body: Option<Meter>) {
        self.calls.set(self.calls.get() + 1);
        *self.body.borrow_mut() = body;
        self.watch.begin_call();
    }

    /// Its answer is handed over, or it was given up.
    pub(crate) fn end_call(&self) {
        self.body.borrow_mut().take();
        self.mark.set(self.watch.read.load(Relaxed));
        self.watch.end_call();
    }

    /// Whether the sweep has found that this connection should free its buffers, and it still may.
    pub(crate) fn rests(&self) -> bool {
        self.must_rest.get() && self.must_rest.replace(false) && self.seen().is_idle()
    }

    /// The client has sent something again.
    pub(crate) fn wake_up(&self) {
        self.must_rest.set(false);
    }

    fn seen(&self) -> Seen {
        let watch = &self.watch;
        let body_is_open = self.body.borrow().as_ref().is_some_and(|body| !body.is_whole());
        Seen {
            is_serial: self.is_serial.get(),
            calls: self.calls.get(),
            is_called: watch.is_called.load(Relaxed),
            body_is_open,
            read: watch.read.load(Relaxed),
            mark: self.mark.get(),
            read_waits: watch.read_waits.load(Relaxed),
            written: watch.written.load(Relaxed),
            write_waits: watch.write_waits.load(Relaxed),
        }
    }
}

impl Callers {
    /// `task` serves `caller`.
    pub(crate) fn add(&self, caller: &Rc<Caller>, task: AbortHandle) {
        let entry = Entry { caller: Rc::downgrade(caller), task, slowness: Slowness::default() };
        self.0.borrow_mut().push(entry);
    }

    /// How often [`Callers::sweep`] should be called for these limits.
    pub(crate) fn sweep_interval(limits: &Limits) -> Duration {
        let times = [limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout];
        let shortest = times.into_iter().min().unwrap_or(SWEEP_MAX);
        (shortest / 4).clamp(SWEEP_MIN, SWEEP_MAX)
    }

    /// Looks at each connection; `elapsed` is the time since the last look. Whether any of them has freed memory
    /// meanwhile, or is about to.
    pub(crate) fn sweep(&self, elapsed: Duration, limits: &Limits) -> bool {
        let mut has_freed = false;
        self.0.borrow_mut().retain_mut(|entry| {
            let Some(caller) = entry.caller.upgrade() else {
                has_freed = true;
                return false;
            };
            match entry.slowness.observe(&caller.seen(), elapsed, limits) {
                Verdict::Fine => {}
                Verdict::Rest => {
                    has_freed = true;
                    caller.must_rest.set(true);
                    caller.waker.borrow().iter().for_each(Waker::wake_by_ref);
                }
                Verdict::Close(reason) => {
                    caller.metrics.count_slow(reason);
                    tracing::debug!(peer = %caller.peer, reason = reason.as_str(), "client is too slow, closed");
                    entry.task.abort();
                    has_freed = true;
                    return false;
                }
            }
            true
        });
        has_freed
    }
}
