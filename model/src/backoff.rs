//! Exponential back-off with full jitter. It knows no clock: it answers how long to wait, and the caller
//! waits.

use std::time::Duration;

/// How waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait at all.
    pub max: Duration,
}

impl Backoff {
    /// The wait before try `step` (0 = the first wait): a uniform draw between half of
    /// `min(base * 2^step, max)` and all of it, so that callers which failed together do not return together.
    pub fn delay(&self, step: u32, rng: &mut fastrand::Rng) -> Duration {
        let factor = 1_u32.checked_shl(step).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.max);
        ceiling.mul_f64(0.5 + rng.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_between_half_its_ceiling_and_its_ceiling(step in 0_u32..80, seed: u64) {
            let backoff = Backoff { base: Duration::from_millis(25), max: Duration::from_secs(1) };
            let wait = backoff.delay(step, &mut fastrand::Rng::with_seed(seed));
            let ceiling = Duration::from_millis(25 * (1 << step.min(10))).min(Duration::from_secs(1));
            prop_assert!(wait <= ceiling && wait >= ceiling / 2, "{wait:?} of {ceiling:?}");
        }
    }
}
