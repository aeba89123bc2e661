//! Opens the log of a virtual host: directory, lock, identity, recovery, and everything that serves it from then on.
//!
//! ```text
//!  lock ─▶ identity (made, or read) ─▶ recover ─▶ make safe what was read ─▶ remove what is of no use
//!       ─▶ fencing number + 1 ─▶ appender, writer
//! ```

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    appender::{Appender, Options},
    disk::{Disk, FileDisk, FileName, read_start, replace},
    frame::Checksums,
    identity::{Identity, IdentityError, LogId},
    lock::{Lock, LockError},
    recovery::{RecoverError, Recovered, recover},
    writer::Writer,
};

#[cfg(test)]
mod tests;

/// The file is longer for no virtual host: 255 bytes of name, escaped.
pub(crate) const IDENTITY_BYTES_MAX: usize = 16 << 10;
/// Read and written again at once.
const REWRITE_BYTES: usize = 1 << 20;
/// A longer directory name is cut and ends in a hash; file systems stop at 255 bytes.
const DIRECTORY_NAME_BYTES_MAX: usize = 200;

/// Why a log is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The directory.
    #[error("{}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// From the system.
        source: io::Error,
    },
    /// The file `identity`.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// Segments without the file that says whose they are.
    #[error("{}: there are segments but no file `identity`: restore it from a copy", path.display())]
    IdentityMissing {
        /// The directory.
        path: PathBuf,
    },
    /// It belongs to another virtual host.
    #[error("{}: this is the log of the virtual host `{found}`, not of `{wanted}`", path.display())]
    OtherVhost {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// Its files.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// A log that is ours.
#[derive(Debug)]
pub struct Opened<D> {
    /// Who it is; its fencing number is this opening's.
    pub identity: Identity,
    /// What it holds.
    pub recovered: Recovered,
    /// Takes records.
    pub appender: Appender,
    /// Writes groups.
    pub writer: Writer<D>,
    /// For reading messages back.
    pub sums: Checksums,
}

/// Opens `data_dir/mq/<virtual host>`, making it where it is missing. The lock is to be kept as long as the writer.
///
/// # Errors
/// If another process has it, if it is of a later format or another virtual host's, if it cannot be read or written.
pub fn open(data_dir: &Path, vhost: &str, options: Options) -> Result<(Lock, Opened<FileDisk>), OpenError> {
    let path = directory(data_dir, vhost);
    fs::create_dir_all(&path).map_err(|source| OpenError::Directory { path: path.clone(), source })?;
    let lock = Lock::acquire(&path)?;
    let mut random = [0; 16];
    let source = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    source.map_err(|source| OpenError::Directory { path: "/dev/urandom".into(), source })?;
    let disk = FileDisk::new(&path).map_err(|source| OpenError::Directory { path: path.clone(), source })?;
    let opened = open_disk(disk, &path, vhost, LogId::from_random(random), options)?;
    Ok((lock, opened))
}

/// Where the log of a virtual host lies.
pub fn directory(data_dir: &Path, vhost: &str) -> PathBuf {
    data_dir.join("mq").join(directory_name(vhost))
}

/// The name percent-encoded, all but letters, digits, `-` and `_`.
fn directory_name(vhost: &str) -> String {
    let mut name = String::new();
    for byte in vhost.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.len() > DIRECTORY_NAME_BYTES_MAX {
        name.truncate(DIRECTORY_NAME_BYTES_MAX);
        let _ = write!(name, "~{:016x}", fnv(vhost.as_bytes()));
    }
    name
}

/// FNV-1a of 64 bits: stable over versions; the file `identity` has the whole name.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Everything but directory and lock. `fresh` is the id of a log that is not there yet.
pub(crate) fn open_disk<D: Disk>(
    mut disk: D,
    path: &Path,
    vhost: &str,
    fresh: LogId,
    options: Options,
) -> Result<Opened<D>, OpenError> {
    let failed = |source| OpenError::Directory { path: path.to_owned(), source };
    let mut identity = identity(&mut disk, path, vhost, fresh)?;
    let mut recovered = recover(&mut disk, &identity.log)?;
    make_safe(&mut disk, &mut recovered).map_err(failed)?;
    remove_useless(&mut disk, &recovered).map_err(failed)?;
    identity.fencing += 1;
    let content = identity.encode().into();
    replace(&mut disk, FileName::IdentityNew, FileName::Identity, content).map_err(failed)?;
    let (log, end) = (identity.log, recovered.end);
    let appender = Appender::new(log, identity.fencing, end, recovered.next_segment, options);
    let writer = Writer::new(disk, options, end, recovered.next_segment);
    Ok(Opened { sums: Checksums::new(&log), identity, recovered, appender, writer })
}

/// Before anything new is written: on a full disk there may be no room for it otherwise.
fn remove_useless<D: Disk>(disk: &mut D, recovered: &Recovered) -> io::Result<()> {
    for segment in &recovered.useless {
        disk.remove(FileName::Segment(*segment))?;
    }
    // It must not take the place of the good one before it.
    if recovered.damage.iter().any(|damage| damage.name == FileName::Checkpoint) {
        disk.remove(FileName::Checkpoint)?;
    }
    disk.remove(FileName::CheckpointNew)?;
    disk.remove(FileName::IdentityNew)
}

fn identity<D: Disk>(disk: &mut D, path: &Path, vhost: &str, fresh: LogId) -> Result<Identity, OpenError> {
    let failed = |source| OpenError::Directory { path: path.to_owned(), source };
    let names = disk.list().map_err(failed)?;
    if !names.contains(&FileName::Identity) {
        if names.iter().any(|name| matches!(name, FileName::Segment(_))) {
            return Err(OpenError::IdentityMissing { path: path.to_owned() });
        }
        return Ok(Identity { log: fresh, fencing: 0, vhost: vhost.to_owned() });
    }
    let text = read_start(disk, FileName::Identity, IDENTITY_BYTES_MAX).map_err(failed)?;
    let identity = Identity::decode(&String::from_utf8_lossy(&text))
        .map_err(|source| OpenError::Identity { path: path.to_owned(), source })?;
    if identity.vhost != vhost {
        let (found, wanted) = (identity.vhost, vhost.to_owned());
        return Err(OpenError::OtherVhost { path: path.to_owned(), found, wanted });
    }
    Ok(identity)
}

/// After a crash of the process alone, what was read may still be in the system's memory only, and after a failed sync
/// no later one would write it; but the next segment will say that it is safe. So what is not known to be is written
/// again and synced. Space behind the end is given back.
fn make_safe<D: Disk>(disk: &mut D, recovered: &mut Recovered) -> io::Result<()> {
    let last = recovered.end.segment();
    let name = FileName::Segment(last);
    if recovered.end.is_none() || !disk.list()?.contains(&name) {
        return disk.sync_dir();
    }
    if !recovered.torn {
        disk.truncate(name, recovered.end.offset().into())?;
        recovered.state.segments.begin(last, recovered.end.offset().into());
    }
    let from = if recovered.safe.segment() == last { recovered.safe.offset() } else { 0 };
    rewrite(disk, name, from.into(), recovered.end.offset().into())?;
    disk.sync_data(name)?;
    disk.sync_dir()
}

fn rewrite<D: Disk>(disk: &mut D, name: FileName, from: u64, to: u64) -> io::Result<()> {
    let mut offset = from;
    while offset < to {
        let bytes = usize::try_from(to - offset).unwrap_or(usize::MAX).min(REWRITE_BYTES);
        let mut buffer = vec![0; bytes];
        let read = disk.read_at(name, offset, &mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        buffer.truncate(read);
        disk.write_at(name, offset, &[buffer.into()])?;
        offset += read as u64;
    }
    Ok(())
}
