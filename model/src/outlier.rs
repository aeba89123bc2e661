//! Outlier accrual: when failures in a row take an endpoint out of the choice, for how long, and how it comes
//! back. It counts; whether an ejected endpoint is used after all (the floor) is the balancer's business.
//!
//! ```text
//!            failure (fewer than the limit)
//!            ┌───┐
//!            ▼   │        limit reached, or a hard failure
//!          open ─┴────────────────────────────▶ ejected ──time──▶ half-open: one request at a time
//!            ▲                                     ▲                 │
//!            │                                     └──── failure ────┤  (longer each time)
//!            └──────────────────────── success ──────────────────────┘
//! ```

use std::time::Duration;

use crate::policy::OutlierPolicy;

/// The bit of [`Accrual::failures`] that says that an ejection came and no success since. In that word, so that
/// one store ends the trial, and a failure long after it is one of a row again.
const ON_TRIAL: u32 = 1 << 31;
/// The bit beside it that says that a refused connection was why: there is nobody to panic over.
const REFUSED: u32 = 1 << 30;

/// How bad a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is there (connection refused), or the wrong one: ejected at once.
    Hard,
    /// One bad answer; only a row of them ejects.
    Soft,
}

/// What is counted of one endpoint. Times are nanoseconds since any fixed point after 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accrual {
    /// Failures in a row, whether the endpoint is on trial, and whether for a refused connection.
    pub failures: u32,
    /// Ejections that were not followed by a long enough good time.
    pub ejections: u32,
    /// When the last ejection ends or ended; 0 = never ejected.
    pub ejected_until: u64,
}

/// Whether the endpoint may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// As any other.
    Open,
    /// Back on trial: one request at a time until one succeeds.
    HalfOpen,
    /// Not before this time.
    Ejected(u64),
}

impl Accrual {
    /// Where the endpoint stands.
    pub fn gate(&self, now: u64) -> Gate {
        if self.ejected_until > now {
            Gate::Ejected(self.ejected_until)
        } else if self.failures & ON_TRIAL != 0 {
            Gate::HalfOpen
        } else {
            Gate::Open
        }
    }

    /// After an answer that is no failure.
    #[must_use]
    pub fn succeeded(self) -> Self {
        // A late answer to a request from before the ejection does not end the ejection: it is no proof that
        // a new connection can be made.
        Self { failures: 0, ..self }
    }

    /// After a failure. `true` says that this one ejected the endpoint.
    #[must_use]
    pub fn failed(
        self,
        failure: Failure,
        now: u64,
        policy: &OutlierPolicy,
        rng: &mut fastrand::Rng,
    ) -> (Self, bool) {
        let counted = self.failed_again();
        let ejects = match self.gate(now) {
            // Requests that were under way when it was ejected fail too; they say nothing new.
            Gate::Ejected(_) => false,
            Gate::HalfOpen => true,
            Gate::Open => failure == Failure::Hard || counted.in_a_row() >= policy.consecutive,
        };
        if !ejects {
            return (counted, false);
        }
        let refused = if failure == Failure::Hard { REFUSED } else { 0 };
        let counted = Self { failures: (counted.failures & !REFUSED) | refused, ..counted };
        (counted.ejected(now, policy, rng), true)
    }

    /// Left out from now on, whatever was counted: longer each time.
    #[must_use]
    pub fn ejected(self, now: u64, policy: &OutlierPolicy, rng: &mut fastrand::Rng) -> Self {
        let forgiven = nanos(policy.forgiven_after);
        let lately = self.ejected_until != 0 && now < self.ejected_until.saturating_add(forgiven);
        let ejections = if lately { self.ejections.saturating_add(1) } else { 1 };
        let time = policy.base.saturating_mul(ejections).min(policy.max);
        // Jitter, so that callers which ejected it together do not all try it at the same moment.
        let time = time.mul_f64(0.9 + rng.f64() / 5.0);
        Self { failures: self.failures | ON_TRIAL, ejections, ejected_until: now.saturating_add(nanos(time)) }
    }

