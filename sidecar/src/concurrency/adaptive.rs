//! The samples that a gradient learns from: a histogram of relaxed atomics that all threads write, folded by
//! whichever of them finds that a window is over. Only that one takes the lock, and nobody waits for it.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use weft_model::gradient::{BUCKETS, Bounds, Gradient, MEASURE_SAMPLES, WINDOW, Window, bucket, median};

/// See the module.
#[derive(Debug)]
pub(super) struct Adaptive {
    limit: AtomicU32,
    /// See [`Gradient::counts_from`].
    counts_from: AtomicU64,
    /// See [`Gradient::slow_from`], in nanoseconds.
    slow_from: AtomicU64,
    window_from: AtomicU64,
    samples: AtomicU32,
    in_flight_max: AtomicU32,
    counts: Box<[AtomicU32]>,
    machine: Mutex<(Gradient, fastrand::Rng)>,
}

impl Adaptive {
    pub(super) fn new(bounds: Bounds, now: u64) -> Self {
        let gradient = Gradient::new(bounds, now);
        Self {
            limit: AtomicU32::new(gradient.limit(bounds)),
            counts_from: AtomicU64::new(gradient.counts_from()),
            slow_from: AtomicU64::new(u64::MAX),
            window_from: AtomicU64::new(now),
            samples: AtomicU32::default(),
            in_flight_max: AtomicU32::default(),
            counts: (0..BUCKETS).map(|_| AtomicU32::default()).collect(),
            machine: Mutex::new((gradient, fastrand::Rng::new())),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Whether a request that has taken so long already would be called slow.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        took.as_nanos() >= u128::from(self.slow_from.load(Relaxed))
    }

    /// A request that began at `began` took so long; so many were under way with it.
    pub(super) fn observe(&self, began: u64, took: Duration, under_way: u32, bounds: Bounds, now: u64) {
        if began < self.counts_from.load(Relaxed) {
            return;
        }
        if let Some(count) = self.counts.get(bucket(took)) {
            count.fetch_add(1, Relaxed);
        }
        self.in_flight_max.fetch_max(under_way, Relaxed);
        let samples = self.samples.fetch_add(1, Relaxed) + 1;
        let age = Duration::from_nanos(now.saturating_sub(self.window_from.load(Relaxed)));
        if age >= WINDOW || samples >= MEASURE_SAMPLES {
            self.fold(age, samples, bounds, now);
        }
    }

    fn fold(&self, age: Duration, samples: u32, bounds: Bounds, now: u64) {
        // Another thread is at it.
        let Some(mut machine) = self.machine.try_lock() else { return };
        let (gradient, rng) = &mut *machine;
        if !gradient.is_due(age, samples) {
            return;
        }
        self.window_from.store(now, Relaxed);
        self.samples.store(0, Relaxed);
        let mut counts = [0; BUCKETS];
        for (count, cell) in counts.iter_mut().zip(&self.counts) {
            *count = cell.swap(0, Relaxed);
        }
        let in_flight_max = self.in_flight_max.swap(0, Relaxed);
        gradient.fold(Window { median: median(&counts), samples, in_flight_max }, bounds, now, rng);
        self.limit.store(gradient.limit(bounds), Relaxed);
        self.counts_from.store(gradient.counts_from(), Relaxed);
        self.slow_from.store(gradient.slow_from(), Relaxed);
    }
}
