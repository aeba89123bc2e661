//! Carries out groups: writes them, syncs them, begins segments and prepares the next one ahead. Synchronous; the
//! thread around it is `thread`.
//!
//! ```text
//!  run(group): [begin a segment: sync the one before] ─▶ write ─▶ sync ─▶ completed
//!                         │ no room: Full, no descriptor or memory: Short         │ failed: poisoned for good
//!                         └─▶ the same group again later
//! ```
//! A sync that failed is never tried again: the kernel may have dropped what it could not write, and says so once.

use std::io::{self, ErrorKind};

use bytes::Bytes;

use super::{
    appender::Options,
    disk::{self, Disk, FileName},
    group::{Completed, Group, Write},
    position::Position,
};

#[cfg(test)]
mod tests;
pub mod thread;

/// Zeros are written in pieces of this size.
const ZERO_BYTES: usize = 1 << 20;
/// The next segment is filled faster than the current one by this factor.
const AHEAD: u64 = 2;
/// Zeros pay where a sync carries fewer bytes than this. Measured on ext4: the sync of what was only set aside needs
/// 25 µs more of a core and 80 µs more of time, zeros some 16 µs and 45 µs each 64 KiB.
const ZEROS_PAY_BELOW: u64 = if cfg!(test) { 2 << 10 } else { 128 << 10 };
/// The last sync's part in the average is one of so many.
const AVERAGE_OVER: u64 = 8;

/// Why a group is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk is full. Nothing is damaged: the same group may be run again.
    #[error("the disk is full")]
    Full,
    /// The system is short of something else: descriptors, memory. As with [`Self::Full`], the same may be run again.
    #[error("{operation} has to wait for {name}: {source}")]
    Short {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        name: FileName,
        /// From the system.
        source: io::Error,
    },
    /// Nothing more will be written: what the disk holds can be known only by opening the log again.
    #[error("{operation} failed on {name}: {source}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        name: FileName,
        /// From the system.
        source: io::Error,
    },
    /// It failed before.
    #[error("the log has failed before: restart to recover it")]
    Poisoned,
}

impl WriteError {
    /// Whether nothing is lost, and the same may be run again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Full | Self::Short { .. })
    }
}

/// Writes one log.
#[derive(Debug)]
pub struct Writer<D> {
    disk: D,
    options: Options,
    /// The segment to begin with.
    first: u32,
    /// The segment being filled.
    current: Option<u32>,
    /// Bytes of it that may not be safe.
    unsynced: u64,
    /// What a sync carried, on average of the last ones.
    sync_bytes: u64,
    written: Position,
    durable: Position,
    next: Option<Prepared>,
    poisoned: bool,
    zeros: Bytes,
}

/// A segment to come: zeros, as far as they are written.
#[derive(Debug, Clone, Copy)]
struct Prepared {
    segment: u32,
    bytes: u64,
    filled: u64,
    safe: bool,
}

impl<D: Disk> Writer<D> {
    /// For a log that ends at `end`, all of it safe, and goes on in the segment `first`.
    pub fn new(disk: D, options: Options, end: Position, first: u32) -> Self {
        Self {
            disk,
            options,
            first,
            current: None,
            unsynced: 0,
            sync_bytes: 0,
            written: end,
            durable: end,
            next: None,
            poisoned: false,
            zeros: Bytes::from_static(&[0; ZERO_BYTES]),
        }
    }

    /// Writes a group, and makes it safe if it asks for that.
    ///
    /// # Errors
    /// [`WriteError::Full`] if the disk is, [`WriteError::Short`] if the system is: the same group may be tried again. After
    /// any other nothing works.
    pub fn run(&mut self, group: &Group) -> Result<Completed, WriteError> {
        self.healthy()?;
        for write in &group.writes {
            self.write(write, group.past_cache)?;
        }
        self.written = self.written.max(group.end);
        if group.sync {
            self.sync_current()?;
        }
        Ok(Completed { number: group.number, durable: self.durable })
    }