    /// After a failure that must not eject, because too many are out.
    #[must_use]
    pub fn failed_again(self) -> Self {
        let state = self.failures & (ON_TRIAL | REFUSED);
        let failures = state | (self.in_a_row() + 1).min(REFUSED - 1);
        Self { failures, ..self }
    }

    /// Failures without a success between them.
    pub fn in_a_row(self) -> u32 {
        self.failures & !(ON_TRIAL | REFUSED)
    }

    /// Whether it was ejected last because nobody was there, and has not answered since.
    pub fn is_refused(&self) -> bool {
        self.failures & REFUSED != 0
    }
}

/// Saturates after 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn policy() -> OutlierPolicy {
        OutlierPolicy::default()
    }

    #[test]
    fn five_soft_failures_in_a_row_eject_and_a_success_between_starts_anew() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut accrual = Accrual::default();
        for _ in 0..4 {
            accrual = accrual.failed(Failure::Soft, S, &policy(), &mut rng).0;
        }
        accrual = accrual.succeeded();
        for turn in 0..5 {
            let (next, ejected) = accrual.failed(Failure::Soft, S, &policy(), &mut rng);
            assert_eq!(ejected, turn == 4);
            accrual = next;
        }
        assert!(matches!(accrual.gate(S), Gate::Ejected(_)));
    }

    #[test]
    fn a_hard_failure_ejects_at_once_and_a_success_on_trial_opens_again() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (accrual, ejected) = Accrual::default().failed(Failure::Hard, S, &policy(), &mut rng);
        assert!(ejected);
        assert_eq!(accrual.gate(10 * S), Gate::HalfOpen);
        assert_eq!(accrual.succeeded().gate(10 * S), Gate::Open);
    }

    #[test]
    fn after_a_passed_trial_one_bad_answer_is_the_first_of_a_row_again() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (ejected, _) = Accrual::default().failed(Failure::Hard, S, &policy(), &mut rng);
        let (once, ejects) = ejected.succeeded().failed(Failure::Soft, 100 * S, &policy(), &mut rng);
        assert_eq!((once.gate(100 * S), ejects), (Gate::Open, false));
    }

    #[test]
    fn failures_that_must_not_eject_leave_the_endpoint_as_it_was() {
        let mut rng = fastrand::Rng::with_seed(1);
        let kept = Accrual::default().failed_again();
        assert_eq!((kept.gate(S), kept.in_a_row()), (Gate::Open, 1));
        let (ejected, _) = kept.failed(Failure::Hard, S, &policy(), &mut rng);
        assert_eq!(ejected.failed_again().gate(100 * S), Gate::HalfOpen);
    }

    #[test]
    fn each_failure_on_trial_ejects_for_longer_and_a_long_good_time_forgives() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (first, _) = Accrual::default().failed(Failure::Hard, S, &policy(), &mut rng);
        let (second, _) = first.failed(Failure::Soft, 8 * S, &policy(), &mut rng);
        assert!(second.ejected_until - 8 * S > first.ejected_until - S);
        let (late, _) = second.succeeded().failed(Failure::Hard, 1_000 * S, &policy(), &mut rng);
        assert_eq!(late.ejections, 1);
    }

    proptest! {
        #[test]
        fn an_ejection_is_never_longer_than_the_limit(
            events in prop::collection::vec((0_u64..20, 0_u8..3), 1..200), seed: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut accrual, mut now) = (Accrual::default(), S);
            for (wait, event) in events {
                now += wait * S;
                accrual = match event {
                    0 => accrual.succeeded(),
                    1 => accrual.failed(Failure::Soft, now, &policy(), &mut rng).0,
                    _ => accrual.failed(Failure::Hard, now, &policy(), &mut rng).0,
                };
                let longest = nanos(policy().max.mul_f64(1.1));
                prop_assert!(accrual.ejected_until <= now + longest);
            }
        }
    }
}
