//! The retry budget: how much more load than its callers' own a service gets from retries. One word that
//! threads share, so that a storm is bounded over all of them; the word is passed in and out, the caller
//! compares and swaps.
//!
//! The word holds what is *spent*, so that a zeroed word is a full bucket: the upper half is the time of the
//! last look in milliseconds, the lower half thousandths of a retry.

use crate::policy::RetryBudget;

/// One retry, in the unit of the lower half of the word.
const RETRY: u64 = 1_000;

/// The word after one more request at `now_ms` (milliseconds since any fixed point; wraps after 49 days).
pub fn deposit(word: u64, now_ms: u32, budget: &RetryBudget) -> u64 {
    let spent = spent_at(word, now_ms, budget);
    pack(now_ms, spent.saturating_sub(u64::from(budget.percent) * RETRY / 100))
}

/// The word after one retry at `now_ms`, or `None` when the budget is spent.
pub fn withdraw(word: u64, now_ms: u32, budget: &RetryBudget) -> Option<u64> {
    let spent = spent_at(word, now_ms, budget) + RETRY;
    (spent <= u64::from(budget.reserve) * RETRY).then(|| pack(now_ms, spent))
}

/// What is spent once the floor has flowed back since the last look.
fn spent_at(word: u64, now_ms: u32, budget: &RetryBudget) -> u64 {
    let (at, spent) = unpack(word);
    let elapsed = now_ms.wrapping_sub(at);
    // A thread that read the clock a little before another one wrote the word sees time run backwards.
    let elapsed = if elapsed > u32::MAX / 2 { 0 } else { elapsed };
    // Retries a second are thousandths of a retry a millisecond.
    spent.saturating_sub(u64::from(elapsed) * u64::from(budget.floor_per_second))
}

fn pack(at_ms: u32, spent: u64) -> u64 {
    u64::from(at_ms) << 32 | spent.min(u64::from(u32::MAX))
}

fn unpack(word: u64) -> (u32, u64) {
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of the word is 32 bits")]
    let at_ms = (word >> 32) as u32;
    (at_ms, word & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: RetryBudget = RetryBudget { percent: 20, floor_per_second: 10, reserve: 100 };

    #[test]
    fn a_fresh_budget_gives_its_reserve_and_no_more() {
        let mut word = 0;
        let mut given = 0;
        while let Some(next) = withdraw(word, 5, &BUDGET) {
            word = next;
            given += 1;
        }
        assert_eq!(given, 100);
        assert!(withdraw(word, 104, &BUDGET).is_none(), "a tenth of a second is not yet one retry");
        assert!(withdraw(word, 105, &BUDGET).is_some(), "the floor gives one retry each tenth of a second");
    }

    #[test]
    fn five_requests_earn_one_retry() {
        let mut word = 0;
        while let Some(next) = withdraw(word, 0, &BUDGET) {
            word = next;
        }
        for _ in 0..5 {
            assert!(withdraw(word, 0, &BUDGET).is_none());
            word = deposit(word, 0, &BUDGET);
        }
        assert!(withdraw(word, 0, &BUDGET).is_some());
    }

    proptest! {
        #[test]
        fn retries_never_exceed_reserve_share_and_floor(
            steps in prop::collection::vec((0_u32..20, any::<bool>()), 1..2_000), start: u32,
        ) {
            let (mut word, mut now, mut requests, mut retries) = (0, start, 0_u64, 0_u64);
            let mut first_look = None;
            for (wait, failed) in steps {
                now = now.wrapping_add(wait);
                first_look.get_or_insert(now);
                word = deposit(word, now, &BUDGET);
                requests += 1;
                // Each request that fails tries to retry three times: a storm.
                for _ in 0..if failed { 3 } else { 0 } {
                    if let Some(next) = withdraw(word, now, &BUDGET) {
                        word = next;
                        retries += 1;
                    }
                }
            }
            let elapsed = u64::from(now.wrapping_sub(first_look.unwrap_or(now)));
            let allowed = 100 + requests / 5 + elapsed / 100 + 1;
            prop_assert!(retries <= allowed, "{retries} of {allowed}");
        }
    }
}
