//! What is due when: one time a key, moved as often as one likes. No clock; times are milliseconds since 1970.

use std::collections::{BTreeSet, HashMap};

use crate::exchange::QueueId;

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// The message at the head of a queue expires, or a stream's first one is too old.
    Head(QueueId),
    /// A queue that nobody uses expires.
    Unused(QueueId),
    /// The first of the delayed messages of an exchange.
    Delayed(u32),
    /// What could not be read is asked for again.
    Reads,
    /// A look at deliveries that wait for their acknowledgement.
    ConsumerTimeouts,
}

/// Times by key.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(u64, TimerKey)>,
    at: HashMap<TimerKey, u64>,
}

impl Timers {
    /// Sets or moves a key's time; `None` takes it away.
    pub(super) fn set(&mut self, key: TimerKey, at_ms: Option<u64>) {
        if self.at.get(&key).copied() == at_ms {
            return;
        }
        if let Some(old) = self.at.remove(&key) {
            self.order.remove(&(old, key));
        }
        if let Some(at_ms) = at_ms {
            self.at.insert(key, at_ms);
            self.order.insert((at_ms, key));
        }
    }

    /// The next time.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out one key that is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<TimerKey> {
        let (at, key) = self.order.first().copied().filter(|(at, _)| *at <= now_ms)?;
        self.order.remove(&(at, key));
        self.at.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_due_in_order_and_once() {
        let mut timers = Timers::default();
        let (a, b) = (TimerKey::Head(QueueId(1)), TimerKey::Unused(QueueId(1)));
        timers.set(a, Some(20));
        timers.set(b, Some(10));
        timers.set(a, Some(5));
        assert_eq!(timers.next_at(), Some(5));
        assert_eq!(timers.pop_due(4), None);
        assert_eq!((timers.pop_due(10), timers.pop_due(10), timers.pop_due(10)), (Some(a), Some(b), None));
        timers.set(a, Some(1));
        timers.set(a, None);
        assert_eq!(timers.next_at(), None);
    }
}
