//! Few live messages must not hold much disk: those of sparse segments are written again at the end of the log, and
//! the segments go. A step at a time, each when the one before is safe.
//!
//! ```text
//!  [idle] ──begin──▶ [reading a piece] ──scanned──▶ [waiting until it is safe] ──▶ the next piece, or segment, or [idle]
//! ```
//! It begins with time, with a checkpoint and with the end of another segment: not only where somebody publishes.

use std::collections::BTreeSet;

use super::{
    Vhost,
    turn::{Purpose, Want},
};
use crate::{
    exchange::QueueId,
    log::{
        index::{QueueIndex, Slot},
        position::Position,
        reader::StoredMessage,
        record::Target,
    },
};

/// What was read of a segment: its messages, and where to read on; none at its end.
#[derive(Debug)]
pub struct Scanned {
    /// Each with its place.
    pub messages: Vec<(Position, StoredMessage)>,
    /// The byte to go on from.
    pub next: Option<u32>,
    /// Reading failed behind them: it may be tried again.
    pub failed: bool,
}

/// How often a segment is looked for, where nothing else makes one look.
const LOOK_MS: u64 = 1_000;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Step {
    /// No segment is at hand.
    #[default]
    Idle,
    /// A piece of this segment is being read.
    Reading(u32),
    /// The log is to be safe up to here; then the segment is read on from a byte, if it has more.
    Waiting { after: Position, then: Option<(u32, u32)> },
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct State {
    step: Step,
    /// Segments that were gone through and hold something still, which cannot be read: they are not begun again.
    passed: BTreeSet<u32>,
    look_at_ms: u64,
}

impl Vhost {
    /// The next step, once the one before it is safe.
    pub(super) fn go_on_compacting(&mut self) {
        let Step::Waiting { after, then } = self.compaction.step else { return };
        if after > self.store.durable() {
            return;
        }
        self.compaction.step = Step::Idle;
        match then {
            Some((segment, from)) if self.holds_messages(segment) => self.read_segment(segment, from),
            _ => self.begin_compaction(),
        }
    }

    /// Time has passed.
    pub(super) fn look_for_compaction(&mut self) {
        if self.now_ms >= self.compaction.look_at_ms {
            self.compaction.look_at_ms = self.now_ms + LOOK_MS;
            self.begin_compaction();
        }
    }

    /// Begins with a segment that is worth it; where space is short, any is that can be emptied.
    pub(super) fn begin_compaction(&mut self) {
        if self.compaction.step != Step::Idle || self.is_poisoned() {
            return;
        }
        let segments = &self.store.segments;
        self.compaction.passed.retain(|segment| segments.segment(*segment).is_some());
        let garbage_bytes_min = (!self.is_short_of_space()).then_some(self.limits.garbage_bytes_min);
        let closed_before = self.store.closed_before();
        let candidate =
            segments.compaction_candidate(closed_before, garbage_bytes_min, &self.compaction.passed);
        if let Some(segment) = candidate {
            tracing::info!(vhost = &*self.name, segment, "moving the few live messages of a segment");
            self.read_segment(segment, 0);
        }
    }

    fn holds_messages(&self, segment: u32) -> bool {
        self.store.segments.segment(segment).is_some_and(|held| held.refs > 0)
    }

    fn read_segment(&mut self, segment: u32, from: u32) {
        self.compaction.step = Step::Reading(segment);
        let purpose = Purpose::Compaction(segment, from);
        self.turn.wants.push(Want::new(QueueId(u32::MAX), 0, purpose));
    }

    /// A piece of the segment was read: what is live in it is written again.
    pub fn scanned(&mut self, scanned: &Scanned, now_ms: u64) {
        self.set_time(now_ms);
        for (position, message) in &scanned.messages {
            self.move_message(*position, message);
        }
        self.store.request_sync();
        if let Step::Reading(segment) = self.compaction.step {
            let then = scanned.next.map(|from| (segment, from));
            if then.is_none() && !scanned.failed && self.holds_messages(segment) {
                tracing::warn!(vhost = &*self.name, segment, "a segment holds messages that cannot be moved");
                self.compaction.passed.insert(segment);
            }
            self.compaction.step = Step::Waiting { after: self.store.end(), then };
        }
        self.tend_all();
    }

    fn move_message(&mut self, position: Position, message: &StoredMessage) {
        let live: Vec<(Target, Slot)> = message
            .targets
            .iter()
            .filter_map(|target| {
                let slot = self.index_of(target.queue)?.slot(target.seq)?;
                (slot.position == position).then_some((*target, slot))
            })
            .collect();
        if live.is_empty() {
            return;
        }
        let targets: Vec<Target> = live.iter().map(|(target, _)| *target).collect();
        let moved = self.store.moved(message, &targets);
        for (target, slot) in live {
            if let Some(index) = self.index_of(target.queue) {
                index.insert(target.seq, Slot { position: moved, ..slot });
            }
            self.store.segments.release(slot.position, slot.size);
        }
    }

    fn index_of(&mut self, number: u32) -> Option<&mut QueueIndex> {
        if let Some(held) = self.delayed.one_mut(number) {
            return Some(&mut held.index);
        }
        self.queues.of_number_mut(number).map(|queue| &mut queue.index)
    }
}
