//! Ejection by success rate: which endpoints fail so much more than the others that they are left out. Pure; what
//! is counted stands in one word an endpoint that threads share.
//!
//! As Envoy's success-rate detection: of the endpoints with enough requests in the interval, those whose rate is
//! more than so many standard deviations below the mean. It finds what a row of failures does not: the replica
//! that fails one call in three.

use crate::policy::SuccessRatePolicy;

/// The largest number that half a word counts.
const COUNT_MAX: u32 = 0xffff;

/// What one endpoint answered in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests.
    pub total: u32,
    /// Of them, those that failed.
    pub failed: u32,
}

impl Tally {
    /// From a shared word: requests in the upper half, failures in the lower.
    pub const fn unpack(word: u32) -> Self {
        Self { total: word >> 16, failed: word & COUNT_MAX }
    }

    /// The word after one more request. When it is full both counts are halved: the rate stays.
    pub const fn count(word: u32, has_failed: bool) -> u32 {
        let Self { mut total, mut failed } = Self::unpack(word);
        if total == COUNT_MAX {
            total /= 2;
            failed /= 2;
        }
        (total + 1) << 16 | (failed + has_failed as u32)
    }

    fn success_rate(self) -> f64 {
        f64::from(self.total - self.failed.min(self.total)) / f64::from(self.total.max(1))
    }
}

/// The rate below which an endpoint is left out, between 0 and 1; `None` where there is too little to compare.
pub fn threshold(tallies: impl Iterator<Item = Tally> + Clone, policy: &SuccessRatePolicy) -> Option<f64> {
    let rates = tallies.filter(|tally| tally.total >= policy.requests_min.max(1)).map(Tally::success_rate);
    let (count, sum) = rates.clone().fold((0_u32, 0.0), |(count, sum), rate| (count + 1, sum + rate));
    if count < policy.endpoints_min.max(2) {
        return None;
    }
    let mean = sum / f64::from(count);
    let variance = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / f64::from(count);
    Some(mean - variance.sqrt() * f64::from(policy.stdev_factor_thousandths) / 1_000.0)
}

/// Whether this endpoint is to be left out.
pub fn is_outlier(tally: Tally, threshold: f64, policy: &SuccessRatePolicy) -> bool {
    tally.total >= policy.requests_min.max(1) && tally.success_rate() < threshold
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const POLICY: SuccessRatePolicy = SuccessRatePolicy {
        interval: Duration::from_secs(10),
        requests_min: 100,
        endpoints_min: 5,
        stdev_factor_thousandths: 1_900,
    };

    fn outliers(tallies: &[(u32, u32)]) -> Vec<usize> {
        let tallies: Vec<Tally> =
            tallies.iter().map(|(total, failed)| Tally { total: *total, failed: *failed }).collect();
        let Some(threshold) = threshold(tallies.iter().copied(), &POLICY) else { return Vec::new() };
        let out = |(place, tally): (usize, &Tally)| is_outlier(*tally, threshold, &POLICY).then_some(place);
        tallies.iter().enumerate().filter_map(out).collect()
    }

    #[test]
    fn the_one_that_fails_far_more_is_found() {
        assert_eq!(outliers(&[(100, 1), (200, 0), (100, 2), (150, 1), (100, 33)]), [4]);
    }

    #[test]
    fn too_few_endpoints_or_requests_say_nothing_and_equals_stay() {
        assert_eq!(outliers(&[(100, 0), (100, 0), (100, 0), (100, 90)]), Vec::<usize>::new());
        assert_eq!(outliers(&[(100, 0), (100, 0), (100, 0), (100, 0), (99, 99)]), Vec::<usize>::new());
        assert_eq!(outliers(&[(100, 50), (100, 50), (100, 50), (100, 50), (100, 50)]), Vec::<usize>::new());
    }

    #[test]
    fn a_full_word_keeps_its_rate() {
        let mut word = 0;
        for number in 0..1_000_000 {
            word = Tally::count(word, number % 4 == 0);
        }
        let tally = Tally::unpack(word);
        assert!((tally.success_rate() - 0.75).abs() < 0.01 && tally.total <= COUNT_MAX, "{tally:?}");
    }

    proptest! {
        #[test]
        fn never_are_all_left_out(tallies in prop::collection::vec((0_u32..1_000, 0_u32..1_000), 0..50)) {
            let tallies: Vec<_> = tallies.iter().map(|(total, failed)| (*total, *failed.min(total))).collect();
            let compared = tallies.iter().filter(|(total, _)| *total >= POLICY.requests_min).count();
            prop_assert!(outliers(&tallies).len() < compared.max(1));
        }
    }
}
