//! The peak-sensitive moving average of an endpoint's response times: it jumps up with a slow answer and
//! comes down slowly, so one bad answer is believed at once. It comes down with time alone, too: an endpoint
//! that is passed over for its peak gives no more answers, and could never show that it has recovered.

use std::time::Duration;

/// How fast an old peak is forgotten: the time in which its weight falls to 1/e.
pub const DECAY: Duration = Duration::from_secs(10);

/// The average at one moment. The default is an endpoint of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PeakEwma {
    /// Nanoseconds; 0 = nothing is known.
    pub nanos: f64,
    /// When it was last updated, in nanoseconds since any fixed point.
    pub at: u64,
}

impl PeakEwma {
    /// The average after an answer took `rtt`.
    #[must_use]
    pub fn observe(self, rtt: Duration, now: u64) -> Self {
        let rtt = rtt.as_secs_f64() * 1e9;
        let nanos = if rtt >= self.nanos {
            rtt
        } else {
            let kept = self.kept(now);
            self.nanos * kept + rtt * (1.0 - kept)
        };
        // Zero means unknown, so an answer faster than the clock's grain counts as one nanosecond.
        Self { nanos: nanos.max(1.0), at: now.max(self.at) }
    }

    /// The average after an answer over a new connection. The very first one is not believed: behind the endpoint
    /// a connection had to be made too, and caches were cold; nobody would ask again for as long as it stayed.
    #[must_use]
    pub fn observe_cold(self, rtt: Duration, now: u64) -> Self {
        if self == Self::default() { Self { nanos: 0.0, at: now } } else { self.observe(rtt, now) }
    }

    /// What is left of the average when nothing was heard since, in nanoseconds.
    pub fn faded(self, now: u64) -> f64 {
        self.nanos * self.kept(now)
    }

    /// The share of the old value that is left.
    fn kept(self, now: u64) -> f64 {
        let elapsed = Duration::from_nanos(now.saturating_sub(self.at));
        (-elapsed.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let ewma = PeakEwma::default().observe(Duration::from_millis(1), 0);
        let peak = ewma.observe(Duration::from_millis(100), MS);
        assert_eq!(peak.nanos, 100e6);
        let soon = peak.observe(Duration::from_millis(1), 2 * MS);
        assert!(soon.nanos > 99e6);
        let late = peak.observe(Duration::from_millis(1), 60_000 * MS);
        assert!(late.nanos < 2e6);
    }

    #[test]
    fn the_first_answer_is_not_believed_when_it_was_a_cold_one_and_the_second_is() {
        let slow = Duration::from_millis(50);
        let first = PeakEwma::default().observe_cold(slow, MS);
        assert_eq!(first.faded(2 * MS), 0.0, "still unknown");
        assert_eq!(first.observe_cold(slow, 3 * MS).nanos, 50e6);
        assert_eq!(first.observe(Duration::from_millis(1), 3 * MS).nanos, 1e6);
        assert_eq!(PeakEwma::default().observe(slow, MS).nanos, 50e6);
    }

    #[test]
    fn an_endpoint_that_is_passed_over_is_cheap_again_after_a_while() {
        let passed_over = PeakEwma::default().observe(Duration::from_millis(100), 0);
        let mut asked = PeakEwma::default();
        for ms in 0..60_000 {
            asked = asked.observe(Duration::from_millis(2), ms * MS);
        }
        assert!(passed_over.faded(10_000 * MS) > asked.faded(10_000 * MS));
        assert!(passed_over.faded(60_000 * MS) < asked.faded(60_000 * MS));
    }

    proptest! {
        #[test]
        fn the_average_stays_between_the_fastest_and_the_slowest_answer(
            answers in prop::collection::vec((1_u64..10_000, 0_u64..5_000), 1..100),
        ) {
            let (mut ewma, mut now) = (PeakEwma::default(), 0);
            for (rtt_us, wait_ms) in &answers {
                now += wait_ms * MS;
                ewma = ewma.observe(Duration::from_micros(*rtt_us), now);
            }
            let (min, max) = answers.iter().fold((u64::MAX, 0), |(lo, hi), (rtt, _)| (lo.min(*rtt), hi.max(*rtt)));
            prop_assert!(ewma.nanos >= min as f64 * 1e3 * 0.999 && ewma.nanos <= max as f64 * 1e3 * 1.001);
        }
    }
}
