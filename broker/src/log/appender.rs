//! Turns records into groups of writes: gives each its place, rolls to new segments, knows what must be synced and when.
//! Pure: it is told the time and never touches a file.
//!
//! ```text
//!  append, settle ──▶ [collecting] ──take_group──▶ [with the writer] ──completed──▶ durable
//!  seal ──────────────────────────── once all is durable: a group with the seal alone
//! ```
//! A group begins with a mark that says what was safe by then; recovery can so tell a torn end from damage.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    FREE_BYTES_MIN, SEGMENT_BYTES,
    frame::{CHAINED, Checksums, FRAME_BYTES, PREFIX_BYTES, RECORD_BYTES_MAX},
    group::{Completed, Group, Write},
    identity::LogId,
    position::Position,
    record::{Body, Record},
    segment::{HEADER_BYTES, SegmentHeader},
    settles::Settles,
};

mod need;
#[cfg(test)]
mod tests;

use need::{Need, need};

/// An acknowledgement older than this is not forgotten, whatever happens.
pub const ACK_SYNC_MS_MAX: u64 = 200;
/// So long they wait for company: the rest of the time belongs to the disk.
const ACK_WAIT_MS: u64 = ACK_SYNC_MS_MAX / 2;
/// Bodies above this go to the disk as the pieces they came in; below, one copy is cheaper than one more write.
const INLINE_BODY_BYTES_MAX: usize = 16 << 10;
/// What need not be synced is written once there is this much of it.
const LAZY_BYTES_MAX: usize = 256 << 10;
/// Groups are gathered in buffers of this size, used again when all their bytes are written.
const BUFFER_BYTES: usize = 1 << 20;

/// How the log is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The size of a segment. A larger record has one of its own.
    pub segment_bytes: u32,
    /// What is to stay free on the disk when a segment is prepared ahead; below, it counts as full.
    pub free_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, free_bytes_min: FREE_BYTES_MIN }
    }
}

/// A record above [`RECORD_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes is above the limit of {RECORD_BYTES_MAX}")]
pub struct TooLarge {
    /// Its size.
    pub bytes: usize,
}

/// How the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seal {
    /// Not yet.
    Open,
    /// In order, as soon as all before is safe.
    Asked,
    /// With what was written between these positions.
    Written { from: Position, to: Position },
}

/// Collects groups.
#[derive(Debug)]
pub struct Appender {
    log: LogId,
    fencing: u64,
    sums: Checksums,
    options: Options,
    /// The segment being filled, its size, the next byte in it. All 0 before the first.
    segment: u32,
    capacity: u32,
    offset: u32,
    next_segment: u32,
    end: Position,
    durable: Position,
    group: u64,
    /// Whether the group being collected has its mark.
    marked: bool,
    chained: bool,
    sync_now: bool,
    seal: Seal,
    /// Since when something waits that must be safe soon.
    soon_since_ms: Option<u64>,
    settles: Settles,
    writes: Vec<Write>,
    write: Write,
    buffer: BytesMut,
    /// Bytes of the group being collected.
    collected: usize,
}

impl Appender {
    /// Begins after `end`, in a segment of its own with this number.
    pub fn new(log: LogId, fencing: u64, end: Position, next_segment: u32, options: Options) -> Self {
        Self {
            log,
            fencing,
            sums: Checksums::new(&log),
            options,
            segment: 0,
            capacity: 0,
            offset: 0,
            next_segment,
            end,
            durable: end,
            group: 1,
            marked: false,
            chained: false,
            sync_now: false,
            seal: Seal::Open,
            soon_since_ms: None,
            settles: Settles::default(),
            writes: Vec::new(),
            write: Write::default(),
            buffer: BytesMut::with_capacity(BUFFER_BYTES),
            collected: 0,
        }
    }

    /// Gives a record its place. It is safe once [`Self::is_durable`] says so.
    ///
    /// # Errors
    /// If it is too large; nothing was appended then.
    pub fn append(&mut self, record: &Record<'_>, now_ms: u64) -> Result<Position, TooLarge> {
        if let Record::Forget { queue } = record {
            self.settles.forget(*queue);
        }
        let position = self.place(record)?;
        match need(record) {
            Need::Now => self.sync_now = true,
            Need::Soon => self.sync_soon(now_ms),
            Need::Never => {}
        }
        Ok(position)
    }

