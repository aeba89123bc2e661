//! What the space of the log is used for: a segment without a live message goes, one with few of them is worth
//! compacting. Pure; deleting and moving is done by others.

use std::collections::{BTreeMap, BTreeSet};

use super::position::Position;

#[cfg(test)]
mod tests;

/// A message weighs its body and this: head, targets, properties.
const RECORD_WEIGHT_BYTES: u64 = 64;
/// Compaction waits until dead bytes in all are more than this, and more than the live ones.
pub const GARBAGE_BYTES_MIN: u64 = 256 << 20;
/// A segment is worth compacting when less than one in so many bytes is live.
const LIVE_DIVISOR: u64 = 4;

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentUse {
    /// References from queues to messages in it.
    pub refs: u64,
    /// The weight of those messages, once for each reference.
    pub live_weight: u64,
    /// The weight of all messages ever in it, once for each reference.
    pub total_weight: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What was to be safe, when it was found to be empty, for that to be so after a crash.
    dead_at: Option<Position>,
}

impl SegmentUse {
    /// About how many bytes are live: a message with several references counts by the share that is left of them.
    pub fn live_bytes(&self) -> u64 {
        if self.total_weight == 0 {
            return 0;
        }
        let live = u128::from(self.bytes) * u128::from(self.live_weight) / u128::from(self.total_weight);
        u64::try_from(live).unwrap_or(self.bytes).min(self.bytes)
    }
}

/// All segments of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segments {
    held: BTreeMap<u32, SegmentUse>,
    /// Where replay begins for the last checkpoint and for the one before it: recovery may need either.
    replay_from: Position,
    replay_from_before: Position,
}

impl Segments {
    /// A segment is there, of so many bytes.
    pub fn begin(&mut self, segment: u32, bytes: u64) {
        self.held.entry(segment).or_default().bytes = bytes;
    }

    /// `refs` queues hold the message at this position, whose body has so many bytes.
    pub fn acquire(&mut self, position: Position, body_bytes: u32, refs: u64) {
        let held = self.held.entry(position.segment()).or_default();
        let weight = refs * weight(body_bytes);
        held.refs += refs;
        held.live_weight += weight;
        held.total_weight += weight;
    }

    /// One queue holds it no longer.
    pub fn release(&mut self, position: Position, body_bytes: u32) {
        if let Some(held) = self.held.get_mut(&position.segment()) {
            held.refs = held.refs.saturating_sub(1);
            held.live_weight = held.live_weight.saturating_sub(weight(body_bytes));
        }
    }

    /// A checkpoint is safe on disk, from which replay begins here.
    pub fn checkpointed(&mut self, replay_from: Position) {
        self.replay_from_before = self.replay_from;
        self.replay_from = replay_from;
    }

    /// Segments that no recovery will read: no live message, before what the older of two checkpoints replays, and what
    /// emptied them is safe. `settled_at` is what must be safe for all that happened so far to be safe, with it the
    /// settlements gathered for the next group; `durable` is what is. A segment that is found empty waits for it: else a
    /// crash could bring back a message without its bytes, or forget where it was moved to.
    ///
    /// They are forgotten here; the caller deletes them.
    pub fn take_reclaimable(&mut self, settled_at: Position, durable: Position) -> Vec<u32> {
        let before = self.replay_from_before.segment();
        let mut dead = Vec::new();
        for (segment, held) in self.held.range_mut(..before).filter(|(_, held)| held.refs == 0) {
            if *held.dead_at.get_or_insert(settled_at) <= durable {
                dead.push(*segment);
            }
        }
        for segment in &dead {
            self.held.remove(segment);
        }
        dead
    }

    /// Whether a checkpoint of a log that ends in this segment would let others go: they are dead, and only replay still
    /// needs them.
    pub fn waits_for_checkpoint(&self, last: u32) -> bool {
        self.held.range(..last).any(|(_, held)| held.refs == 0)
    }

    /// A segment below this one whose few live messages are worth moving, the emptiest first, but none of those passed
    /// over. So much garbage there must be, and more than what is live; without a limit any sparse segment will do.
    pub fn compaction_candidate(
        &self,
        closed_before: u32,
        garbage_bytes_min: Option<u64>,
        passed: &BTreeSet<u32>,
    ) -> Option<u32> {
        if let Some(min) = garbage_bytes_min {
            let live = self.live_bytes();
            let garbage = self.bytes().saturating_sub(live);
            if garbage <= min || garbage <= live {
                return None;
            }
        }
        let closed = self.held.range(..closed_before).filter(|(segment, _)| !passed.contains(segment));
        let sparse =
            closed.filter(|(_, held)| held.refs > 0 && held.live_bytes() < held.bytes / LIVE_DIVISOR);
        sparse.min_by_key(|(_, held)| held.live_bytes()).map(|(segment, _)| *segment)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.held.values().map(|held| held.bytes).sum()
    }

    /// About how many of them are live.
    pub fn live_bytes(&self) -> u64 {
        self.held.values().map(SegmentUse::live_bytes).sum()
    }

    /// One segment.
    pub fn segment(&self, segment: u32) -> Option<SegmentUse> {
        self.held.get(&segment).copied()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, SegmentUse)> + '_ {
        self.held.iter().map(|(segment, held)| (*segment, *held))
    }

    /// From a checkpoint: a segment whose references follow.
    pub(crate) fn restore(&mut self, segment: u32, bytes: u64, total_weight: u64) {
        let held = self.held.entry(segment).or_default();
        held.bytes = bytes;
        held.total_weight = total_weight;
    }

    /// From a checkpoint: a reference, part of its segment's whole weight.
    pub(crate) fn restore_ref(&mut self, position: Position, body_bytes: u32) {
        let held = self.held.entry(position.segment()).or_default();
        held.refs += 1;
        held.live_weight += weight(body_bytes);
    }

    /// Forgets a segment that is not on the disk.
    pub(crate) fn remove(&mut self, segment: u32) {
        self.held.remove(&segment);
    }
}

fn weight(body_bytes: u32) -> u64 {
    u64::from(body_bytes) + RECORD_WEIGHT_BYTES
}
