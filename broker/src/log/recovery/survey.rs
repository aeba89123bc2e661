//! Which segments count, and how far: the heads of all segments, read before any record.
//!
//! ```text
//!            ┌─ good ────────────────────────────────────────────────────────────────▶ kept, or of a replaced owner
//!  head read ┤           ┌─ the checkpoint, a later head or a record says: begun ────▶ kept, and damage
//!            └─ no head ─┴─ nothing does: prepared, or torn while it was begun ──────▶ useless
//! ```

use std::collections::BTreeSet;

use super::{Damage, RecoverError, walk::Walk};
use crate::log::{
    disk::{Disk, FileName, read_start},
    frame::{Checksums, Frame},
    identity::LogId,
    position::Position,
    record::Record,
    segment::{HEADER_BYTES, HeaderState, SegmentHeader},
};

/// A segment that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: u32,
    /// Its size on disk.
    pub bytes: u64,
    /// Where the log left it for the next one, if a head says so: all before was safe, all after does not count.
    pub limit: Option<u32>,
    /// By which owner, if its head can be read.
    pub fencing: Option<u64>,
}

/// All segments.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that count, in order.
    pub kept: Vec<Segment>,
    /// Prepared and not begun, or written by an owner that had been replaced.
    pub useless: Vec<u32>,
    /// The highest number that any file has.
    pub highest: u32,
}

/// Reads all heads. Before `safe`, where the checkpoint goes on, every segment was begun.
///
/// # Errors
/// If one cannot be read, or is of a later format.
pub fn survey<D: Disk>(
    disk: &mut D,
    names: &[FileName],
    log: &LogId,
    safe: Position,
    damage: &mut Vec<Damage>,
) -> Result<Survey, RecoverError> {
    let segment = |name: &FileName| if let FileName::Segment(number) = name { Some(*number) } else { None };
    let mut numbers: Vec<u32> = names.iter().filter_map(segment).collect();
    numbers.sort_unstable();
    let mut survey = Survey { highest: numbers.last().copied().unwrap_or(0), ..Survey::default() };
    let (mut fencing, mut zero) = (0, BTreeSet::new());
    for number in numbers {
        let name = FileName::Segment(number);
        let failed = |source| RecoverError::Io { name, source };
        let head = read_start(disk, name, HEADER_BYTES as usize).map_err(failed)?;
        let bytes = disk.len(name).map_err(failed)?;
        match SegmentHeader::decode(&head) {
            HeaderState::Newer(format) => return Err(RecoverError::Newer { name, format }),
            HeaderState::Good(header) if header.log == *log && header.segment == number => {
                survey.begin(&header, bytes, &mut fencing);
            }
            state => {
                zero.extend((state == HeaderState::Unused).then_some(number));
                survey.kept.push(Segment { number, bytes, limit: None, fencing: None });
            }
        }
    }
    survey.drop_not_begun(disk, log, safe, &zero)?;
    let headless = survey.kept.iter().filter(|segment| segment.fencing.is_none());
    damage.extend(headless.map(|segment| Damage {
        name: FileName::Segment(segment.number),
        offset: 0,
        bytes: HEADER_BYTES.into(),
    }));
    Ok(survey)
}

impl Survey {
    fn begin(&mut self, header: &SegmentHeader, bytes: u64, fencing: &mut u64) {
        let (number, end) = (header.segment, header.previous_end);
        if header.fencing < *fencing {
            self.useless.push(number);
            return;
        }
        *fencing = header.fencing;
        while let Some(last) = self.kept.pop_if(|last| last.number > end.segment()) {
            self.useless.push(last.number);
        }
        if let Some(last) = self.kept.last_mut().filter(|last| last.number == end.segment()) {
            last.limit = Some(end.offset());
        }
        self.kept.push(Segment { number, bytes, limit: None, fencing: Some(header.fencing) });
    }

    /// At the end of the log, segments without a head that nothing shows to have been begun are no part of it.
    fn drop_not_begun<D: Disk>(
        &mut self,
        disk: &mut D,
        log: &LogId,
        safe: Position,
        zero: &BTreeSet<u32>,
    ) -> Result<(), RecoverError> {
        let may_go = |segment: &Segment| segment.fencing.is_none() && segment.number > safe.segment();
        while let Some(last) = self.kept.last().copied().filter(may_go) {
            if was_begun(disk, &last, log, zero.contains(&last.number))? {
                break;
            }
            self.kept.pop();
            self.useless.push(last.number);
        }
        Ok(())
    }
}

/// Something else than a head has no record behind it unless the head was damaged. Zeros may: a head that a crash kept
/// from the disk, with records that reached it. But where a mark calls any of the segment safe, its head was.
fn was_begun<D: Disk>(
    disk: &mut D,
    segment: &Segment,
    log: &LogId,
    is_zero: bool,
) -> Result<bool, RecoverError> {
    let mut walk = Walk::new(disk, segment.number, segment.bytes, Checksums::new(log));
    let Some(first) = walk.next_record(HEADER_BYTES)? else { return Ok(false) };
    let mut begun = false;
    walk.each_record(first, |_, frame| {
        begun = !is_zero || calls_safe(frame, segment.number);
        !begun
    })?;
    Ok(begun)
}

/// Whether a record says that a part of this segment was safe.
fn calls_safe(frame: &Frame<'_>, segment: u32) -> bool {
    let record = Record::decode(frame.kind, frame.payload);
    matches!(record, Ok(Record::Mark { durable, .. }) if durable.segment() >= segment)
}