    /// Prepares the next segment by one piece. Says whether it is ready.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn prepare_step(&mut self) -> Result<bool, WriteError> {
        self.healthy()?;
        self.prepare(self.current.map_or(self.first, |current| current + 1))
    }

    /// Whether the next segment falls behind the one being filled, and cannot wait for a quiet moment.
    pub fn is_prepare_due(&self) -> bool {
        let filled = self.next.map_or(0, |next| if next.safe { u64::MAX } else { next.filled });
        let used = if Some(self.written.segment()) == self.current { self.written.offset() } else { 0 };
        filled < u64::from(used).saturating_mul(AHEAD)
    }

    /// Whether the segment after the one being filled is ready: then a full disk stops nothing yet.
    pub fn is_next_ready(&self) -> bool {
        self.next.is_some_and(|next| next.safe)
    }

    /// Makes safe all that was written, and says up to where that is.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn sync(&mut self) -> Result<Position, WriteError> {
        self.healthy()?;
        self.sync_current()?;
        Ok(self.durable)
    }

    /// Deletes segments that nobody reads any more.
    ///
    /// # Errors
    /// If the system refuses; that poisons nothing.
    pub fn remove(&mut self, segments: &[u32]) -> io::Result<()> {
        let mut first = Ok(());
        for segment in segments {
            let removed = self.disk.remove(FileName::Segment(*segment));
            // One that stays keeps none of the others.
            if first.is_ok() {
                first = removed;
            }
        }
        first
    }

    /// The disk, for what else is to be written to it.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    fn healthy(&self) -> Result<(), WriteError> {
        if self.poisoned { Err(WriteError::Poisoned) } else { Ok(()) }
    }

    fn write(&mut self, write: &Write, past_cache: bool) -> Result<(), WriteError> {
        if let Some(bytes) = write.begins {
            self.begin(write.segment, bytes.into())?;
        }
        let name = FileName::Segment(write.segment);
        self.unsynced += write.bytes();
        let offset = write.offset.into();
        let done = match past_cache {
            true => self.disk.write_past_cache(name, offset, &write.pieces),
            false => self.disk.write_at(name, offset, &write.pieces),
        };
        self.judge("writing", name, done)
    }

    /// The invariant of the log: a segment begins only when everything before it is safe.
    fn begin(&mut self, segment: u32, bytes: u64) -> Result<(), WriteError> {
        // A group that a full disk stopped comes again from its first segment on.
        if self.current.is_some_and(|current| current >= segment) {
            return Ok(());
        }
        self.sync_segment()?;
        let name = FileName::Segment(segment);
        let next = self.next.filter(|next| next.segment == segment);
        if next.is_none() {
            // A disk without room for all of it may have some for what is to be written now.
            let made = match self.disk.create(name, bytes) {
                Err(error) if !disk::may_pass(&error) => self.disk.create(name, 0),
                made => made,
            };
            self.judge("making the segment", name, made)?;
            self.next = Some(Prepared { segment, bytes, filled: 0, safe: false });
        }
        // Without all its zeros it is slower to sync, not less safe.
        if next.is_none_or(|next| !next.safe) {
            let synced = self.disk.sync_dir();
            self.synced(name, synced)?;
        }
        self.current = Some(segment);
        self.next = None;
        Ok(())
    }

    fn prepare(&mut self, segment: u32) -> Result<bool, WriteError> {
        let mut next = match self.next {
            Some(next) => next,
            None => self.set_aside(segment)?,
        };
        if !next.safe {
            let done = self.fill(&mut next);
            self.next = Some(next);
            done?;
        }
        Ok(next.safe)
    }

    /// What is set aside reads as zeros; a file system that writes them once more makes later syncs of few bytes cheaper.
    fn zeros_pay(&self) -> bool {
        self.sync_bytes < ZEROS_PAY_BELOW || !self.disk.sets_aside()
    }

    /// Makes the file of the next segment; what the disk must keep free is not touched for it.
    fn set_aside(&mut self, segment: u32) -> Result<Prepared, WriteError> {
        let (name, bytes) = (FileName::Segment(segment), u64::from(self.options.segment_bytes));
        let free = self.disk.free_bytes();
        let free = self.judge("asking for free space", name, free)?;
        if free < bytes.saturating_add(self.options.free_bytes_min) {
            return Err(WriteError::Full);
        }
        let made = self.disk.create(name, bytes);
        self.judge("making the segment", name, made)?;
        Ok(Prepared { segment, bytes, filled: 0, safe: false })
    }

    /// Writes one piece of zeros, or none where they do not pay; then its name is all that is to be made safe.
    fn fill(&mut self, next: &mut Prepared) -> Result<(), WriteError> {
        let name = FileName::Segment(next.segment);
        if self.zeros_pay() {
            let left = usize::try_from(next.bytes - next.filled).unwrap_or(usize::MAX);
            let piece = self.zeros.slice(..left.min(ZERO_BYTES));
            let bytes = piece.len() as u64;
            let done = self.disk.write_at(name, next.filled, &[piece]);
            self.judge("zero-filling", name, done)?;
            next.filled += bytes;
            let synced = self.disk.sync_data(name);
            self.synced(name, synced)?;
            if next.filled < next.bytes {
                return Ok(());
            }
        }
        let synced = self.disk.sync_dir();
        self.synced(name, synced)?;
        next.safe = true;
        Ok(())
    }

    fn sync_current(&mut self) -> Result<(), WriteError> {
        self.sync_segment()?;
        self.durable = self.written;
        Ok(())
    }

    fn sync_segment(&mut self) -> Result<(), WriteError> {
        let Some(current) = self.current.filter(|_| self.unsynced > 0) else { return Ok(()) };
        let name = FileName::Segment(current);
        let synced = self.disk.sync_data(name);
        self.synced(name, synced)?;
        // One large one among small ones says nothing of those to come.
        let counted = self.unsynced.min(2 * ZEROS_PAY_BELOW);
        self.sync_bytes = (self.sync_bytes * (AVERAGE_OVER - 1) + counted) / AVERAGE_OVER;
        self.unsynced = 0;
        Ok(())
    }

    /// Only where there was no descriptor no sync was tried.
    fn synced(&mut self, name: FileName, done: io::Result<()>) -> Result<(), WriteError> {
        let operation = "syncing";
        done.map_err(|source| match disk::is_no_descriptor(&source) {
            true => WriteError::Short { operation, name, source },
            false => self.poison(operation, name, source),
        })
    }

    fn judge<T>(
        &mut self,
        operation: &'static str,
        name: FileName,
        done: io::Result<T>,
    ) -> Result<T, WriteError> {
        done.map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => WriteError::Full,
            _ if disk::may_pass(&source) => WriteError::Short { operation, name, source },
            _ => self.poison(operation, name, source),
        })
    }

    fn poison(&mut self, operation: &'static str, name: FileName, source: io::Error) -> WriteError {
        self.poisoned = true;
        WriteError::Failed { operation, name, source }
    }
}
