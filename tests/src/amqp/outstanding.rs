//! The publisher's book of a channel: which of its messages the broker has answered for. Pure.

use std::collections::BTreeMap;

use super::Event;

/// Messages whose confirms are awaited, each with what the test knows it by.
#[derive(Debug)]
pub struct Outstanding<T> {
    last: u64,
    waiting: BTreeMap<u64, T>,
}

/// What a confirm has answered for.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// The messages, in their order.
    pub messages: Vec<T>,
    /// Whether the broker has taken them.
    pub taken: bool,
}

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self { last: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Outstanding<T> {
    /// One more was published.
    pub fn published(&mut self, message: T) {
        self.last += 1;
        self.waiting.insert(self.last, message);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What this event answers for; nothing where it is no confirm.
    pub fn settle(&mut self, event: &Event) -> Settled<T> {
        let Event::Confirm { tag, multiple, taken, .. } = *event else {
            return Settled { messages: Vec::new(), taken: false };
        };
        let messages = if multiple {
            let rest = self.waiting.split_off(&(tag + 1));
            std::mem::replace(&mut self.waiting, rest).into_values().collect()
        } else {
            self.waiting.remove(&tag).into_iter().collect()
        };
        Settled { messages, taken }
    }
}
