//! The last requests, and the last that somebody may ask about: those that failed, were cancelled or took more than
//! one attempt are kept longer than the many that went well. Filled by the thread that writes, a batch at a time;
//! asked by the admin server.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::Value;

use super::{
    AccessRecord,
    choices::{Choices, Counter},
    kept::Kept,
};

/// Of the requests kept, one in so many more is kept of those that failed.
const NOTABLE_SHARE: usize = 4;
/// Told of one id, at most: a request that an application passes on keeps its id.
const TOLD_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Rings {
    latest: Ring,
    notable: Ring,
}

/// Slots in the order of time, the oldest of which is used next.
#[derive(Debug)]
struct Ring {
    slots: Vec<Kept>,
    next: usize,
    length_max: usize,
}

impl Rings {
    pub(super) fn new(length_max: usize) -> Self {
        let notable = length_max.div_ceil(NOTABLE_SHARE);
        Self { latest: Ring::new(length_max), notable: Ring::new(notable) }
    }

    /// Keeps a batch; `wall` and `now` are the same moment.
    pub(super) fn keep(
        rings: &Mutex<Self>,
        batch: &[AccessRecord],
        (wall, now): (SystemTime, u64),
        mut counter: Counter,
    ) {
        let mut rings = rings.lock();
        for record in batch {
            let age = Duration::from_nanos(now.saturating_sub(record.ended));
            let ended = wall.checked_sub(age).unwrap_or(wall);
            let choices = record
                .story
                .terms
                .and_then(|_| counter.of(record.story.backend.as_ref().unwrap_or(&record.service)));
            if record.is_notable() {
                rings.notable.put(record, ended, choices);
            }
            rings.latest.put(record, ended, choices);
        }
    }

    /// What is known of a request id or trace id, in the order of their end.
    pub(super) fn tell(&self, id: &str) -> Vec<Value> {
        let mut found: Vec<_> = self.latest.iter().filter(|kept| kept.is(id)).collect();
        let older = self.notable.iter().filter(|kept| kept.is(id));
        let older: Vec<_> = older.filter(|kept| !found.iter().any(|known| known.is_same(kept))).collect();
        found.splice(0..0, older);
        found.iter().take(TOLD_MAX).map(|kept| kept.json()).collect()
    }
}

impl Ring {
    const fn new(length_max: usize) -> Self {
        Self { slots: Vec::new(), next: 0, length_max }
    }

    fn put(&mut self, record: &AccessRecord, ended: SystemTime, choices: Option<Choices>) {
        if self.slots.len() < self.length_max {
            self.slots.push(Kept::new(record, ended, choices));
        } else if let Some(slot) = self.slots.get_mut(self.next) {
            slot.refill(record, ended, choices);
            self.next = (self.next + 1) % self.length_max;
        }
    }

    /// Oldest first.
    fn iter(&self) -> impl Iterator<Item = &Kept> {
        let (newer, older) = self.slots.split_at_checked(self.next).unwrap_or_default();
        older.iter().chain(newer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weft_model::error_code::ErrorCode;

    use smallvec::SmallVec;

    use super::*;
    use crate::{record::format::tests::record, table::Table};

    fn keep(rings: &Mutex<Rings>, id: u32, error: Option<ErrorCode>) {
        let mut record = AccessRecord { error, ended: 1_000_000_000 + u64::from(id), ..record() };
        record.line.as_mut().unwrap().request_id = SmallVec::from_slice(id.to_string().as_bytes());
        let counter = Counter::new(Arc::<Table>::default(), 0);
        Rings::keep(rings, &[record], (SystemTime::now(), 2_000_000_000), counter);
    }

    #[test]
    fn the_last_are_kept_and_failures_longer() {
        let rings = Mutex::new(Rings::new(8));
        keep(&rings, 1, Some(ErrorCode::UpstreamReset));
        for id in 2..20 {
            keep(&rings, id, None);
        }
        let rings = rings.lock();
        assert_eq!(rings.latest.slots.len(), 8);
        let known: Vec<_> = (1..20).filter(|id: &u32| !rings.tell(&id.to_string()).is_empty()).collect();
        assert_eq!(known, [1, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(rings.tell("1")[0]["weft-error"], "upstream-reset");
    }

    #[test]
    fn a_failure_that_is_in_both_is_told_once_and_nothing_of_an_empty_id() {
        let rings = Mutex::new(Rings::new(8));
        keep(&rings, 1, Some(ErrorCode::UpstreamReset));
        let rings = rings.lock();
        assert_eq!((rings.tell("1").len(), rings.tell("").len()), (1, 0));
        let told = rings.tell("1").remove(0);
        assert_eq!(told["tries"][0]["endpoint"], "node/1");
        assert_eq!(told["duration_ms"], 1.234);
    }
}
