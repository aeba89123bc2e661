//! What is counted of the load: pure.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

/// The longest latency that is told apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Failures described, at most.
const FAILURES_MAX: usize = 5;

/// Requests so far.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Answered or failed.
    pub(super) sent: u64,
    /// Without a 2xx.
    pub(super) failed: u64,
    /// The first failures, described.
    pub(super) failures: Vec<String>,
    /// Answers by account manager.
    pub(super) by_replica: BTreeMap<String, u64>,
    latency_us: Histogram<u64>,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            sent: 0,
            failed: 0,
            failures: Vec::new(),
            by_replica: BTreeMap::new(),
            latency_us: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?,
        })
    }

    /// Counts a request: the account manager that answered, or why there is no good answer.
    pub(super) fn count(&mut self, latency: Duration, answer: Result<String, String>) {
        self.sent += 1;
        self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX));
        match answer {
            Ok(replica) => *self.by_replica.entry(replica).or_default() += 1,
            Err(reason) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push(reason);
                }
            }
        }
    }

    /// In milliseconds; `quantile` is 0 to 1.
    pub(super) fn latency_ms(&self, quantile: f64) -> f64 {
        let micros = u32::try_from(self.latency_us.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        f64::from(micros) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_replica_and_failures_described() {
        let mut tally = Tally::new().unwrap();
        tally.count(Duration::from_millis(2), Ok("a-1".into()));
        tally.count(Duration::from_millis(4), Ok("a-1".into()));
        tally.count(Duration::from_millis(400), Err("503".into()));
        assert_eq!((tally.sent, tally.failed, tally.by_replica["a-1"]), (3, 1, 2));
        assert_eq!(tally.failures, ["503"]);
        assert!((399.0..402.0).contains(&tally.latency_ms(1.0)));
    }
}
