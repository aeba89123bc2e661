//! What was settled and delivered since the last group, gathered by queue: one record a queue and group, however many
//! acknowledgements came. Pure.

use std::{borrow::Cow, collections::HashMap};

use super::record::{Record, SeqRange};

/// The batch.
#[derive(Debug, Default)]
pub struct Settles {
    queues: Vec<Pending>,
    places: HashMap<u32, usize, foldhash::fast::FixedState>,
}

#[derive(Debug, Default)]
struct Pending {
    queue: u32,
    delivered: Option<u64>,
    /// Rising, with gaps between.
    ranges: Vec<SeqRange>,
}

impl Settles {
    /// A message is gone from its queue.
    pub fn settle(&mut self, queue: u32, seq: u64) {
        if let Some(pending) = self.pending(queue) {
            add(&mut pending.ranges, seq);
        }
    }

    /// Messages up to this one may have been delivered.
    pub fn delivered(&mut self, queue: u32, up_to: u64) {
        if let Some(pending) = self.pending(queue) {
            pending.delivered = pending.delivered.max(Some(up_to));
        }
    }

    /// The queue is gone: nothing of it is worth a record.
    pub fn forget(&mut self, queue: u32) {
        if let Some(pending) = self.places.get(&queue).and_then(|place| self.queues.get_mut(*place)) {
            pending.delivered = None;
            pending.ranges.clear();
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(|pending| pending.delivered.is_none() && pending.ranges.is_empty())
    }

    /// Hands over the records, and is empty.
    pub fn drain(&mut self, mut each: impl FnMut(&Record<'_>)) {
        for pending in self.queues.drain(..) {
            let queue = pending.queue;
            if let Some(up_to) = pending.delivered {
                each(&Record::Delivered { queue, up_to });
            }
            if !pending.ranges.is_empty() {
                each(&Record::Settle { queue, ranges: Cow::Borrowed(&pending.ranges) });
            }
        }
        self.places.clear();
    }

    /// The queue's part, made if it is missing: there is always one.
    fn pending(&mut self, queue: u32) -> Option<&mut Pending> {
        let place = *self.places.entry(queue).or_insert(self.queues.len());
        if place >= self.queues.len() {
            self.queues.resize_with(place + 1, || Pending { queue, ..Pending::default() });
        }
        self.queues.get_mut(place)
    }
}

/// Adds a number, mostly at the end.
fn add(ranges: &mut Vec<SeqRange>, seq: u64) {
    let after = match ranges.last() {
        Some(last) if seq <= last.last => ranges.partition_point(|range| range.first <= seq),
        _ => ranges.len(),
    };
    let touches_next = ranges.get(after).is_some_and(|next| next.first == seq.wrapping_add(1));
    let before = after.checked_sub(1);
    if let Some(previous) = before.and_then(|before| ranges.get_mut(before)) {
        if seq <= previous.last {
            return;
        }
        if previous.last.wrapping_add(1) == seq {
            previous.last = seq;
            if touches_next {
                let next = ranges.remove(after);
                if let Some(previous) = before.and_then(|before| ranges.get_mut(before)) {
                    previous.last = next.last;
                }
            }
            return;
        }
    }
    match ranges.get_mut(after) {
        Some(next) if touches_next => next.first = seq,
        _ => ranges.insert(after, SeqRange { first: seq, last: seq }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_was_added_and_do_not_touch(seqs in prop::collection::vec(0_u64..40, 0..60)) {
            let mut ranges = Vec::new();
            for seq in &seqs {
                add(&mut ranges, *seq);
            }
            let held: Vec<u64> = ranges.iter().flat_map(|range| range.first..=range.last).collect();
            let model: Vec<u64> = seqs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(held, model);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }
    }

    #[test]
    fn a_queue_has_one_record_of_each_kind_a_batch() {
        let mut settles = Settles::default();
        for seq in 1..=3 {
            settles.settle(1, seq);
            settles.delivered(1, seq);
            settles.settle(2, seq);
        }
        settles.forget(2);
        let mut records = Vec::new();
        settles.drain(|record| records.push(format!("{record:?}")));
        assert_eq!(records.len(), 2, "{records:?}");
        assert!(settles.is_empty());
    }
}
