//! Which segments count, and how far: the heads of all segments, read before any record.

use super::{Damage, RecoverError, walk::Walk};
use crate::log::{
    disk::{Disk, FileName, read_start},
    frame::Checksums,
    identity::LogId,
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

/// Reads all heads.
///
/// # Errors
/// If one cannot be read, or is of a later format.
pub fn survey<D: Disk>(
    disk: &mut D,
    names: &[FileName],
    log: &LogId,
    damage: &mut Vec<Damage>,
) -> Result<Survey, RecoverError> {
    let segment = |name: &FileName| if let FileName::Segment(number) = name { Some(*number) } else { None };
    let mut numbers: Vec<u32> = names.iter().filter_map(segment).collect();
    numbers.sort_unstable();
    let mut survey = Survey { highest: numbers.last().copied().unwrap_or(0), ..Survey::default() };
    let mut fencing = 0;
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
            HeaderState::Unused => survey.useless.push(number),
            HeaderState::Good(_) | HeaderState::Bad => {
                if has_records(disk, number, bytes, log)? {
                    damage.push(Damage { name, offset: 0, bytes: HEADER_BYTES.into() });
                    survey.kept.push(Segment { number, bytes, limit: None, fencing: None });
                } else {
                    survey.useless.push(number);
                }
            }
        }
    }
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
}

/// A torn head has nothing behind it; a damaged one does.
fn has_records<D: Disk>(disk: &mut D, number: u32, bytes: u64, log: &LogId) -> Result<bool, RecoverError> {
    let mut walk = Walk::new(disk, number, bytes, Checksums::new(log));
    Ok(walk.next_record(HEADER_BYTES)?.is_some())
}
