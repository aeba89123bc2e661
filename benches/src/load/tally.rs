//! What the connections of a load have done so far.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

use crate::sample::{Latency, Sample};

/// The longest latency that is told apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Digits of a latency that count.
const DIGITS: u8 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    completed: Cell<u64>,
    failed: Cell<u64>,
    failure: RefCell<Option<String>>,
    latency: RefCell<Histogram<u64>>,
    /// No more requests than this are started.
    requests_max: Option<u64>,
    started: Cell<u64>,
    enough: Notify,
}

impl Tally {
    pub(crate) fn new(requests_max: Option<u64>) -> anyhow::Result<Self> {
        Ok(Self {
            completed: Cell::new(0),
            failed: Cell::new(0),
            failure: RefCell::new(None),
            latency: RefCell::new(Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS)?),
            requests_max,
            started: Cell::new(0),
            enough: Notify::new(),
        })
    }

    /// Whether another request may start; it is counted as started.
    pub(crate) fn may_start(&self) -> bool {
        let started = self.started.get();
        self.started.set(started + 1);
        self.requests_max.is_none_or(|max| started < max)
    }

    /// A unit of work is done; `due` is when its schedule wanted it to start.
    pub(crate) fn done(&self, due: Option<Instant>) {
        if let Some(due) = due {
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(LATENCY_US_MAX);
            self.latency.borrow_mut().saturating_record(micros);
        }
        self.add(1);
    }

    /// Much is done at once.
    pub(crate) fn add(&self, units: u64) {
        self.completed.set(self.completed.get() + units);
        if self.is_enough() {
            self.enough.notify_one();
        }
    }

    pub(crate) fn fail(&self, error: &anyhow::Error) {
        self.failed.set(self.failed.get() + 1);
        self.failure.borrow_mut().get_or_insert_with(|| format!("{error:#}"));
        self.enough.notify_one();
    }

    /// From here on it counts.
    pub(crate) fn begin(&self) {
        self.completed.set(0);
        self.latency.borrow_mut().reset();
    }

    /// Waits for all the requests asked for, or a failure.
    pub(crate) async fn until_enough(&self) {
        while !self.is_enough() && self.failed.get() == 0 {
            self.enough.notified().await;
        }
    }

    /// What was counted; times are the caller's affair.
    pub(crate) fn sample(&self) -> Sample {
        let latency = self.latency.borrow();
        let quantiles = (!latency.is_empty()).then(|| Latency {
            p50: latency.value_at_quantile(0.5),
            p99: latency.value_at_quantile(0.99),
            p999: latency.value_at_quantile(0.999),
        });
        Sample {
            completed: self.completed.get(),
            failed: self.failed.get(),
            failure: self.failure.borrow().clone(),
            latency: quantiles,
            ..Sample::default()
        }
    }

    fn is_enough(&self) -> bool {
        self.requests_max.is_some_and(|max| self.completed.get() >= max)
    }
}
