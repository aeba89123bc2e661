//! The retry budget: how much more load than its callers' own a service gets from retries. One word that
//! threads share, so that a storm is bounded over all of them; the word is passed in and out, the caller
//! compares and swaps.
//!
//! Two accounts pay, and every retry is booked on both: the *share* earns with each request, the *floor* with
//! time. One that is in the black is enough. So a steady load sees retries up to the larger of the two, not
//! their sum: a service that is down gets a fifth more than was asked of it, no matter for how long, and one
//! with a call a minute can still retry. What the share has saved in good times pays for a burst, such as all
//! the calls that a dying replica had open.
//!
//! ```text
//!  63          34 33        17 16         0
//!  │ 30: 4 ms    │ 17: share  │ 17: floor  │     both in hundredths of a retry, two's complement
//! ```
//! A zeroed word is a fresh budget: nothing saved, and a second's worth of the floor.

use crate::policy::RetryBudget;

/// One retry, in the unit of both accounts.
const RETRY: i64 = 100;
/// What an account can hold, or owe, at most: what 17 bits take, in retries.
const ACCOUNT_MAX: i64 = 650;
/// Width of an account.
const ACCOUNT_BITS: u32 = 17;
/// Width of the time.
const TIME_BITS: u32 = 30;
/// Milliseconds in the unit of the time, as a shift.
const TICK_SHIFT: u32 = 2;

/// The word's parts. What the floor holds is kept as the difference from a second's worth of it.
#[derive(Debug, Clone, Copy)]
struct Accounts {
    at: u32,
    share: i64,
    floor: i64,
}

/// The word after one more request.
pub fn deposit(word: u64, budget: &RetryBudget) -> u64 {
    let mut accounts = Accounts::unpack(word);
    let most = i64::from(budget.reserve).min(ACCOUNT_MAX) * RETRY;
    accounts.share = (accounts.share + i64::from(budget.percent) * RETRY / 100).min(most);
    accounts.pack()
}

/// The word after one retry at `now_ms` (milliseconds since any fixed point; wraps), or `None` when the budget
/// is spent.
pub fn withdraw(word: u64, now_ms: u32, budget: &RetryBudget) -> Option<u64> {
    let mut accounts = Accounts::unpack(word);
    accounts.earn(now_ms >> TICK_SHIFT, budget);
    let second = i64::from(budget.floor_per_second).min(ACCOUNT_MAX) * RETRY;
    if accounts.share < RETRY && second + accounts.floor < RETRY {
        return None;
    }
    // A debt is forgotten beyond what can be saved: a load that changes must not wait for long until the other
    // account counts.
    let debt = i64::from(budget.reserve.max(1)).min(ACCOUNT_MAX) * RETRY;
    accounts.share = (accounts.share - RETRY).max(-debt);
    accounts.floor = (accounts.floor - RETRY).max(-debt - second).max(-ACCOUNT_MAX * RETRY);
    Some(accounts.pack())
}

/// How many retries it pays for at `now_ms`.
pub fn left(word: u64, now_ms: u32, budget: &RetryBudget) -> u32 {
    let mut accounts = Accounts::unpack(word);
    accounts.earn(now_ms >> TICK_SHIFT, budget);
    let second = i64::from(budget.floor_per_second).min(ACCOUNT_MAX) * RETRY;
    u32::try_from(accounts.share.max(second + accounts.floor) / RETRY).unwrap_or(0)
}

impl Accounts {
    /// The floor flows back since the last look.
    fn earn(&mut self, now: u32, budget: &RetryBudget) {
        let elapsed = now.wrapping_sub(self.at) & mask32(TIME_BITS);
        // A thread that read the clock a little before another one wrote the word sees time run backwards.
        if elapsed > mask32(TIME_BITS) / 2 {
            return;
        }
        // Retries a second are two fifths of a hundredth a tick. Time that earned nothing yet stays on the clock.
        let earned = i64::from(elapsed) * i64::from(budget.floor_per_second) * 2 / 5;
        self.floor = (self.floor + earned).min(0);
        if earned > 0 || self.floor == 0 {
            self.at = now;
        }
    }

    fn unpack(word: u64) -> Self {
        // Shifted, the time has 30 bits.
        let at = u32::try_from(word >> (2 * ACCOUNT_BITS)).unwrap_or(0);
        Self { at, share: signed(word >> ACCOUNT_BITS), floor: signed(word).min(0) }
    }

    fn pack(self) -> u64 {
        u64::from(self.at) << (2 * ACCOUNT_BITS) | unsigned(self.share) << ACCOUNT_BITS | unsigned(self.floor)
    }
}

const fn mask32(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// The lowest 17 bits, with their sign.
const fn signed(word: u64) -> i64 {
    (word << (64 - ACCOUNT_BITS)).cast_signed() >> (64 - ACCOUNT_BITS)
}

const fn unsigned(account: i64) -> u64 {
    account.cast_unsigned() & ((1 << ACCOUNT_BITS) - 1)
}

#[cfg(test)]
mod tests;
