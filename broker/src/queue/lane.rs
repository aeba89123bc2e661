//! A first-in, first-out line of entries, whose middle may be on the disk only.
//!
//! ```text
//!   out ◀── returned ◀── head ◀──── cold ──── tail ◀── in
//!           (by seq)    (memory)   (a range   (memory; evicted from its front
//!                                   of seqs)   into cold once written)
//! ```
//!
//! What came back always has a lower seq than what has not gone out, so it goes first, in its old order.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Entry, Seq};

/// What is next.
#[derive(Debug)]
pub enum Next<'a> {
    /// This one; its message may have to be loaded.
    Entry(&'a Entry),
    /// One that is on the disk, at this seq or behind it.
    Cold(Seq),
    /// Nothing.
    Empty,
}

/// Entries that are on the disk only: those of the index from `from` up to, not including, `to`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cold {
    /// The lowest seq that may be among them.
    pub from: Seq,
    /// Behind the highest.
    pub to: Seq,
    /// How many they are.
    pub count: u64,
}

/// The line.
#[derive(Debug, Default)]
pub struct Lane {
    returned: BTreeMap<Seq, Entry>,
    head: VecDeque<Entry>,
    cold: Cold,
    tail: VecDeque<Entry>,
}

impl Lane {
    /// A line that is wholly on the disk, as after a start.
    pub fn of_cold(cold: Cold) -> Self {
        Self { cold, ..Self::default() }
    }

    /// How many stand in it.
    pub fn len(&self) -> u64 {
        (self.returned.len() + self.head.len() + self.tail.len()) as u64 + self.cold.count
    }

    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are in memory before the cold ones.
    pub fn warm(&self) -> usize {
        self.returned.len() + self.head.len()
    }

    /// Those on the disk only.
    pub fn cold(&self) -> Cold {
        self.cold
    }

    /// Puts one at the end; behind the cold ones, if there are any or `behind` asks for it.
    pub fn push(&mut self, entry: Entry, behind: bool) {
        if behind || self.cold.count > 0 || !self.tail.is_empty() {
            self.tail.push_back(entry);
        } else {
            self.head.push_back(entry);
        }
    }

    /// Puts one back where it was.
    pub fn put_back(&mut self, entry: Entry) {
        self.returned.insert(entry.seq, entry);
    }

    /// What is next, left where it is.
    pub fn peek(&mut self) -> Next<'_> {
        self.settle_tail();
        if let Some((_, entry)) = self.returned.first_key_value() {
            return Next::Entry(entry);
        }
        match self.head.front() {
            Some(entry) => Next::Entry(entry),
            None if self.cold.count > 0 => Next::Cold(self.cold.from),
            None => Next::Empty,
        }
    }

    /// Takes the next one, if it is in memory.
    pub fn pop(&mut self) -> Option<Entry> {
        self.settle_tail();
        match self.returned.pop_first() {
            Some((_, entry)) => Some(entry),
            None => self.head.pop_front(),
        }
    }

    /// Where nothing is before the tail, the tail is the head.
    fn settle_tail(&mut self) {
        if self.head.is_empty() && self.cold.count == 0 && !self.tail.is_empty() {
            std::mem::swap(&mut self.head, &mut self.tail);
        }
    }

    /// Gives the message of a cold one, which was the first of them: it and what was before it are cold no longer.
    pub fn warm_up(&mut self, entry: Entry) {
        let behind = entry.seq + 1;
        if let Some(waiting) = self.returned.get_mut(&entry.seq) {
            waiting.message = entry.message;
            return;
        }
        if self.cold.count == 0 || entry.seq < self.cold.from || entry.seq >= self.cold.to {
            return;
        }
        self.cold.count -= 1;
        self.cold.from = behind;
        self.head.push_back(entry);
    }

    /// Takes the first cold one out by its seq, where it need not be read (to be dropped).
    pub fn drop_cold(&mut self, seq: Seq) {
        if self.cold.count > 0 && seq >= self.cold.from && seq < self.cold.to {
            self.cold.count -= 1;
            self.cold.from = seq + 1;
        }
    }

    /// Takes one out that cannot be read; whether it was there.
    pub fn lose(&mut self, seq: Seq) -> bool {
        let count = self.cold.count;
        self.drop_cold(seq);
        self.cold.count < count || self.returned.remove(&seq).is_some()
    }

    /// Moves the front of the tail to the disk, if it is there already; the bytes that this freed.
    pub fn evict_front(&mut self, is_written: impl Fn(&Entry) -> bool) -> Option<usize> {
        let entry = self.tail.front().filter(|entry| entry.stored && is_written(entry))?;
        let freed = entry.footprint();
        if self.cold.count == 0 {
            self.cold.from = entry.seq;
        }
        self.cold.to = entry.seq + 1;
        self.cold.count += 1;
        self.tail.pop_front();
        Some(freed)
    }

    /// The entries of the tail that are in memory only, first to last.
    pub fn unstored_in_tail(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.tail.iter_mut().filter(|entry| !entry.stored)
    }

    /// Lets go of the messages that came back and that the log holds; the bytes that this freed.
    pub fn forget_returned(&mut self) -> usize {
        let mut freed = 0;
        for entry in self.returned.values_mut().filter(|entry| entry.stored) {
            freed += entry.footprint();
            entry.message = None;
        }
        freed
    }

    /// Those that came back and whose message has to be loaded, first to last.
    pub fn returned_unloaded(&self) -> impl Iterator<Item = &Entry> {
        self.returned.values().filter(|entry| entry.message.is_none())
    }

    /// Whether it came back and has to be loaded.
    pub fn is_unloaded(&self, seq: Seq) -> bool {
        self.returned.get(&seq).is_some_and(|entry| entry.message.is_none())
    }

    /// Everything in memory, and out of it; the cold range, which is empty thereafter.
    pub fn clear(&mut self) -> (Vec<Entry>, Cold) {
        let cold = std::mem::take(&mut self.cold);
        let returned = std::mem::take(&mut self.returned).into_values();
        let warm = returned.chain(self.head.drain(..)).chain(self.tail.drain(..)).collect();
        (warm, cold)
    }

    /// Those in memory, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.returned.values().chain(&self.head).chain(&self.tail)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(seq: Seq) -> Entry {
        Entry { seq, stored: true, ..Entry::default() }
    }

    proptest! {
        /// Whatever is evicted, loaded and put back, what goes out is always the lowest seq that is in.
        #[test]
        fn the_lowest_goes_first(steps in prop::collection::vec((0_u8..6, any::<bool>()), 1..200)) {
            let mut lane = Lane::default();
            let (mut inside, mut out) = (std::collections::BTreeSet::new(), Vec::new());
            let mut next = 0;
            for (step, behind) in steps {
                match step {
                    0 | 1 => {
                        lane.push(entry(next), behind);
                        inside.insert(next);
                        next += 1;
                    }
                    2 => {
                        lane.evict_front(|_| true);
                    }
                    3 => if let Some(back) = out.pop() {
                        inside.insert(back);
                        lane.put_back(entry(back));
                    },
                    _ => {
                        if let Next::Cold(seq) = lane.peek() {
                            let first = *inside.range(seq..).next().expect("a cold one is inside");
                            lane.warm_up(entry(first));
                        }
                        let popped = lane.pop().map(|entry| entry.seq);
                        prop_assert_eq!(popped, inside.pop_first());
                        out.extend(popped);
                        out.sort_unstable();
                    }
                }
                prop_assert_eq!(lane.len(), inside.len() as u64);
            }
        }
    }
}
