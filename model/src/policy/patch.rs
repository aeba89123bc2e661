//! What a ServicePolicy says over the policy that a sidecar has from its own file: each field it does not name
//! stays as it is. Applied once, when a table is built.

use std::time::Duration;

use super::{
    BalancePolicy, FaultPolicy, HedgePolicy, LimitPolicy, OutlierPolicy, Policy, RetryBudget, RetryOn,
};
use crate::backoff::Backoff;

/// Absent = not said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyPatch {
    /// `Some(None)` = never.
    pub total_timeout: Option<Option<Duration>>,
    /// `Some(None)` = never.
    pub per_try_timeout: Option<Option<Duration>>,
    /// To make a connection.
    pub connect_timeout: Option<Duration>,
    /// `Some(None)` = never.
    pub idle_timeout: Option<Option<Duration>>,
    /// Tries after the first.
    pub retries_max: Option<u32>,
    /// Conditions, all of them together.
    pub retry_on: Option<RetryOn>,
    /// The budget, all of it together.
    pub retry_budget: Option<RetryBudget>,
    /// The waits between retries.
    pub backoff: Option<Backoff>,
    /// The longest `retry-after` that is waited for.
    pub retry_after_max: Option<Duration>,
    /// In bytes.
    pub retry_body_max: Option<usize>,
    /// Hedging.
    pub hedge: Option<HedgePolicy>,
    /// Balancing, all of it together.
    pub balance: Option<BalancePolicy>,
    /// Ejection, all of it together.
    pub outlier: Option<OutlierPolicy>,
    /// Limits, all of them together.
    pub limits: Option<LimitPolicy>,
    /// Faults made on purpose.
    pub fault: Option<FaultPolicy>,
}

impl PolicyPatch {
    /// The policy that holds: `base`, and what is said over it.
    #[must_use]
    pub fn over(&self, base: &Policy) -> Policy {
        let said = self.clone();
        let mut policy = base.clone();
        set(&mut policy.timeouts.total, said.total_timeout);
        set(&mut policy.timeouts.per_try, said.per_try_timeout);
        set(&mut policy.timeouts.connect, said.connect_timeout);
        set(&mut policy.timeouts.idle, said.idle_timeout);
        set(&mut policy.retry.retries_max, said.retries_max);
        set(&mut policy.retry.on, said.retry_on);
        set(&mut policy.retry.budget, said.retry_budget);
        set(&mut policy.retry.backoff, said.backoff);
        set(&mut policy.retry.retry_after_max, said.retry_after_max);
        set(&mut policy.retry.body_max, said.retry_body_max);
        set(&mut policy.hedge, said.hedge.map(Some));
        set(&mut policy.balance, said.balance);
        set(&mut policy.outlier, said.outlier);
        set(&mut policy.limits, said.limits);
        set(&mut policy.fault, said.fault.map(Some));
        policy
    }
}

fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_holds_and_the_rest_stays() {
        let mut base = Policy::default();
        base.retry.retries_max = 7;
        let patch = PolicyPatch { total_timeout: Some(None), ..PolicyPatch::default() };
        let policy = patch.over(&base);
        assert_eq!((policy.timeouts.total, policy.retry.retries_max), (None, 7));
        assert_eq!(PolicyPatch::default().over(&base), base);
    }
}
