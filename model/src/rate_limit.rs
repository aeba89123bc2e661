//! A token bucket in one word (the generic cell rate algorithm): the word is the time at which the bucket would
//! be full again, in nanoseconds. The caller compares and swaps it, or keeps it under a key in [`Buckets`].
//!
//! ```text
//!  now ≥ word            word > now                      word + one token > now + burst
//!  full ──one request──▶ partly filled ──more of them──▶ empty: refused, and told how long to wait
//!   ▲                        │
//!   └────── time passes ─────┘
//! ```

use std::{collections::HashMap, time::Duration};

use crate::traffic::RateLimit;

/// Keys of one limit that are told apart on one shard, at most. A key costs 16 bytes and its place in a table.
pub const KEYS_MAX: usize = 4_096;

/// How fast tokens flow back, and how many a bucket holds. In nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// For one token to flow back.
    token: u64,
    /// For a whole bucket.
    bucket: u64,
}

impl Rate {
    /// A bucket of `burst` tokens into which `requests` flow back in `per`.
    pub fn new(requests: u32, per: Duration, burst: u32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        // Rounded up: never more than was allowed.
        let token = per.div_ceil(u64::from(requests.max(1))).max(1);
        Self { token, bucket: token.saturating_mul(u64::from(burst.max(1))) }
    }

    /// The word after one more request at `now`, in nanoseconds since any fixed point.
    ///
    /// # Errors
    /// How long to wait for a token, when there is none.
    pub fn take(&self, word: u64, now: u64) -> Result<u64, Duration> {
        let taken = word.max(now).saturating_add(self.token);
        match (taken - now).checked_sub(self.bucket) {
            None | Some(0) => Ok(taken),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// A word of a limit that has changed to this one at `now`: an empty bucket stays empty, and takes no longer
    /// to fill than one of its own.
    #[must_use]
    pub fn take_over(&self, word: u64, now: u64) -> u64 {
        word.min(now.saturating_add(self.bucket))
    }
}

impl From<&RateLimit> for Rate {
    fn from(limit: &RateLimit) -> Self {
        Self::new(limit.requests, limit.per, limit.burst)
    }
}

/// A bucket a key, bounded. A full bucket is as good as none, so only full ones are ever let go: nobody gets a
/// fresh bucket by calling under many keys. When no bucket is full and there is no place for another, all keys
/// beyond share one.
#[derive(Debug, Default)]
pub struct Buckets {
    words: HashMap<u64, u64, foldhash::fast::RandomState>,
    /// Of all keys that found no place.
    shared: u64,
    /// Before this time no bucket becomes full, so none is looked for.
    none_full_before: u64,
}

impl Buckets {
    /// Takes a token of the bucket of `key`, which is a hash that callers cannot foresee.
    ///
    /// # Errors
    /// How long to wait for a token, when there is none.
    pub fn take(&mut self, key: u64, now: u64, rate: &Rate) -> Result<(), Duration> {
        if !self.words.contains_key(&key) && self.words.len() >= KEYS_MAX {
            self.let_go_of_full(now);
        }
        let has_place = self.words.len() < KEYS_MAX;
        let word = match self.words.get_mut(&key) {
            Some(word) => word,
            None if has_place => self.words.entry(key).or_default(),
            None => &mut self.shared,
        };
        *word = rate.take(*word, now)?;
        self.none_full_before = self.none_full_before.min(*word);
        Ok(())
    }

    /// See [`Rate::take_over`].
    pub fn take_over(&mut self, now: u64, rate: &Rate) {
        for word in self.words.values_mut().chain([&mut self.shared]) {
            *word = rate.take_over(*word, now);
        }
        self.none_full_before = 0;
    }

    /// How many keys are told apart now.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether no key is told apart now.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn let_go_of_full(&mut self, now: u64) {
        if now < self.none_full_before {
            return;
        }
        self.words.retain(|_, word| *word > now);
        self.none_full_before = self.words.values().copied().min().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate() -> Rate {
        Rate::new(10, Duration::from_secs(1), 5)
    }

    #[test]
    fn a_burst_passes_then_the_rate_and_the_wait_is_exact() {
        let (rate, mut word) = (rate(), 0);
        for _ in 0..5 {
            word = rate.take(word, SECOND).unwrap();
        }
        let wait = rate.take(word, SECOND).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        let later = SECOND + 100_000_000;
        assert!(rate.take(word, later - 1).is_err());
        word = rate.take(word, later).unwrap();
        assert!(rate.take(word, later).is_err());
    }

    #[test]
    fn a_limit_that_became_faster_forgets_what_the_slow_one_was_owed() {
        let slow = Rate::new(1, Duration::from_secs(3_600), 1);
        let word = rate().take_over(slow.take(0, SECOND).unwrap(), SECOND);
        assert_eq!(rate().take(word, SECOND), Err(Duration::from_millis(100)));
        assert!(rate().take(word, SECOND + 100_000_000).is_ok());
    }

    #[test]
    fn keys_beyond_the_limit_share_a_bucket_and_nobody_gets_a_fresh_one() {
        let (rate, mut buckets) = (rate(), Buckets::default());
        for _ in 0..5 {
            buckets.take(0, SECOND, &rate).unwrap();
        }
        let strangers = 1..=(KEYS_MAX as u64 * 2);
        let admitted = strangers.filter(|key| buckets.take(*key, SECOND, &rate).is_ok()).count();
        assert_eq!(admitted, KEYS_MAX - 1 + 5, "one for each key with a place, and one bucket for the rest");
        assert!(buckets.take(0, SECOND, &rate).is_err(), "an empty bucket stays");
        assert_eq!(buckets.len(), KEYS_MAX);
        assert!(buckets.take(u64::MAX, 2 * SECOND, &rate).is_ok());
        assert_eq!(buckets.len(), 1, "all were full again");
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let (rate, word) = (Rate::new(1_000, Duration::from_secs(1), 50), Arc::new(AtomicU64::new(0)));
        let start = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (word, start) = (Arc::clone(&word), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    let takes = (0..1_000_u64).map(|step| SECOND + step * 100_000);
                    let take = |now| word.fetch_update(Relaxed, Relaxed, |word| rate.take(word, now).ok());
                    takes.filter(|now| take(*now).is_ok()).count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        // A tenth of a second, seen by clocks that run apart by no more than that.
        assert!((50..=150).contains(&admitted), "{admitted}");
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_flowed_back(
            requests in 1_u32..1_000,
            per_ms in 1_u64..10_000,
            burst in 1_u32..50,
            gaps in proptest::collection::vec(0_u64..50_000_000, 1..300),
        ) {
            let per = Duration::from_millis(per_ms);
            let rate = Rate::new(requests, per, burst);
            let (mut now, mut word, mut admitted) = (SECOND, 0, 0_u128);
            for gap in gaps {
                now += gap;
                if let Ok(next) = rate.take(word, now) {
                    (word, admitted) = (next, admitted + 1);
                }
                let flowed = u128::from(now - SECOND) * u128::from(requests) / per.as_nanos();
                prop_assert!(admitted <= u128::from(burst) + flowed);
            }
        }

        #[test]
        fn who_waits_as_told_gets_a_token(gaps in proptest::collection::vec(0_u64..200_000_000, 1..100)) {
            let (rate, mut now, mut word) = (rate(), SECOND, 0);
            for gap in gaps {
                now += gap;
                word = match rate.take(word, now) {
                    Ok(next) => next,
                    Err(wait) => {
                        now += u64::try_from(wait.as_nanos()).unwrap();
                        rate.take(word, now).unwrap()
                    }
                };
            }
        }
    }
}
