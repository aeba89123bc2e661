//! Who waits for the log: callers beside AMQP who are told when all that was written before they asked is safe. No
//! thread and no channel; what is called is theirs.

use std::{collections::VecDeque, fmt};

use super::Vhost;
use crate::log::position::Position;

/// What is called once.
type Told = Box<dyn FnOnce() + Send>;

/// They wait in the order of their positions.
#[derive(Default)]
pub(super) struct Waiters(VecDeque<(Position, Told)>);

impl Waiters {
    /// All before this is safe.
    pub(super) fn tell(&mut self, durable: Position) {
        while self.0.front().is_some_and(|(position, _)| *position <= durable) {
            if let Some((_, told)) = self.0.pop_front() {
                told();
            }
        }
    }

    /// Nothing more can be made safe: they are dropped uncalled.
    pub(super) fn give_up(&mut self) {
        self.0.clear();
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiters").field(&self.0.len()).finish()
    }
}

impl Vhost {
    /// Calls `told` when all that was done so far is safe; at once where it is already, and never where it cannot be
    /// any more.
    pub fn when_durable(&mut self, told: Box<dyn FnOnce() + Send>) {
        self.tend_all();
        let end = self.store.end();
        if end <= self.store.durable() {
            return told();
        }
        if !self.is_poisoned() {
            self.store.request_sync();
            self.waiters.0.push_back((end, told));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[test]
    fn they_are_told_in_order_and_dropped_when_all_is_lost() {
        let told = Arc::new(AtomicU32::new(0));
        let mut waiters = Waiters::default();
        for position in [10, 20, 30] {
            let told = Arc::clone(&told);
            let call = move || {
                told.fetch_add(1, Ordering::Relaxed);
            };
            waiters.0.push_back((Position::from_raw(position), Box::new(call)));
        }
        waiters.tell(Position::from_raw(20));
        assert_eq!(told.load(Ordering::Relaxed), 2);
        waiters.give_up();
        waiters.tell(Position::from_raw(40));
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
