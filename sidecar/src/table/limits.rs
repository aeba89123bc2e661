//! The buckets of a service's rate limits, shared by data threads: one word for a limit without keys, a sharded
//! map of words for one with keys. They outlive tables: a limit that stays keeps what was taken from it.

use std::{
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use weft_model::{
    rate_limit::{Buckets, Rate},
    traffic::{Origin, RateLimit, Traffic},
};

use crate::clock;

/// Parts of a keyed limit that are locked apart; more than data threads, so that two seldom meet.
const SHARDS: u64 = 16;

/// One limit of one RateLimitPolicy.
#[derive(Debug, Clone)]
pub struct LimitCell {
    id: LimitId,
    rate: Rate,
    /// What it counts by, as it was said: a limit that counts by something else begins anew.
    said: RateLimit,
    words: Arc<Words>,
}

/// By what a limit is known again: its policy and its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LimitId {
    namespace: Arc<str>,
    name: Arc<str>,
    place: usize,
}

#[derive(Debug)]
enum Words {
    One(AtomicU64),
    Keyed { shards: Box<[Mutex<Buckets>]>, hashing: RandomState },
}

impl LimitCell {
    /// Those of all limits in `traffic`, in its order; what `old` ones counted is taken over.
    pub(super) fn all(traffic: &Traffic, old: &[Self]) -> Arc<[Self]> {
        traffic
            .rate_limits()
            .map(|(origin, place, limit)| {
                let id = LimitId::new(origin, place);
                match old.iter().find(|old| old.id == id && old.said.by == limit.by) {
                    Some(old) => old.succeed(limit),
                    None => Self {
                        id,
                        rate: limit.into(),
                        said: limit.clone(),
                        words: Arc::new(Words::new(!limit.by.is_empty())),
                    },
                }
            })
            .collect()
    }

    fn succeed(&self, limit: &RateLimit) -> Self {
        let rate = Rate::from(limit);
        if rate != self.rate {
            self.words.take_over(&rate);
        }
        Self { id: self.id.clone(), rate, said: limit.clone(), words: Arc::clone(&self.words) }
    }

    /// Takes a token; of the bucket that `key` hashes to, where the limit has keys.
    ///
    /// # Errors
    /// How long to wait for one, when there is none.
    pub(crate) fn take(&self, key: impl FnOnce(&RandomState) -> u64) -> Result<(), Duration> {
        let now = clock::now();
        match &*self.words {
            Words::One(word) => {
                let mut wait = Duration::ZERO;
                let take = |word| self.rate.take(word, now).map_err(|least| wait = least).ok();
                word.fetch_update(Relaxed, Relaxed, take).map_err(|_| wait).map(drop)
            }
            Words::Keyed { shards, hashing } => {
                let key = key(hashing);
                let shard = usize::try_from(key % SHARDS).ok().and_then(|place| shards.get(place));
                shard.map_or(Ok(()), |shard| shard.lock().take(key, now, &self.rate))
            }
        }
    }
}

impl LimitId {
    fn new(origin: &Origin, place: usize) -> Self {
        Self { namespace: Arc::clone(&origin.namespace), name: Arc::clone(&origin.name), place }
    }
}

impl Words {
    fn new(is_keyed: bool) -> Self {
        if !is_keyed {
            return Self::One(AtomicU64::new(0));
        }
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self::Keyed { shards, hashing: RandomState::new() }
    }

    fn take_over(&self, rate: &Rate) {
        let now = clock::now();
        match self {
            Self::One(word) => {
                let _ = word.fetch_update(Relaxed, Relaxed, |word| Some(rate.take_over(word, now)));
            }
            Self::Keyed { shards, .. } => {
                shards.iter().for_each(|shard| shard.lock().take_over(now, rate));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use weft_model::traffic::{Item, RateKey, Spec};

    use super::*;

    fn traffic(requests: u32, burst: u32, by: Vec<RateKey>) -> Traffic {
        let origin = Origin {
            created_ms: 1,
            namespace: "default".into(),
            name: "limit".into(),
            kind: "RateLimitPolicy".into(),
            generation: u64::from(requests),
        };
        let limit = RateLimit {
            matches: Vec::new(),
            route: None,
            by,
            requests,
            per: Duration::from_secs(3_600),
            burst,
        };
        Traffic::new(vec![Item { origin, spec: Spec::RateLimits(vec![limit]) }])
    }

    fn admitted(cell: &LimitCell, key: &str) -> usize {
        (0..100).filter(|_| cell.take(|hashing| hashing.hash_one(key)).is_ok()).count()
    }

    #[test]
    fn a_new_table_takes_over_what_was_taken() {
        let before = LimitCell::all(&traffic(1, 3, Vec::new()), &[]);
        assert_eq!(admitted(&before[0], ""), 3);
        assert_eq!(admitted(&LimitCell::all(&traffic(1, 3, Vec::new()), &before)[0], ""), 0);
        let faster = LimitCell::all(&traffic(3_600, 2, Vec::new()), &before);
        assert_eq!(admitted(&faster[0], ""), 0, "still empty");
        assert!(faster[0].take(|_| 0).unwrap_err() <= Duration::from_secs(1), "and fills at its own rate");
    }

    #[test]
    fn keys_have_buckets_of_their_own_and_another_kind_of_key_begins_anew() {
        let by = |name: &str| vec![RateKey::Header(name.into())];
        let before = LimitCell::all(&traffic(1, 3, by("user")), &[]);
        assert_eq!((admitted(&before[0], "a"), admitted(&before[0], "b")), (3, 3));
        let same = LimitCell::all(&traffic(1, 3, by("user")), &before);
        assert_eq!((admitted(&same[0], "a"), admitted(&same[0], "c")), (0, 3));
        assert_eq!(admitted(&LimitCell::all(&traffic(1, 3, by("other")), &before)[0], "a"), 3);
    }
}
