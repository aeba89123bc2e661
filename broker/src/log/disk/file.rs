//! A directory of the system. It keeps a few files open, and knows nothing of what is in them.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, ErrorKind, IoSlice},
    os::{fd::AsFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::{statvfs::statvfs, uio::pwritev},
};

use super::{
    Disk, FileName,
    direct::{Direct, Doors},
};

#[cfg(test)]
mod tests;

/// Files kept open: the segment being filled, the one prepared, the checkpoint, some that are read.
const OPEN_FILES_MAX: usize = 16;
/// Pieces that one call takes (`IOV_MAX` of writev(2)).
const PIECES_MAX: usize = 1_024;

/// A [`Disk`] on the file system.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    /// Kept open, so that a sync of it never wants for a descriptor.
    handle: File,
    /// The most recently used last.
    open: VecDeque<(FileName, File)>,
    /// Whether room was set aside for all files; else they are long without it.
    sets_aside: bool,
    direct: Direct,
    /// The file that was written to past the cache last.
    direct_file: Option<(FileName, File)>,
}

impl FileDisk {
    /// The log in this directory.
    ///
    /// # Errors
    /// If it is not there, or not to be opened.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let handle = File::open(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            handle,
            open: VecDeque::new(),
            sets_aside: true,
            direct: Direct::default(),
            direct_file: None,
        })
    }

    /// Closes a file that somebody else is about to remove: its space is free only then.
    pub fn close(&mut self, name: FileName) {
        self.open.retain(|(open, _)| *open != name);
        self.direct_file.take_if(|(open, _)| *open == name);
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.directory.join(name.to_string())
    }

    fn file(&mut self, name: FileName) -> io::Result<&File> {
        let place = self.open.iter().rposition(|(open, _)| *open == name);
        let entry = match place.and_then(|place| self.open.remove(place)) {
            Some(entry) => entry,
            None => (name, open(&self.path(name))?),
        };
        self.keep(entry);
        self.open.back().map(|(_, file)| file).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// `false` = not to be had.
    fn write_directly(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<bool> {
        self.file(name)?;
        if self.direct_file.as_ref().is_none_or(|(open, _)| *open != name) {
            self.direct_file = self.direct.open(&self.path(name)).map(|file| (name, file));
        }
        match (self.open.back(), &self.direct_file) {
            (Some((_, cached)), Some((_, direct))) => {
                self.direct.write(Doors { cached, direct }, offset, pieces)
            }
            _ => Ok(false),
        }
    }

    fn keep(&mut self, entry: (FileName, File)) {
        if self.open.len() >= OPEN_FILES_MAX {
            self.open.pop_front();
        }
        self.open.push_back(entry);
    }
}

/// For reading and writing; for reading alone where the file may not be written, as the offline view's.
fn open(path: &Path) -> io::Result<File> {
    match File::options().read(true).write(true).open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            File::open(path)
        }
        opened => opened,
    }
}

impl Disk for FileDisk {
    fn list(&mut self) -> io::Result<Vec<FileName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            names.extend(entry?.file_name().to_str().and_then(|name| name.parse::<FileName>().ok()));
        }
        Ok(names)
    }

    fn create(&mut self, name: FileName, bytes: u64) -> io::Result<()> {
        let path = self.path(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        match set_aside(&file, bytes) {
            Ok(has_room) => self.sets_aside &= has_room,
            Err(error) => {
                let _ = fs::remove_file(&path);
                return Err(error);
            }
        }
        self.close(name);
        self.keep((name, file));
        Ok(())
    }

    fn sets_aside(&self) -> bool {
        self.sets_aside
    }

    fn write_at(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        let file = self.file(name)?;
        if let [piece] = pieces {
            return file.write_all_at(piece, offset);
        }
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        write_all_vectored_at(file, &mut slices, offset)
    }

    fn write_past_cache(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        let bytes = pieces.iter().map(Bytes::len).sum();
        if self.direct.is_for(bytes) && self.write_directly(name, offset, pieces)? {
            return Ok(());
        }
        self.write_at(name, offset, pieces)
    }

    fn read_at(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name)?;
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn len(&mut self, name: FileName) -> io::Result<u64> {
        Ok(self.file(name)?.metadata()?.len())
    }

    fn sync_data(&mut self, name: FileName) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        self.close(from);
        self.close(to);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        self.close(name);
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn truncate(&mut self, name: FileName, bytes: u64) -> io::Result<()> {
        self.file(name)?.set_len(bytes)
    }

    fn free_bytes(&mut self) -> io::Result<u64> {
        let space = statvfs(&self.directory)?;
        Ok(space.blocks_available().saturating_mul(space.fragment_size()))
    }
}

/// One call for many pieces: each call locks the file and begins a transaction.
fn write_all_vectored_at(file: &File, mut left: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    loop {
        let pieces = left.get(..PIECES_MAX).unwrap_or(left);
        let at = i64::try_from(offset).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let written = match pwritev(file, pieces, at) {
            Ok(written) => written,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        // Empty pieces at the front go with it.
        IoSlice::advance_slices(&mut left, written);
        if left.is_empty() {
            return Ok(());
        }
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
    }
}

/// Where the file system cannot, the file is long and has no room (`false`): the zeros that follow will find out.
fn set_aside(file: &File, bytes: u64) -> io::Result<bool> {
    if bytes == 0 {
        return Ok(true);
    }
    let len = i64::try_from(bytes).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    match fallocate(file.as_fd(), FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(true),
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => file.set_len(bytes).map(|()| false),
        Err(error) => Err(error.into()),
    }
}
