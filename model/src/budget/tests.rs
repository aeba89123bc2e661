//! The budget against storms, and its word against anything.

use proptest::prelude::*;

use super::*;

const BUDGET: RetryBudget = RetryBudget { percent: 20, floor_per_second: 10, reserve: 100 };

/// Retries that are paid at this moment, until none is.
fn drain(word: &mut u64, now: u32, budget: &RetryBudget) -> u32 {
    let mut given = 0;
    while let Some(next) = withdraw(*word, now, budget) {
        *word = next;
        given += 1;
    }
    given
}

#[test]
fn what_is_left_is_what_can_be_withdrawn() {
    let budget = RetryBudget { percent: 20, reserve: 100, floor_per_second: 3 };
    let mut word = 0;
    for _ in 0..50 {
        word = deposit(word, &budget);
    }
    for now in [0, 40, 5_000] {
        let mut withdrawn = 0;
        let promised = left(word, now, &budget);
        while let Some(after) = withdraw(word, now, &budget) {
            (word, withdrawn) = (after, withdrawn + 1);
        }
        assert_eq!((withdrawn, left(word, now, &budget)), (promised, 0), "at {now} ms");
    }
}

#[test]
fn a_fresh_budget_gives_a_second_of_the_floor_and_no_more() {
    let mut word = 0;
    assert_eq!(drain(&mut word, 5, &BUDGET), 10);
    assert_eq!(drain(&mut word, 99, &BUDGET), 0, "a tenth of a second is not yet one retry");
    assert_eq!(drain(&mut word, 108, &BUDGET), 1, "the floor gives one retry each tenth of a second");
}

#[test]
fn five_requests_earn_one_retry_once_the_floor_is_paid_back() {
    let mut word = 0;
    drain(&mut word, 0, &BUDGET);
    for _ in 0..55 {
        assert_eq!(drain(&mut word, 0, &BUDGET), 0);
        word = deposit(word, &BUDGET);
    }
    assert_eq!(drain(&mut word, 0, &BUDGET), 1);
}

#[test]
fn good_times_save_for_a_burst_and_no_further_than_the_reserve() {
    let mut word = 0;
    for _ in 0..10_000 {
        word = deposit(word, &BUDGET);
    }
    assert_eq!(drain(&mut word, 0, &BUDGET), 100);
}

#[test]
fn without_a_floor_only_requests_pay_and_without_a_share_only_time() {
    let share = RetryBudget { floor_per_second: 0, ..BUDGET };
    let mut word = 0;
    assert_eq!(drain(&mut word, 60_000, &share), 0);
    for _ in 0..10 {
        word = deposit(word, &share);
    }
    assert_eq!(drain(&mut word, 60_000, &share), 2);
    let floor = RetryBudget { percent: 0, ..BUDGET };
    let mut word = 0;
    for _ in 0..1_000 {
        word = deposit(word, &floor);
    }
    assert_eq!(drain(&mut word, 0, &floor), 10);
    assert_eq!(drain(&mut word, 500, &floor), 5);
}

#[test]
fn a_slow_floor_loses_no_time_that_earned_nothing_yet() {
    let slow = RetryBudget { percent: 0, floor_per_second: 1, reserve: 100 };
    let mut word = 0;
    let mut given = 0;
    for tick in 0..15_000 {
        given += drain(&mut word, tick * 4, &slow);
    }
    assert!((60..=61).contains(&given), "{given} in a minute");
}

#[test]
fn a_service_that_is_down_gets_at_most_a_fifth_more_than_was_asked_of_it() {
    for rate in [100_u32, 200, 1_000, 20_000] {
        let (mut word, mut retries) = (0, 0);
        for number in 0..rate * 20 {
            let now = number * 1_000 / rate;
            word = deposit(word, &BUDGET);
            retries += drain(&mut word, now, &BUDGET);
            assert!(
                retries * 5 <= (number + 1).max(10 * (50 + now / 20)),
                "{retries} of {number} at {now} ms"
            );
        }
        assert!(retries * 5 <= rate * 20, "{retries} at {rate} a second");
    }
}

proptest! {
    #[test]
    fn retries_never_exceed_what_both_accounts_have_earned(
        steps in prop::collection::vec((0_u32..20, any::<bool>()), 1..2_000), start: u32,
    ) {
        let (mut word, mut now, mut requests, mut retries, mut elapsed) = (0, start, 0_u64, 0_u64, 0_u64);
        // The first look sets the clock.
        word = withdraw(word, now, &BUDGET).unwrap_or(word);
        for (wait, failed) in steps {
            now = now.wrapping_add(wait);
            elapsed += u64::from(wait);
            word = deposit(word, &BUDGET);
            requests += 1;
            // Each request that fails tries to retry three times: a storm.
            for _ in 0..if failed { 3 } else { 0 } {
                if let Some(next) = withdraw(word, now, &BUDGET) {
                    word = next;
                    retries += 1;
                }
            }
        }
        let allowed = requests / 5 + 10 + elapsed / 100 + 1;
        prop_assert!(retries <= allowed, "{retries} of {allowed}");
    }

    #[test]
    fn any_word_and_any_budget_are_harmless(
        word: u64, now: u32, percent in 0_u32..=100, floor_per_second: u32, reserve: u32,
    ) {
        let budget = RetryBudget { percent, floor_per_second, reserve };
        let deposited = Accounts::unpack(deposit(word, &budget));
        prop_assert!(deposited.share <= ACCOUNT_MAX * RETRY);
        if let Some(next) = withdraw(word, now, &budget) {
            let accounts = Accounts::unpack(next);
            prop_assert!(accounts.floor <= 0 && accounts.share >= -ACCOUNT_MAX * RETRY);
        }
    }
}
