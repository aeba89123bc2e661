//! What the log asks of a disk: a directory of few files with known names. The real one is `file`; tests have one that
//! loses power.

use std::{io, str::FromStr};

use bytes::Bytes;
use nix::errno::Errno;

mod direct;
pub mod file;

pub use file::FileDisk;

/// The files of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// Records.
    Segment(u32),
    /// The last checkpoint.
    Checkpoint,
    /// The one before it.
    CheckpointOld,
    /// One being written.
    CheckpointNew,
    /// Who the log is.
    Identity,
    /// The same, being written.
    IdentityNew,
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(number) => write!(f, "{number:08}.seg"),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::CheckpointOld => f.write_str("checkpoint.old"),
            Self::CheckpointNew => f.write_str("checkpoint.new"),
            Self::Identity => f.write_str("identity"),
            Self::IdentityNew => f.write_str("identity.new"),
        }
    }
}

/// A name that is none of the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOurs;

impl FromStr for FileName {
    type Err = NotOurs;

    fn from_str(name: &str) -> Result<Self, NotOurs> {
        let fixed =
            [Self::Checkpoint, Self::CheckpointOld, Self::CheckpointNew, Self::Identity, Self::IdentityNew];
        let segment = || name.strip_suffix(".seg")?.parse().ok().map(Self::Segment);
        let mut all = fixed.into_iter().chain(segment());
        all.find(|file| file.to_string() == name).ok_or(NotOurs)
    }
}

/// A directory and its files. Errors are the system's; `ErrorKind::StorageFull` is what a full disk says.
pub trait Disk {
    /// The log's files that are there; others are passed over.
    ///
    /// # Errors
    /// From the system, as for all below.
    fn list(&mut self) -> io::Result<Vec<FileName>>;
    /// Makes a file that must not be there, with room for so many bytes set aside, which read as zeros. After an error
    /// it is not there.
    ///
    /// # Errors
    /// `StorageFull` without the room.
    fn create(&mut self, name: FileName, bytes: u64) -> io::Result<()>;
    /// Whether the room of files that were made is truly set aside. Where it is not, only what was written has it.
    fn sets_aside(&self) -> bool {
        true
    }
    /// Writes all pieces one after the other.
    ///
    /// # Errors
    /// After one, any part of it may be written.
    fn write_at(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<()>;
    /// The same for what is not read back soon: where much comes at once and the system has a way past its cache of files,
    /// it goes that way.
    ///
    /// # Errors
    /// As for [`Self::write_at`].
    fn write_past_cache(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        self.write_at(name, offset, pieces)
    }
    /// Fills `into`; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// From the system.
    fn read_at(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Its bytes.
    ///
    /// # Errors
    /// From the system.
    fn len(&mut self, name: FileName) -> io::Result<u64>;
    /// The file's contents survive a power cut from here on.
    ///
    /// # Errors
    /// After one, nothing is known of what was written since the last success.
    fn sync_data(&mut self, name: FileName) -> io::Result<()>;
    /// The same for names: files made, renamed and removed.
    ///
    /// # Errors
    /// As for [`Self::sync_data`].
    fn sync_dir(&mut self) -> io::Result<()>;
    /// Gives a file another name, replacing what has it.
    ///
    /// # Errors
    /// From the system.
    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()>;
    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// From the system.
    fn remove(&mut self, name: FileName) -> io::Result<()>;
    /// Cuts a file to so many bytes.
    ///
    /// # Errors
    /// From the system.
    fn truncate(&mut self, name: FileName, bytes: u64) -> io::Result<()>;
    /// Bytes that may still be written to the file system.
    ///
    /// # Errors
    /// From the system.
    fn free_bytes(&mut self) -> io::Result<u64>;
}

/// Whether the system was short of something else than room for a moment, or was interrupted: the same may succeed later.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    is_no_descriptor(error) || matches!(known, Some(Errno::ENOMEM | Errno::EINTR))
}

/// Whether the system had no descriptor for a file: it was not opened, and nothing was done to it.
pub(crate) fn is_no_descriptor(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    matches!(known, Some(Errno::EMFILE | Errno::ENFILE))
}

/// Replaces a file as a whole, by way of another name: after a crash it is the old one or the new one.
///
/// # Errors
/// From the system; the old one is there.
pub(crate) fn replace<D: Disk>(disk: &mut D, by: FileName, name: FileName, content: Bytes) -> io::Result<()> {
    disk.remove(by)?;
    disk.create(by, 0)?;
    disk.write_at(by, 0, &[content])?;
    disk.sync_data(by)?;
    disk.rename(by, name)?;
    disk.sync_dir()
}

/// The whole of a small file, at most so many bytes of it.
///
/// # Errors
/// From the system.
pub(crate) fn read_start<D: Disk>(disk: &mut D, name: FileName, bytes_max: usize) -> io::Result<Vec<u8>> {
    let len = usize::try_from(disk.len(name)?).unwrap_or(usize::MAX).min(bytes_max);
    let mut content = vec![0; len];
    let read = disk.read_at(name, 0, &mut content)?;
    content.truncate(read);
    Ok(content)
}
