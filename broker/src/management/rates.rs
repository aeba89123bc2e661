//! Rates of counters: two looks at a count, some seconds apart. RabbitMQ's `…_details.rate`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Looks are at least so far apart.
pub(super) const PERIOD: Duration = Duration::from_secs(5);
/// Who was not looked at for so long is forgotten.
const KEPT: Duration = Duration::from_secs(60);
/// Counters that are remembered at most: beyond it new ones have no rates.
const KEYS_MAX: usize = 100_000;

/// The counters of one thing, in an order of its own.
pub(super) type Counts = [u64; COUNTS];
/// How many there are.
pub(super) const COUNTS: usize = 10;

/// What was seen of all things.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<String, Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    counts: Counts,
    rates: [f64; COUNTS],
}

impl Rates {
    /// Takes a look, and says what the rates are, a second.
    pub(super) fn look(&self, key: &str, counts: Counts, now: Instant) -> [f64; COUNTS] {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(key) {
            let passed = now.saturating_duration_since(seen.at);
            if passed >= PERIOD {
                *seen = seen.next(counts, now, passed);
            }
            return seen.rates;
        }
        if all.len() >= KEYS_MAX {
            all.retain(|_, seen| now.saturating_duration_since(seen.at) < KEPT);
        }
        if all.len() < KEYS_MAX {
            all.insert(key.to_owned(), Seen { at: now, counts, rates: [0.0; COUNTS] });
        }
        [0.0; COUNTS]
    }
}

impl Seen {
    fn next(&self, counts: Counts, now: Instant, passed: Duration) -> Self {
        let mut rates = [0.0; COUNTS];
        if passed < KEPT {
            for ((rate, count), before) in rates.iter_mut().zip(counts).zip(self.counts) {
                // A count that fell is of something that was made anew under the same name.
                *rate = per_second(count.saturating_sub(before), passed);
            }
        }
        Self { at: now, counts, rates }
    }
}

/// Rounded to one digit, as it is only shown.
#[expect(clippy::cast_precision_loss, reason = "a rate that is shown to one digit")]
fn per_second(count: u64, passed: Duration) -> f64 {
    (count as f64 / passed.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(first: u64) -> Counts {
        let mut counts = [0; COUNTS];
        counts[0] = first;
        counts
    }

    #[test]
    fn a_rate_is_what_came_between_two_looks() {
        let rates = Rates::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(rates.look("q", counts(100), at(0))[0], 0.0);
        assert_eq!(rates.look("q", counts(150), at(1))[0], 0.0);
        assert_eq!(rates.look("q", counts(200), at(5))[0], 20.0);
        assert_eq!(rates.look("q", counts(900), at(7))[0], 20.0);
        assert_eq!(rates.look("q", counts(10), at(10))[0], 0.0);
        assert_eq!(rates.look("q", counts(9999), at(200))[0], 0.0);
    }
}
