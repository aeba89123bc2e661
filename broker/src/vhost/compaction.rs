//! Few live messages must not hold much disk: those of sparse segments are written again at the end of the log, and
//! the segments go. A step at a time, each when the one before is safe.

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
}

/// The step that waits for the log.
#[derive(Debug, Default)]
pub(super) struct State {
    segment: Option<u32>,
    /// The next step, and up to where the log must be safe before.
    next: Option<(u32, Position)>,
}

impl Vhost {
    /// The next step of the segment at hand, once the one before it is safe.
    pub(super) fn go_on_compacting(&mut self) {
        let Some((segment, (from, after))) = self.compaction.segment.zip(self.compaction.next) else {
            return;
        };
        if after <= self.store.durable() {
            self.compaction.next = None;
            self.want_segment(segment, from);
        }
    }

    /// Begins with a segment that is worth it.
    pub(super) fn begin_compaction(&mut self) {
        if self.compaction.segment.is_some() {
            return;
        }
        let candidate = self
            .store
            .segments
            .compaction_candidate_above(self.store.active_segment(), self.limits.garbage_bytes_min);
        if let Some(segment) = candidate {
            tracing::info!(vhost = &*self.name, segment, "moving the few live messages of a segment");
            self.compaction.segment = Some(segment);
            self.want_segment(segment, 0);
        }
    }

    fn want_segment(&mut self, segment: u32, from: u32) {
        let purpose = Purpose::Compaction(segment, from);
        self.turn.wants.push(Want { queue: QueueId(u32::MAX), number: 0, purpose });
    }

    /// A piece of the segment was read: what is live in it is written again.
    pub fn scanned(&mut self, scanned: &Scanned, now_ms: u64) {
        self.set_time(now_ms);
        for (position, message) in &scanned.messages {
            self.move_message(*position, message);
        }
        self.store.request_sync();
        match scanned.next {
            Some(from) => self.compaction.next = Some((from, self.store.end())),
            None => self.compaction.segment = None,
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
