//! What the log amounts to: what a checkpoint holds and recovery rebuilds. Pure.
//!
//! A record becomes effects, small and without bodies; so a chain can wait, whole, for its end.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    index::{Aux, QueueIndex, Slot},
    position::Position,
    record::{Message, MessageFlags, Record, SeqRange},
    segments::Segments,
};

/// Set in the flags of a slot whose message does not outlive a restart: [`MessageFlags::SPILLED_TRANSIENT`]. The other
/// bits, but for [`SLOT_TIMED`], are the queue's.
pub const SLOT_TRANSIENT: u8 = 0x80;

/// Set in the flags of a target whose time of arrival is kept beside the index: streams ask for it of few messages.
pub const SLOT_TIMED: u8 = 0x40;

/// All that is known of a virtual host from its log.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Declarations by key.
    pub topology: BTreeMap<String, Bytes>,
    /// Queues by number.
    pub queues: BTreeMap<u32, QueueState>,
    /// What space is used for.
    pub segments: Segments,
    /// The highest number that a queue ever had: new ones go above it.
    pub queue_numbers_used: u32,
}

/// One queue.
#[derive(Debug, Clone, Default)]
pub struct QueueState {
    /// Its messages.
    pub index: QueueIndex,
    /// The sequence number for its next message, at the least.
    pub next_seq: u64,
    /// Messages up to this one may have been delivered.
    pub delivered_up_to: u64,
    /// What is remembered of messages that came back.
    pub returned: BTreeMap<u64, Returned>,
    /// When those came whose time is kept: milliseconds since 1970.
    pub times: BTreeMap<u64, u64>,
}

/// A message that came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returned {
    /// How often it has been delivered without success.
    pub count: u32,
    /// The queue's own.
    pub note: Bytes,
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Insert {
        queue: u32,
        seq: u64,
        slot: Slot,
    },
    /// A message that does not outlive restarts had this number.
    Used {
        queue: u32,
        seq: u64,
    },
    Settle {
        queue: u32,
        range: SeqRange,
    },
    Delivered {
        queue: u32,
        up_to: u64,
    },
    Returned {
        queue: u32,
        seq: u64,
        returned: Returned,
    },
    Time {
        queue: u32,
        seq: u64,
        at_ms: u64,
    },
    Forget {
        queue: u32,
    },
    Topology {
        key: String,
        value: Option<Bytes>,
    },
}

/// What a record at this position changes.
pub(crate) fn effects(record: &Record<'_>, position: Position, out: &mut Vec<Effect>) {
    match record {
        Record::Message(message) | Record::Moved(message) => inserts(message, position, out),
        Record::Settle { queue, ranges } => {
            out.extend(ranges.iter().map(|range| Effect::Settle { queue: *queue, range: *range }));
        }
        Record::Purge { queue, up_to } => {
            out.push(Effect::Settle { queue: *queue, range: SeqRange { first: 0, last: *up_to } });
        }
        Record::Delivered { queue, up_to } => out.push(Effect::Delivered { queue: *queue, up_to: *up_to }),
        Record::Returned { queue, seq, count, note } => {
            let returned = Returned { count: *count, note: Bytes::copy_from_slice(note) };
            out.push(Effect::Returned { queue: *queue, seq: *seq, returned });
        }
        Record::Forget { queue } => out.push(Effect::Forget { queue: *queue }),
        Record::Topology { key, value } => {
            let value = value.map(Bytes::copy_from_slice);
            out.push(Effect::Topology { key: (*key).to_owned(), value });
        }
        Record::ChainEnd | Record::Mark { .. } | Record::Seal => {}
    }
}

fn inserts(message: &Message<'_>, position: Position, out: &mut Vec<Effect>) {
    let transient = message.flags.contains(MessageFlags::SPILLED_TRANSIENT);
    let size = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
    for target in message.targets.iter().filter(|target| target.flags & SLOT_TIMED != 0) {
        let (queue, seq, at_ms) = (target.queue, target.seq, message.published_at_ms);
        out.push(Effect::Time { queue, seq, at_ms });
    }
    out.extend(message.targets.iter().map(|target| {
        let (queue, seq) = (target.queue, target.seq);
        let slot = Slot { position, size, aux: Aux::new(target.flags, message.priority, 0) };
        if transient { Effect::Used { queue, seq } } else { Effect::Insert { queue, seq, slot } }
    }));
}

impl State {
    pub(crate) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Insert { queue, seq, slot } => self.insert(queue, seq, slot),
            Effect::Used { queue, seq } => self.used(queue, seq),
            Effect::Settle { queue, range } => self.settle(queue, range),
            Effect::Delivered { queue, up_to } => {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.delivered_up_to = queue.delivered_up_to.max(up_to);
                    queue.used(up_to);
                }
            }
            Effect::Returned { queue, seq, returned } => {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.returned(seq, returned);
                }
            }
            Effect::Time { queue, seq, at_ms } => {
                self.queues.entry(queue).or_default().times.insert(seq, at_ms);
            }
            Effect::Forget { queue } => {
                self.settle(queue, SeqRange { first: 0, last: u64::MAX });
                self.queues.remove(&queue);
                self.queue_numbers_used = self.queue_numbers_used.max(queue);
            }
            Effect::Topology { key, value: Some(value) } => {
                self.topology.insert(key, value);
            }
            Effect::Topology { key, value: None } => {
                self.topology.remove(&key);
            }
        }
    }

    fn used(&mut self, queue: u32, seq: u64) {
        self.queue_numbers_used = self.queue_numbers_used.max(queue);
        self.queues.entry(queue).or_default().used(seq);
    }

    /// Adds a message, or moves it.
    pub(crate) fn insert(&mut self, queue: u32, seq: u64, mut slot: Slot) {
        self.used(queue, seq);
        let state = self.queues.entry(queue).or_default();
        // Of one that is moved the count stands in its old slot: a checkpoint has no other.
        let counted = state.index.slot(seq).map(|held| held.aux.deliveries().into());
        if let Some(count) = state.returned.get(&seq).map(|returned| returned.count).or(counted) {
            slot.aux = with_count(slot.aux, count);
        }
        if let Some(held) = state.index.insert(seq, slot) {
            self.segments.release(held.position, held.size);
        }
        self.segments.acquire(slot.position, slot.size, 1);
    }

    fn settle(&mut self, queue: u32, range: SeqRange) {
        let Some(queue) = self.queues.get_mut(&queue) else { return };
        let mut from = range.first;
        while let Some((seq, slot)) = queue.index.next_live(from).filter(|(seq, _)| *seq <= range.last) {
            queue.index.settle(seq);
            queue.returned.remove(&seq);
            queue.times.remove(&seq);
            self.segments.release(slot.position, slot.size);
            let Some(next) = seq.checked_add(1) else { break };
            from = next;
        }
        queue.used(range.last);
    }
}

impl QueueState {
    fn used(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq.saturating_add(1));
    }

    fn returned(&mut self, seq: u64, returned: Returned) {
        let Some(slot) = self.index.slot(seq) else { return };
        self.index.set_aux(seq, with_count(slot.aux, returned.count));
        self.returned.insert(seq, returned);
    }
}

fn with_count(aux: Aux, count: u32) -> Aux {
    Aux::new(aux.flags(), aux.priority(), u16::try_from(count).unwrap_or(u16::MAX))
}