    /// A message is gone from its queue: written with the next group, in one record with its like.
    pub fn settle(&mut self, queue: u32, seq: u64, now_ms: u64) {
        self.settles.settle(queue, seq);
        self.sync_soon(now_ms);
    }

    /// Messages of a queue up to this one may have been delivered: written as [`Self::settle`].
    pub fn delivered(&mut self, queue: u32, up_to: u64, now_ms: u64) {
        self.settles.delivered(queue, up_to);
        self.sync_soon(now_ms);
    }

    /// What follows until [`Self::end_chain`] holds together: all of it survives or nothing. Settlements that belong to
    /// it must be appended as records.
    pub fn begin_chain(&mut self) {
        self.chained = true;
    }

    /// The chain is complete.
    pub fn end_chain(&mut self) {
        if self.chained {
            self.chained = false;
            // The smallest of records cannot be too large.
            let _ = self.place(&Record::ChainEnd);
        }
    }

    /// Everything so far is to be safe with the next group.
    pub fn request_sync(&mut self) {
        self.sync_now = true;
    }

    /// Ends the log in order: once all of it is safe, a group of its own closes it. So whoever reads the seal knows that
    /// what came before it was safe.
    pub fn seal(&mut self) {
        self.seal = Seal::Asked;
        self.sync_now = true;
    }

    /// Whether the group that closes the log was taken.
    pub fn is_sealed(&self) -> bool {
        matches!(self.seal, Seal::Written { .. })
    }

    /// When [`Self::take_group`] will have something that can wait no longer, in milliseconds since 1970.
    pub fn sync_due(&self) -> Option<u64> {
        if self.sync_now {
            Some(0)
        } else {
            self.soon_since_ms.map(|since| since.saturating_add(ACK_WAIT_MS))
        }
    }

    /// The group collected so far, if it is time to write it. None within a chain.
    pub fn take_group(&mut self, now_ms: u64) -> Option<Group> {
        let sync = self.sync_due().is_some_and(|due| due <= now_ms);
        if self.chained || !(sync || self.pending_bytes() >= LAZY_BYTES_MAX) {
            return None;
        }
        self.flush_settles();
        self.place_seal();
        self.finish_write();
        let writes = std::mem::take(&mut self.writes);
        let group = Group { number: self.group, end: self.end, writes, sync, past_cache: false };
        self.group += 1;
        self.marked = false;
        self.collected = 0;
        if sync {
            self.sync_now = self.seal == Seal::Asked;
            self.soon_since_ms = None;
        }
        Some(group)
    }

    /// The writer has done a group.
    pub fn completed(&mut self, completed: Completed) {
        self.durable = self.durable.max(completed.durable);
    }

    /// Whether the record at this position is safe.
    pub fn is_durable(&self, position: Position) -> bool {
        position < self.durable
    }

    /// All before this is safe.
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// Where the next record goes, at the earliest.
    pub fn end(&self) -> Position {
        self.end
    }

    /// The position from which recovery must replay on top of a checkpoint of the state as it is now. None within a
    /// chain. The checkpoint may replace the earlier one once all before the position is safe.
    pub fn checkpoint_position(&mut self) -> Option<Position> {
        if self.chained {
            return None;
        }
        self.flush_settles();
        Some(match self.seal {
            // So that replay meets the seal.
            Seal::Written { from, to } if to == self.end => from,
            _ => self.end,
        })
    }

    /// Once this is durable, so is all that was appended or gathered so far.
    pub fn settled_at(&self) -> Position {
        if self.settles.is_empty() { self.end } else { Position::from_raw(self.end.raw().saturating_add(1)) }
    }

    /// Segments below this one take no more records.
    pub fn closed_before(&self) -> u32 {
        if self.segment == 0 { self.next_segment } else { self.segment }
    }

    /// Bytes collected for the next group.
    pub fn pending_bytes(&self) -> usize {
        self.collected
    }

    /// Bytes left in the segment being filled: with no other prepared, a full disk is met after them.
    pub fn room(&self) -> u32 {
        self.capacity.saturating_sub(self.offset)
    }

