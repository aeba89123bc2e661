//! Adaptive concurrency: how many requests may be under way, found out from how long they take. While response
//! times stay near the shortest there is, more are let through; when they grow, requests wait at the upstream,
//! and fewer are. Pure: windows of samples and times go in, a limit comes out; who counts and who waits knows
//! nothing of this (`sidecar/src/limit`).
//!
//! ```text
//!              MEASURE_SAMPLES answers to requests begun since
//!   Measuring ─────────────────────────────────────────────────▶ Following
//!   half the limit: the shortest time  ◀──── MEASURE_INTERVAL ───  limit * min / median + sqrt(limit)
//! ```
//! After the gradient of Netflix's concurrency-limits and of Envoy's adaptive concurrency. What differs: the
//! shortest time is measured at half the limit instead of at a handful of requests, so that a measurement costs
//! half a throughput for a moment and not nearly all of it.

use std::time::Duration;

/// How often the shortest time is measured anew: a service that became slower for good must not be held down.
pub const MEASURE_INTERVAL: Duration = Duration::from_secs(30);
/// Answers that make a measurement.
pub const MEASURE_SAMPLES: u32 = 50;
/// How long a window lasts.
pub const WINDOW: Duration = Duration::from_millis(100);
/// With fewer answers a window goes on, for up to [`WINDOW_MAX`].
pub const WINDOW_SAMPLES: u32 = 10;
/// The longest window with any answer in it.
pub const WINDOW_MAX: Duration = Duration::from_secs(1);
/// Times that are longer than the shortest by this factor are not yet a queue.
const TOLERANCE: f64 = 1.25;
/// A limit falls to no less than this share of itself in one window.
const FALL_MAX: f64 = 0.5;
/// Sub-buckets of an octave.
const PER_OCTAVE: usize = 8;
/// Times below this power of two, in nanoseconds, are all alike: 8 microseconds.
const OCTAVE_MIN: u32 = 13;
/// Octaves above it: up to more than a minute.
const OCTAVES: usize = 24;
/// How many buckets a histogram has.
pub const BUCKETS: usize = OCTAVES * PER_OCTAVE;

/// What is known of one upstream.
#[derive(Debug, Clone)]
pub struct Gradient {
    limit: f64,
    /// The shortest median, in nanoseconds; 0 = not yet known.
    shortest: f64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Times are those of requests that began after `since`.
    Measuring { since: u64 },
    /// Until a time.
    Following { until: u64 },
}

/// How far the limit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Never fewer; at least 1 is taken.
    pub min: u32,
    /// Never more.
    pub max: u32,
}

/// The answers of one window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// In nanoseconds.
    pub median: f64,
    /// How many there were.
    pub samples: u32,
    /// The most requests that were under way at once.
    pub in_flight_max: u32,
}

impl Gradient {
    /// Nothing is known: the limit begins at its least.
    pub fn new(bounds: Bounds, now: u64) -> Self {
        Self { limit: f64::from(bounds.least()), shortest: 0.0, phase: Phase::Measuring { since: now } }
    }

    /// Requests that may be under way now.
    pub fn limit(&self, bounds: Bounds) -> u32 {
        let limit = match self.phase {
            Phase::Measuring { .. } => self.limit / 2.0,
            Phase::Following { .. } => self.limit,
        };
        u32::try_from(whole(limit)).unwrap_or(u32::MAX).clamp(bounds.least(), bounds.most())
    }

    /// A request that began before this time says nothing: it waited behind more than are let through now.
    pub const fn counts_from(&self) -> u64 {
        match self.phase {
            Phase::Measuring { since } => since,
            Phase::Following { .. } => 0,
        }
    }

    /// Times from here on, in nanoseconds, are longer than without a queue.
    pub fn slow_from(&self) -> u64 {
        if self.shortest > 0.0 { whole(self.shortest * TOLERANCE) } else { u64::MAX }
    }

    /// Whether a window that has lasted for `age` is to be folded in.
    pub fn is_due(&self, age: Duration, samples: u32) -> bool {
        match self.phase {
            Phase::Measuring { .. } => samples >= MEASURE_SAMPLES,
            Phase::Following { .. } => {
                age >= WINDOW && (samples >= WINDOW_SAMPLES || samples > 0 && age >= WINDOW_MAX)
            }
        }
    }

    /// Learns from a window that is due.
    pub fn fold(&mut self, window: Window, bounds: Bounds, now: u64, rng: &mut fastrand::Rng) {
        match self.phase {
            Phase::Measuring { .. } => {
                self.shortest = window.median.max(1.0);
                // Jitter, so that callers of one service do not measure together.
                let interval = MEASURE_INTERVAL.mul_f64(0.8 + rng.f64() * 0.4);
                self.phase = Phase::Following { until: now.saturating_add(nanos(interval)) };
            }
            Phase::Following { until } if now >= until => self.phase = Phase::Measuring { since: now },
            Phase::Following { .. } => self.follow(window, bounds),
        }
    }

    fn follow(&mut self, window: Window, bounds: Bounds) {
        self.shortest = self.shortest.min(window.median.max(1.0));
        let gradient = self.shortest * TOLERANCE / window.median.max(1.0);
        let limit = self.limit * gradient.clamp(FALL_MAX, TOLERANCE) + self.limit.sqrt();
        // A limit that is not reached says nothing about a higher one.
        let is_used = f64::from(window.in_flight_max) >= self.limit / 2.0;
        if limit < self.limit || is_used {
            self.limit = limit.clamp(f64::from(bounds.least()), f64::from(bounds.most()));
        }
    }
}

impl Bounds {
    fn least(self) -> u32 {
        self.min.max(1)
    }

    fn most(self) -> u32 {
        self.max.max(self.least())
    }
}

/// The bucket of a time: eight an octave, so a median is right within a tenth.
pub fn bucket(time: Duration) -> usize {
    let nanos = nanos(time).max(1 << OCTAVE_MIN);
    let octave = nanos.ilog2();
    // The three bits after the highest one.
    let step = usize::try_from((nanos >> (octave - 3)) & 7).unwrap_or(0);
    ((octave - OCTAVE_MIN) as usize * PER_OCTAVE + step).min(BUCKETS - 1)
}

/// The median of a histogram, in nanoseconds, laid evenly into its bucket; 0 of an empty one.
pub fn median(counts: &[u32]) -> f64 {
    let half = counts.iter().copied().map(f64::from).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let here = f64::from(*count);
        if below + here >= half {
            let (low, high) = (lower_bound(index), lower_bound(index + 1));
            return low + (high - low) * ((half - below) / here);
        }
        below += here;
    }
    0.0
}

/// Where a bucket begins, in nanoseconds.
fn lower_bound(index: usize) -> f64 {
    let number = |index: usize| u32::try_from(index).map_or(0.0, f64::from);
    let octave = (number(index / PER_OCTAVE) + f64::from(OCTAVE_MIN)).exp2();
    octave * (1.0 + number(index % PER_OCTAVE) / number(PER_OCTAVE))
}

/// The whole part of a number that is not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "this conversion saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Saturates after 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
