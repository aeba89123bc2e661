//! Large writes past the page cache (`O_DIRECT`, open(2)). What the cache would have to find room for and copy is copied
//! once, into a buffer that stays, and goes to the device from there: half of what a large write costs. Whole blocks
//! only; the ends of a write, which share their blocks with what comes before and after, go through the cache.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use bytes::Bytes;
use nix::{errno::Errno, fcntl::OFlag};

/// A block of every device that matters, and mostly a page of the cache.
const BLOCK_BYTES: usize = 4 << 10;
/// Written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// What a smaller write saves, the wait for the device costs.
pub(super) const DIRECT_BYTES_MIN: usize = if cfg!(test) { 3 * BLOCK_BYTES } else { 128 << 10 };

/// Writes that way, as long as the file system lets it.
#[derive(Debug, Default)]
pub(super) struct Direct {
    /// Begins somewhere before a block's boundary.
    buffer: Vec<u8>,
    is_refused: bool,
}

/// One file, twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doors<'a> {
    pub(super) cached: &'a File,
    pub(super) direct: &'a File,
}

impl Direct {
    /// Whether a write of so many bytes should go that way.
    pub(super) const fn is_for(&self, bytes: usize) -> bool {
        bytes >= DIRECT_BYTES_MIN && !self.is_refused
    }

    /// The file that whole blocks are written to. None where it is not to be had: the cache takes it then, and where the
    /// file system has no such way at all, what follows, too.
    pub(super) fn open(&mut self, path: &Path) -> Option<File> {
        let opened = File::options().write(true).custom_flags(OFlag::O_DIRECT.bits()).open(path);
        self.is_refused |= opened.as_ref().is_err_and(is_refusal);
        opened.ok()
    }

    /// Writes all pieces one after the other. `false` = the file system refused: nothing, or a part, is written, and all of
    /// it is to be written through the cache, as all that follows.
    ///
    /// # Errors
    /// From the system.
    pub(super) fn write(&mut self, doors: Doors<'_>, mut offset: u64, pieces: &[Bytes]) -> io::Result<bool> {
        let mut left: usize = pieces.iter().map(Bytes::len).sum();
        let mut feed = pieces.iter().map(AsRef::as_ref);
        let mut piece: &[u8] = &[];
        while left > 0 {
            let into_block = usize::try_from(offset % BLOCK_BYTES as u64).unwrap_or(0);
            let (bytes, direct) = match left {
                _ if into_block > 0 => ((BLOCK_BYTES - into_block).min(left), false),
                ..BLOCK_BYTES => (left, false),
                _ => (BUFFER_BYTES.min(left - left % BLOCK_BYTES), true),
            };
            let room = self.room(bytes).ok_or(io::ErrorKind::OutOfMemory)?;
            fill(room, &mut piece, &mut feed);
            let file = if direct { doors.direct } else { doors.cached };
            match file.write_all_at(room, offset) {
                Ok(()) => {}
                Err(error) if direct && is_refusal(&error) => {
                    self.is_refused = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            offset += bytes as u64;
            left -= bytes;
        }
        Ok(true)
    }

    /// So many bytes that begin at a block's boundary.
    fn room(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.buffer.resize(BUFFER_BYTES + BLOCK_BYTES, 0);
        let start = self.buffer.as_ptr().align_offset(BLOCK_BYTES);
        self.buffer.get_mut(start..start + bytes)
    }
}

/// What a file system without it says.
fn is_refusal(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    matches!(known, Some(Errno::EINVAL | Errno::EOPNOTSUPP))
}

/// Copies what follows, as much as fits.
fn fill<'a>(mut room: &mut [u8], piece: &mut &'a [u8], feed: &mut impl Iterator<Item = &'a [u8]>) {
    while !room.is_empty() {
        if piece.is_empty() {
            let Some(next) = feed.next() else { return };
            *piece = next;
        }
        let (now, later) = piece.split_at(piece.len().min(room.len()));
        let (into, rest) = room.split_at_mut(now.len());
        into.copy_from_slice(now);
        (room, *piece) = (rest, later);
    }
}