    /// The segment being filled; 0 before the first record.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    fn sync_soon(&mut self, now_ms: u64) {
        self.soon_since_ms.get_or_insert(now_ms);
    }

    fn flush_settles(&mut self) {
        let mut settles = std::mem::take(&mut self.settles);
        settles.drain(|record| {
            // Thousands of ranges are kilobytes: far from too large.
            let _ = self.place(record);
        });
        self.settles = settles;
    }

    fn place_seal(&mut self) {
        if self.seal == Seal::Asked && !self.marked && self.durable == self.end {
            let from = self.end;
            // The smallest of records cannot be too large.
            let _ = self.place(&Record::Seal);
            self.seal = Seal::Written { from, to: self.end };
        }
    }

    /// Marks the group if it is new, and writes the record.
    fn place(&mut self, record: &Record<'_>) -> Result<Position, TooLarge> {
        if !self.marked {
            self.marked = true;
            let mark = Record::Mark { group: self.group, durable: self.durable };
            self.write_record(&mark, 0)?;
        }
        self.write_record(record, if self.chained { CHAINED } else { 0 })
    }

    fn write_record(&mut self, record: &Record<'_>, flags: u8) -> Result<Position, TooLarge> {
        let mut start = self.buffer.len();
        self.buffer.put_bytes(0, PREFIX_BYTES);
        self.buffer.put_u8(record.kind());
        self.buffer.put_u8(flags);
        record.encode(&mut self.buffer);
        let body = record.body();
        let bytes = self.buffer.len() - start + body.map_or(0, Body::len);
        let Some((len, size)) = sizes(bytes) else {
            self.buffer.truncate(start);
            return Err(TooLarge { bytes });
        };
        if self.offset.saturating_add(size) > self.capacity {
            start = self.roll(start, size);
        }
        let position = Position::new(self.segment, self.offset);
        let covered = self.buffer.get(start + PREFIX_BYTES..).unwrap_or_default();
        let mut crc = crc32c::crc32c_append(self.sums.seed(position), covered);
        for part in body.into_iter().flat_map(|body| body.parts()) {
            crc = crc32c::crc32c_append(crc, part);
        }
        if let Some(prefix) =
            self.buffer.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<PREFIX_BYTES>())
        {
            *prefix = (u64::from(len) | (u64::from(crc) << 32)).to_le_bytes();
        }
        if let Some(body) = body {
            self.write_body(body);
        }
        self.offset += size;
        self.collected += size as usize;
        self.end = Position::new(self.segment, self.offset);
        Ok(position)
    }

    fn write_body(&mut self, body: &Body<'_>) {
        match body {
            Body::Pieces(pieces) if body.len() > INLINE_BODY_BYTES_MAX => {
                let before = self.buffer.split().freeze();
                self.write.pieces.push(before);
                self.write.pieces.extend(pieces.iter().filter(|piece| !piece.is_empty()).map(Bytes::clone));
            }
            _ => body.parts().for_each(|part| self.buffer.put_slice(part)),
        }
    }

    /// Begins a segment with the record that starts at `start` of the buffer, and says where it starts now.
    fn roll(&mut self, start: usize, size: u32) -> usize {
        let head = self.buffer.split_off(start);
        self.finish_write();
        self.segment = self.next_segment;
        self.next_segment += 1;
        self.capacity = self.options.segment_bytes.max(HEADER_BYTES.saturating_add(size));
        self.offset = HEADER_BYTES;
        self.write = Write { segment: self.segment, begins: Some(self.capacity), ..Write::default() };
        let header = SegmentHeader {
            log: self.log,
            fencing: self.fencing,
            segment: self.segment,
            previous_end: self.end,
        };
        header.encode(&mut self.buffer);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&head);
        start
    }

    /// Closes the write under way; the next one goes on where it ends.
    fn finish_write(&mut self) {
        if !self.buffer.is_empty() {
            self.write.pieces.push(self.buffer.split().freeze());
        }
        let next = Write { segment: self.segment, offset: self.offset, ..Write::default() };
        let done = std::mem::replace(&mut self.write, next);
        if !done.pieces.is_empty() {
            self.writes.push(done);
        }
    }
}

/// The length for the prefix and the whole size, if a record may be so large.
fn sizes(bytes: usize) -> Option<(u32, u32)> {
    let size = u32::try_from(bytes).ok()?;
    let len = size - u32::try_from(PREFIX_BYTES).ok()?;
    (FRAME_BYTES..=RECORD_BYTES_MAX).contains(&bytes).then_some((len, size))
}
