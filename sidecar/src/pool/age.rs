//! How old a connection may grow. Those made together do not all end together: each has a bound of its own, a
//! tenth around the one that is said.

use std::time::Duration;

/// A connection's birth and its own patience.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    born_at: u64,
    /// 0.9 to 1.1.
    stretch: f32,
}

impl Age {
    /// Of a connection made now, in nanoseconds since the process's epoch.
    pub(crate) fn new(now: u64) -> Self {
        Self { born_at: now, stretch: 0.9 + fastrand::f32() / 5.0 }
    }

    /// Whether the connection is past `age_max`.
    pub(crate) fn is_over(self, age_max: Option<Duration>, now: u64) -> bool {
        let Some(age_max) = age_max else { return false };
        Duration::from_nanos(now.saturating_sub(self.born_at)) > self.of(age_max)
    }

    /// The age that this one may have.
    pub(crate) fn of(self, age_max: Duration) -> Duration {
        age_max.mul_f32(self.stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_over_about_when_it_is_said_and_never_without_a_word() {
        let second = Duration::from_secs(1);
        for _ in 0..100 {
            let age = Age::new(5_000_000_000);
            assert!(!age.is_over(Some(second), 5_899_000_000) && age.is_over(Some(second), 6_101_000_000));
            assert!(!age.is_over(None, u64::MAX));
        }
    }
}
