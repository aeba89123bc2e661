//! Applies the records of the segments, in order, to the state of the checkpoint; decides what is damage and what is the
//! torn end.

use super::{
    Damage, RecoverError,
    survey::Segment,
    walk::{Step, Walk},
};
use crate::log::{
    checkpoint::Checkpoint,
    disk::{Disk, FileName},
    frame::Checksums,
    identity::LogId,
    position::Position,
    record::Record,
    segment::HEADER_BYTES,
    state::{Effect, State, effects},
};

/// The state under way.
pub(super) struct Replay {
    sums: Checksums,
    pub(super) state: State,
    pub(super) damage: Vec<Damage>,
    replay_from: Position,
    /// Effects of a chain whose end has not come.
    chain: Vec<Effect>,
    /// The end of the last record that counts, and of the last one that was read.
    complete: Position,
    read: Position,
    /// What the last mark says was safe.
    safe: Position,
    sealed: bool,
    torn: bool,
}

/// What to do about a place without a record.
enum Gap {
    /// Bytes that were safe are lost, up to here.
    Damage { until: u32 },
    /// The log ends. Something may be cut off.
    End { torn: bool },
}

impl Replay {
    pub(super) fn new(log: &LogId, mut base: Checkpoint, damage: Vec<Damage>) -> Self {
        base.state.segments.checkpointed(base.replay_from);
        Self {
            sums: Checksums::new(log),
            state: base.state,
            damage,
            replay_from: base.replay_from,
            chain: Vec::new(),
            complete: base.replay_from,
            read: base.replay_from,
            safe: base.replay_from,
            sealed: false,
            torn: false,
        }
    }

    /// Where the log ends.
    pub(super) fn end(&self) -> Position {
        self.complete
    }

    /// All before this was safe for certain when the log was left.
    pub(super) fn safe(&self) -> Position {
        self.safe.min(self.complete)
    }

    pub(super) fn torn(&self) -> bool {
        self.torn || self.complete != self.read
    }

    pub(super) fn sealed(&self) -> bool {
        self.sealed && !self.torn()
    }

    /// Replays one segment; `open` if it is the last.
    pub(super) fn segment<D: Disk>(
        &mut self,
        disk: &mut D,
        segment: &Segment,
        open: bool,
    ) -> Result<(), RecoverError> {
        self.state.segments.begin(segment.number, segment.bytes);
        let from = match self.replay_from.segment() {
            before if before < segment.number => HEADER_BYTES,
            same if same == segment.number => self.replay_from.offset(),
            _ => return Ok(()),
        };
        let bytes = segment.limit.map_or(segment.bytes, |limit| segment.bytes.min(limit.into()));
        let mut walk = Walk::new(disk, segment.number, bytes, self.sums);
        let mut offset = from;
        loop {
            if let Step::Record(frame) = walk.step(offset)? {
                let bytes = u32::try_from(frame.bytes).unwrap_or(u32::MAX);
                let end = offset.saturating_add(bytes);
                self.record(Position::new(segment.number, offset), end, &frame);
                offset = end;
                continue;
            }
            if self.beyond(segment, open, offset) {
                return Ok(());
            }
            match self.gap(&mut walk, segment, open, offset)? {
                Gap::End { torn } => {
                    self.torn |= torn && open;
                    return Ok(());
                }
                Gap::Damage { until } => {
                    self.damaged(segment.number, offset, until);
                    offset = until;
                }
            }
        }
    }

    /// Whether the place is where the log left a segment for the next one.
    fn beyond(&self, segment: &Segment, open: bool, offset: u32) -> bool {
        !open && segment.limit == Some(offset)
    }

    fn gap<D: Disk>(
        &self,
        walk: &mut Walk<'_, D>,
        segment: &Segment,
        open: bool,
        offset: u32,
    ) -> Result<Gap, RecoverError> {
        if walk.is_blank_from(offset)? && (open || segment.limit.is_none()) {
            return Ok(Gap::End { torn: false });
        }
        let next = walk.next_record(offset.saturating_add(1))?;
        let all = segment.limit.unwrap_or(u32::try_from(segment.bytes).unwrap_or(u32::MAX));
        if !open {
            return Ok(Gap::Damage { until: next.unwrap_or(all) });
        }
        let here = Position::new(segment.number, offset);
        let safe = self.safe_after(walk, next)?;
        if safe <= here {
            return Ok(Gap::End { torn: true });
        }
        let safe = if safe.segment() == segment.number { safe.offset() } else { all };
        Ok(Gap::Damage { until: next.map_or(safe, |next| next.min(safe)) })
    }

    /// What the marks behind a gap call safe. A seal has a group of its own: its mark calls safe all that came before it.
    fn safe_after<D: Disk>(
        &self,
        walk: &mut Walk<'_, D>,
        next: Option<u32>,
    ) -> Result<Position, RecoverError> {
        let mut safe = self.replay_from;
        let Some(next) = next else { return Ok(safe) };
        walk.each_record(next, |_, frame| {
            if let Ok(Record::Mark { durable, .. }) = Record::decode(frame.kind, frame.payload) {
                safe = safe.max(durable);
            }
            true
        })?;
        Ok(safe)
    }

    fn record(&mut self, position: Position, end: u32, frame: &crate::log::frame::Frame<'_>) {
        let end = Position::new(position.segment(), end);
        let Ok(record) = Record::decode(frame.kind, frame.payload) else {
            self.damaged(position.segment(), position.offset(), end.offset());
            return;
        };
        if let Record::Mark { durable, .. } = record {
            self.safe = self.safe.max(durable);
        }
        self.sealed = matches!(record, Record::Seal);
        self.read = end;
        effects(&record, position, &mut self.chain);
        if !frame.chained {
            for effect in self.chain.drain(..) {
                self.state.apply(effect);
            }
            self.complete = end;
        }
    }

    /// A chain that damage fell into was complete once: what is left of it counts.
    fn damaged(&mut self, segment: u32, offset: u32, until: u32) {
        let bytes = until.saturating_sub(offset).into();
        self.damage.push(Damage { name: FileName::Segment(segment), offset: offset.into(), bytes });
        for effect in self.chain.drain(..) {
            self.state.apply(effect);
        }
        self.complete = Position::new(segment, until);
        self.read = self.complete;
    }
}
