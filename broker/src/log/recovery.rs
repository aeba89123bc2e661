//! From what is on the disk to the state: the checkpoint, then every record after it. A torn end is cut; damage in what
//! was safe is reported, and what follows it kept.
//!
//! ```text
//!  checkpoint ─▶ survey (heads, fencing) ─▶ replay each segment ─▶ Recovered
//!                                             bad bytes: │ before what a later mark calls safe ─▶ damage, go on behind
//!                                                        └ else ─▶ the torn end: cut
//! ```
//! In a segment that another one follows everything was safe, so bad bytes there are always damage.

use std::io;

use super::{
    checkpoint::{self, Checkpoint, CheckpointError},
    disk::{Disk, FileName},
    identity::LogId,
    position::Position,
    state::State,
};

mod replay;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod walk;

use replay::Replay;
use survey::{Segment, Survey, survey};

/// Why a log cannot be recovered at all.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Not read.
    #[error("reading {name} failed: {source}")]
    Io {
        /// Which file.
        name: FileName,
        /// From the system.
        source: io::Error,
    },
    /// The directory is not read.
    #[error("listing the log's directory failed: {0}")]
    List(io::Error),
    /// Written by a later version.
    #[error("{name} has format {format}, this version knows {}: use a newer weft", super::FORMAT)]
    Newer {
        /// Which file.
        name: FileName,
        /// Its format.
        format: u32,
    },
}

/// Bytes that were safe once and can no longer be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// In which file.
    pub name: FileName,
    /// From which byte on.
    pub offset: u64,
    /// How many; 0 if nothing can be said.
    pub bytes: u64,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} bytes from byte {} on cannot be read", self.name, self.bytes, self.offset)
    }
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Everything.
    pub state: State,
    /// What was lost of it to a failing disk or a foreign hand; empty after any crash.
    pub damage: Vec<Damage>,
    /// Where the log ends: what comes after counts as never written.
    pub end: Position,
    /// All before this was safe when the log was left; what lies between may be in the system's memory only.
    pub safe: Position,
    /// Whether something was cut off there.
    pub torn: bool,
    /// Whether it was closed in order.
    pub clean: bool,
    /// The number for the next segment: above all files, and behind the end.
    pub next_segment: u32,
    /// The segments that count, in order.
    pub segments: Vec<Segment>,
    /// Files without a part in it: prepared and not begun, or of an older owner. They may be deleted.
    pub useless: Vec<u32>,
}

/// Reads the whole log.
///
/// # Errors
/// If a file cannot be read or is of a later format.
pub fn recover<D: Disk>(disk: &mut D, log: &LogId) -> Result<Recovered, RecoverError> {
    let mut damage = Vec::new();
    let names = disk.list().map_err(RecoverError::List)?;
    let base = base(disk, &names, log, &mut damage)?;
    let survey = survey(disk, &names, log, base.replay_from, &mut damage)?;
    let mut replay = Replay::new(log, base, damage);
    for (at, segment) in survey.kept.iter().enumerate() {
        let open = at + 1 == survey.kept.len();
        replay.segment(disk, segment, open)?;
    }
    Ok(conclude(replay, survey))
}

/// The last checkpoint that can be believed; without any, the beginning.
fn base<D: Disk>(
    disk: &mut D,
    names: &[FileName],
    log: &LogId,
    damage: &mut Vec<Damage>,
) -> Result<Checkpoint, RecoverError> {
    for name in [FileName::Checkpoint, FileName::CheckpointOld] {
        if !names.contains(&name) {
            continue;
        }
        match checkpoint::load(disk, name, log) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(CheckpointError::Newer(format)) => return Err(RecoverError::Newer { name, format }),
            Err(CheckpointError::Io(source)) => return Err(RecoverError::Io { name, source }),
            Err(CheckpointError::Damaged(offset)) => damage.push(Damage { name, offset, bytes: 0 }),
        }
    }
    Ok(Checkpoint::default())
}

fn conclude(replay: Replay, survey: Survey) -> Recovered {
    let end = replay.end();
    let mut recovered = Recovered {
        end,
        safe: replay.safe(),
        torn: replay.torn(),
        clean: replay.sealed() && replay.damage.is_empty(),
        next_segment: survey.highest.max(end.segment()).saturating_add(1),
        segments: survey.kept,
        useless: survey.useless,
        damage: replay.damage,
        state: replay.state,
    };
    drop_missing(&mut recovered);
    // An unfinished chain that began in an earlier segment takes those after it along.
    let numbers = recovered.segments.iter().map(|segment| segment.number);
    recovered.useless.extend(numbers.filter(|number| *number > end.segment()));
    for number in &recovered.useless {
        recovered.state.segments.remove(*number);
    }
    recovered
}

/// References into segments that are gone, or that do not count: damage, and nothing to deliver.
fn drop_missing(recovered: &mut Recovered) {
    let is_there = |number: u32| recovered.segments.iter().any(|segment| segment.number == number);
    let state = &mut recovered.state;
    let missing: Vec<_> = state.segments.iter().filter(|(number, _)| !is_there(*number)).collect();
    for (number, held) in missing {
        state.segments.remove(number);
        if held.refs == 0 {
            continue;
        }
        recovered.damage.push(Damage { name: FileName::Segment(number), offset: 0, bytes: held.bytes });
        recovered.clean = false;
        for queue in state.queues.values_mut() {
            let lost = queue.index.iter().filter(|(_, slot)| slot.position.segment() == number);
            let lost: Vec<u64> = lost.map(|(seq, _)| seq).collect();
            for seq in lost {
                queue.index.settle(seq);
                queue.returned.remove(&seq);
            }
        }
    }
}
