//! Goes through one segment: the record at some place, or the next one that there is. It judges nothing.

use std::io;

use super::RecoverError;
use crate::log::{
    disk::{Disk, FileName},
    frame::{self, Checksums, FRAME_BYTES, Frame, Framed},
    position::Position,
};

/// Read at once.
const WINDOW_BYTES: usize = 1 << 20;
/// A search for the next record gives up after checksums over so many bytes: hostile bodies can look like many.
const SEARCH_BYTES_MAX: u64 = 4 << 30;

/// What lies at a place.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A record.
    Record(Frame<'a>),
    /// Nothing was written here, or the segment ends.
    Nothing,
    /// Bytes that are no record.
    Bad,
}

/// A segment, seen through a window.
pub(crate) struct Walk<'d, D> {
    disk: &'d mut D,
    number: u32,
    /// Bytes that count.
    bytes: u64,
    sums: Checksums,
    window: Vec<u8>,
    start: u64,
}

impl<'d, D: Disk> Walk<'d, D> {
    /// The first `bytes` of this segment.
    pub(crate) fn new(disk: &'d mut D, number: u32, bytes: u64, sums: Checksums) -> Self {
        Self { disk, number, bytes, sums, window: Vec::new(), start: 0 }
    }

    /// What lies at this offset.
    pub(crate) fn step(&mut self, offset: u32) -> Result<Step<'_>, RecoverError> {
        let position = Position::new(self.number, offset);
        let left = self.bytes.saturating_sub(offset.into());
        let mut want = FRAME_BYTES;
        if left < want as u64 {
            // Too little for a record: bytes that are not zero were cut, or changed.
            let rest = self.view(offset, want)?;
            return Ok(if rest.iter().all(|byte| *byte == 0) { Step::Nothing } else { Step::Bad });
        }
        let sums = self.sums;
        if let Framed::Short(bytes) = frame::read(self.view(offset, want)?, position, sums) {
            want = bytes;
        }
        if want as u64 > left {
            return Ok(Step::Bad);
        }
        Ok(match frame::read(self.view(offset, want)?, position, sums) {
            Framed::Good(frame) => Step::Record(frame),
            Framed::Nothing => Step::Nothing,
            Framed::Bad | Framed::Short(_) => Step::Bad,
        })
    }

    /// The place of the first record at this offset or after it.
    pub(crate) fn next_record(&mut self, from: u32) -> Result<Option<u32>, RecoverError> {
        let mut work = 0_u64;
        let mut offset = from;
        while let Some(candidate) = self.next_written(offset)? {
            let Some(after) = candidate.checked_add(1) else { return Ok(None) };
            work += self.claimed(candidate)?;
            if work > SEARCH_BYTES_MAX {
                return Ok(None);
            }
            if matches!(self.step(candidate)?, Step::Record(_)) {
                return Ok(Some(candidate));
            }
            offset = after;
        }
        Ok(None)
    }

    /// Every record at this offset or after it that can be read, for as long as `each` wants them.
    pub(crate) fn each_record(
        &mut self,
        from: u32,
        mut each: impl FnMut(u32, &Frame<'_>) -> bool,
    ) -> Result<(), RecoverError> {
        let mut at = Some(from);
        while let Some(offset) = at {
            let Step::Record(frame) = self.step(offset)? else {
                at = self.next_record(offset.saturating_add(1))?;
                continue;
            };
            if !each(offset, &frame) {
                return Ok(());
            }
            at = u32::try_from(frame.bytes).ok().and_then(|bytes| offset.checked_add(bytes));
        }
        Ok(())
    }

    /// Whether nothing was written at this offset or after it.
    pub(crate) fn is_blank_from(&mut self, offset: u32) -> Result<bool, RecoverError> {
        Ok(self.next_written(offset)?.is_none())
    }

    /// What looking at a candidate costs: the bytes that its length claims, as far as they are there.
    fn claimed(&mut self, offset: u32) -> Result<u64, RecoverError> {
        let left = self.bytes.saturating_sub(offset.into());
        let (number, sums) = (self.number, self.sums);
        let view = self.view(offset, FRAME_BYTES)?;
        let claim = match frame::read(view, Position::new(number, offset), sums) {
            Framed::Short(bytes) => bytes as u64,
            _ => 0,
        };
        Ok(if claim > left { 0 } else { claim })
    }

    /// The first offset from which a length other than 0 can be read.
    fn next_written(&mut self, from: u32) -> Result<Option<u32>, RecoverError> {
        let mut offset = from;
        loop {
            let window = self.view(offset, FRAME_BYTES)?;
            if window.is_empty() {
                return Ok(None);
            }
            if let Some(at) = first_other_than_zero(window) {
                // A length may begin with up to three zeros.
                let found = u64::from(offset) + at.saturating_sub(3) as u64;
                return Ok(u32::try_from(found).ok());
            }
            // A length may begin with the last three bytes of this window.
            let skipped = u32::try_from(window.len().saturating_sub(3).max(1));
            let Some(next) = skipped.ok().and_then(|bytes| offset.checked_add(bytes)) else {
                return Ok(None);
            };
            offset = next;
        }
    }

    /// All that the window has from this offset on: at least `want` bytes, if the segment has them.
    fn view(&mut self, offset: u32, want: usize) -> Result<&[u8], RecoverError> {
        let offset = u64::from(offset);
        let have_to = self.start + self.window.len() as u64;
        let left = self.bytes.saturating_sub(offset);
        let need = (want as u64).min(left);
        if offset < self.start || offset + need > have_to || (need == 0 && offset > have_to) {
            self.fill(offset, want.max(WINDOW_BYTES)).map_err(|source| {
                let name = FileName::Segment(self.number);
                RecoverError::Io { name, source }
            })?;
        }
        let at = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.window.get(at..).unwrap_or_default())
    }

    fn fill(&mut self, offset: u64, want: usize) -> io::Result<()> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.window.resize(want.min(left), 0);
        self.start = offset;
        let read = self.disk.read_at(FileName::Segment(self.number), offset, &mut self.window)?;
        self.window.truncate(read);
        Ok(())
    }
}

fn first_other_than_zero(bytes: &[u8]) -> Option<usize> {
    const STRIDE: usize = 512;
    let blank = |chunk: &&[u8]| chunk.iter().fold(0, |any, byte| any | byte) == 0;
    let skipped = bytes.chunks(STRIDE).take_while(blank).count() * STRIDE;
    let at = bytes.get(skipped..)?.iter().position(|byte| *byte != 0)?;
    Some(skipped + at)
}
