//! What a channel has delivered and nobody has acknowledged: by delivery tag, in order.

use std::collections::VecDeque;

use crate::{
    exchange::QueueId,
    queue::{ConsumerId, Entry},
};

/// Holes are closed when they are more than so many, and more than what stands between them.
const HOLES_MAX: usize = 64;

/// One delivery that waits for its acknowledgement.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Where it came from.
    pub(super) queue: QueueId,
    /// That queue's number in the log: ids are given out again, numbers are not.
    pub(super) number: u32,
    /// Who got it; none for `basic.get`.
    pub(super) consumer: Option<ConsumerId>,
    /// What it was.
    pub(super) entry: Entry,
    /// When, milliseconds since 1970.
    pub(super) at_ms: u64,
}

/// All of them. Tags only rise, so they stand in order, with holes where one in the middle was settled.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    slots: VecDeque<(u64, Option<Delivery>)>,
    live: usize,
    /// Bytes of messages that are held in memory for them.
    bytes: usize,
}

impl Unacked {
    /// Adds one; its tag is higher than all before.
    pub(super) fn push(&mut self, tag: u64, delivery: Delivery) {
        self.bytes += delivery.entry.footprint();
        self.live += 1;
        self.slots.push_back((tag, Some(delivery)));
    }

    /// Takes one out.
    pub(super) fn take(&mut self, tag: u64) -> Option<Delivery> {
        let at = self.position(tag)?;
        let delivery = self.slots.get_mut(at)?.1.take()?;
        self.gone(&delivery);
        self.tidy();
        Some(delivery)
    }

    /// Takes out all up to and with this tag (0: all), first to last.
    pub(super) fn take_up_to(&mut self, tag: u64) -> Vec<(u64, Delivery)> {
        let mut taken = Vec::new();
        while self.slots.front().is_some_and(|(first, _)| tag == 0 || *first <= tag) {
            if let Some((tag, Some(delivery))) = self.slots.pop_front() {
                self.gone(&delivery);
                taken.push((tag, delivery));
            }
        }
        self.tidy();
        taken
    }

    /// Puts back what was taken out, under the tags that it had.
    pub(super) fn put_back(&mut self, deliveries: Vec<(u64, Delivery)>) {
        // From the last one on: what was taken from the front goes back there at once.
        for (tag, delivery) in deliveries.into_iter().rev() {
            self.bytes += delivery.entry.footprint();
            self.live += 1;
            let at = self.slots.partition_point(|(other, _)| *other < tag);
            match self.slots.get_mut(at).filter(|(other, _)| *other == tag) {
                Some((_, slot)) => *slot = Some(delivery),
                None => self.slots.insert(at, (tag, Some(delivery))),
            }
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Whether none does.
    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of messages that are held in memory for them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The one that waits longest.
    pub(super) fn oldest(&self) -> Option<&Delivery> {
        self.iter().next().map(|(_, delivery)| delivery)
    }

    /// All, first to last.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Delivery)> {
        self.slots.iter().filter_map(|(tag, slot)| Some((*tag, slot.as_ref()?)))
    }

    fn gone(&mut self, delivery: &Delivery) {
        self.live -= 1;
        self.bytes = self.bytes.saturating_sub(delivery.entry.footprint());
    }

    fn position(&self, tag: u64) -> Option<usize> {
        let first = self.slots.front()?.0;
        let dense = usize::try_from(tag.checked_sub(first)?).ok()?;
        match self.slots.get(dense) {
            Some((found, _)) if *found == tag => Some(dense),
            _ => self.slots.binary_search_by_key(&tag, |(tag, _)| *tag).ok(),
        }
    }

    fn tidy(&mut self) {
        while self.slots.front().is_some_and(|(_, slot)| slot.is_none()) {
            self.slots.pop_front();
        }
        let holes = self.slots.len() - self.live;
        if holes > HOLES_MAX && holes > self.live {
            self.slots.retain(|(_, slot)| slot.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn delivery(seq: u64) -> Delivery {
        let entry = Entry { seq, ..Entry::default() };
        Delivery { queue: QueueId(1), number: 1, consumer: None, entry, at_ms: 0 }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_would(steps in prop::collection::vec((0_u8..8, 0_u64..400), 1..600)) {
            let (mut unacked, mut set) = (Unacked::default(), BTreeSet::new());
            let mut next = 1;
            for (step, tag) in steps {
                match step {
                    0..=3 => {
                        unacked.push(next, delivery(next));
                        set.insert(next);
                        next += 1;
                    }
                    4 => {
                        let taken: Vec<_> = unacked.take_up_to(tag).into_iter().map(|(tag, _)| tag).collect();
                        let expected: Vec<_> = set.iter().copied().filter(|t| tag == 0 || *t <= tag).collect();
                        set.retain(|t| !expected.contains(t));
                        prop_assert_eq!(taken, expected);
                    }
                    _ => prop_assert_eq!(unacked.take(tag).is_some(), set.remove(&tag)),
                }
                prop_assert_eq!(unacked.len(), set.len());
                prop_assert_eq!(unacked.oldest().map(|d| d.entry.seq), set.first().copied());
            }
        }
    }
}
