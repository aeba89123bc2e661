//! The recent transactions, kept in memory so that a watch can start in the past. Owns its three bounds (count,
//! age, bytes); knows neither watchers nor clocks: time is an argument.
//!
//! ```text
//!   compacted │ events, one a revision without gaps │ not yet happened
//!             ▲ oldest                              ▲ upcoming
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{HISTORY_AGE_MAX, HISTORY_CHANGES_MAX, Revision, WatchError, WatchEvent};

/// Bytes of keys and values kept, so that ten thousand large values don't fill the memory.
const HISTORY_BYTES_MAX: usize = 64 << 20;

/// What a watcher finds at its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The next transaction that touches the prefix, cut down to it.
    Event(WatchEvent),
    /// Nothing up to here; look again from this revision once there is more.
    UpToDate(Revision),
}

/// The transactions that can still be watched.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Kept>,
    /// The revision the next transaction will have; revisions have no gaps.
    upcoming: Revision,
    changes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    event: WatchEvent,
    bytes: usize,
    at: Instant,
}

impl History {
    /// Nothing is known of `revision` and before.
    pub(crate) fn after(revision: Revision) -> Self {
        Self { events: VecDeque::new(), upcoming: revision + 1, changes: 0, bytes: 0 }
    }

    /// The oldest revision that can be watched from.
    pub(crate) fn oldest(&self) -> Revision {
        self.events.front().map_or(self.upcoming, |kept| kept.event.revision)
    }

    /// Adds the transaction that has just become visible, and forgets what is over a bound.
    pub(crate) fn push(&mut self, event: WatchEvent, now: Instant) {
        debug_assert_eq!(event.revision, self.upcoming, "revisions have no gaps");
        let bytes = event
            .changes
            .iter()
            .map(|change| change.key.len() + change.entry.as_ref().map_or(0, |entry| entry.value.len()))
            .sum();
        self.upcoming = event.revision + 1;
        self.changes += event.changes.len();
        self.bytes += bytes;
        self.events.push_back(Kept { event, bytes, at: now });
        self.trim(now);
    }

    /// Forgets what is too old or too much; the newest transaction always stays, however large.
    pub(crate) fn trim(&mut self, now: Instant) {
        while self.events.len() > 1 {
            let over = self.changes > HISTORY_CHANGES_MAX || self.bytes > HISTORY_BYTES_MAX;
            let aged = |kept: &Kept| age(kept.at, now) > HISTORY_AGE_MAX;
            let Some(kept) = self.events.pop_front_if(|kept| over || aged(kept)) else { return };
            self.changes -= kept.event.changes.len();
            self.bytes -= kept.bytes;
        }
    }

    /// The first transaction at or after `from` that touches `prefix`.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] when `from` is before the oldest.
    pub(crate) fn find(&self, prefix: &str, from: Revision) -> Result<Found, WatchError> {
        let oldest = self.oldest();
        let Some(skip) = from.checked_sub(oldest) else {
            return Err(WatchError::Compacted { from, oldest });
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let found = self.events.iter().skip(skip).find_map(|kept| cut(&kept.event, prefix));
        Ok(found.map_or(Found::UpToDate(from.max(self.upcoming)), Found::Event))
    }
}

/// The part of `event` under `prefix`, if there is one.
fn cut(event: &WatchEvent, prefix: &str) -> Option<WatchEvent> {
    let mut changes = event.changes.iter().filter(|change| change.key.starts_with(prefix)).peekable();
    changes.peek()?;
    Some(WatchEvent { revision: event.revision, changes: changes.cloned().collect() })
}

fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{Change, Versioned};

    fn event(revision: Revision, keys: &[&str]) -> WatchEvent {
        let changes = keys
            .iter()
            .map(|key| Change {
                key: (*key).into(),
                entry: Some(Versioned {
                    key: (*key).into(),
                    value: Bytes::from_static(b"v"),
                    create_revision: revision,
                    mod_revision: revision,
                    lease: None,
                }),
            })
            .collect();
        WatchEvent { revision, changes }
    }

    #[test]
    fn keeps_the_newest_changes_and_says_what_is_gone() {
        let now = Instant::now();
        let mut history = History::after(0);
        let events = HISTORY_CHANGES_MAX as u64 / 2 + 10;
        for revision in 1..=events {
            history.push(event(revision, &["/a", "/b"]), now);
        }
        assert_eq!(history.oldest(), 11);
        assert_eq!(history.find("/a", 10), Err(WatchError::Compacted { from: 10, oldest: 11 }));
        assert_eq!(history.find("/a", 11), Ok(Found::Event(event(11, &["/a"]))));
    }

    #[test]
    fn forgets_by_age_but_never_the_newest() {
        let start = Instant::now();
        let mut history = History::after(7);
        history.push(event(8, &["/a"]), start);
        history.push(event(9, &["/a"]), start);
        history.trim(start + HISTORY_AGE_MAX + Duration::from_millis(1));
        assert_eq!(history.oldest(), 9);
    }

    #[test]
    fn a_quiet_prefix_is_up_to_date() {
        let mut history = History::after(0);
        assert_eq!(history.find("/x", 1), Ok(Found::UpToDate(1)));
        history.push(event(1, &["/a"]), Instant::now());
        assert_eq!(history.find("/x", 1), Ok(Found::UpToDate(2)));
        assert_eq!(history.find("/a", 9), Ok(Found::UpToDate(9)), "a revision yet to come can be waited for");
    }
}
