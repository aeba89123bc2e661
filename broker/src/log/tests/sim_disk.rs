//! A disk that loses power. What was synced is there afterwards; of what was not, each sector may be, by seed. It can
//! also be full, fail to sync, and lose power at any step.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use nix::errno::Errno;

use crate::log::disk::{Disk, FileName};

/// What a power cut writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// What the kernel keeps and writes as one.
const PAGE_BYTES: usize = 4096;

/// One machine's disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: Vec<File>,
    names: BTreeMap<FileName, usize>,
    /// Names as they are safe, and what happened to them since, in order.
    safe_names: BTreeMap<FileName, usize>,
    changes: Vec<BTreeMap<FileName, usize>>,
    room: Option<u64>,
    /// Steps until the power goes.
    fuse: Option<u64>,
    fail_sync: bool,
    /// After so many steps one fails with this number of an error.
    refusal: Option<(u64, i32)>,
    off: bool,
    rng: fastrand::Rng,
    steps: u64,
}

#[derive(Debug, Default, Clone)]
struct File {
    now: Vec<u8>,
    safe: Vec<u8>,
    /// A failed sync leaves pages that the kernel believes clean: no later sync writes them until they change again.
    lost: BTreeSet<usize>,
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.with(|inner| inner.rng = fastrand::Rng::with_seed(seed));
        disk
    }

    /// The power goes after so many steps.
    pub(crate) fn cut_after(&self, steps: u64) {
        self.with(|inner| inner.fuse = Some(steps));
    }

    /// Room for so many bytes in all files.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.with(|inner| inner.room = bytes);
    }

    /// The next sync fails.
    pub(crate) fn fail_next_sync(&self) {
        self.with(|inner| inner.fail_sync = true);
    }

    /// The system refuses one step, after so many others, and nothing of it is done.
    pub(crate) fn refuse_after(&self, steps: u64, error: Errno) {
        self.with(|inner| inner.refusal = Some((steps, error as i32)));
    }

    pub(crate) fn steps(&self) -> u64 {
        self.with(|inner| inner.steps)
    }

    /// Whether the power is off.
    pub(crate) fn is_off(&self) -> bool {
        self.with(|inner| inner.off)
    }

    /// Loses power, if it has not, and comes back with what survived.
    pub(crate) fn crash(&self) {
        self.with(Inner::crash);
    }

    /// The process dies; the machine does not.
    pub(crate) fn kill(&self) {
        self.with(|inner| {
            inner.fuse = None;
            inner.fail_sync = false;
        });
    }

    /// Changes bytes behind the log's back.
    pub(crate) fn damage(&self, name: FileName, offset: usize, bytes: usize) {
        self.with(|inner| {
            let file = inner.names[&name];
            let file = &mut inner.files[file];
            for at in offset..(offset + bytes).min(file.now.len()) {
                file.now[at] ^= 0x5a;
            }
            file.safe = file.now.clone();
        });
    }

    pub(crate) fn content(&self, name: FileName) -> Vec<u8> {
        self.with(|inner| inner.files[inner.names[&name]].now.clone())
    }

    pub(crate) fn set_content(&self, name: FileName, content: Vec<u8>) {
        self.with(|inner| {
            let file = inner.names[&name];
            inner.files[file] = File { now: content.clone(), safe: content, ..File::default() };
        });
    }

    pub(crate) fn names(&self) -> Vec<FileName> {
        self.with(|inner| inner.names.keys().copied().collect())
    }

    /// A disk of its own with the same content.
    pub(crate) fn fork(&self) -> Self {
        self.with(|inner| {
            let fork = Self::default();
            fork.with(|other| {
                other.files = inner.files.clone();
                other.names = inner.names.clone();
                other.safe_names = inner.safe_names.clone();
                other.changes = inner.changes.clone();
                other.rng = inner.rng.clone();
            });
            fork
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }
}

impl File {
    fn differs(&self, page: usize) -> bool {
        let range = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
        let of = |bytes: &[u8]| bytes.get(range.start..range.end.min(bytes.len())).map(<[u8]>::to_vec);
        of(&self.now) != of(&self.safe)
    }
}

impl Inner {
    /// Counts a step that changes something; `false` if the power goes in the middle of it.
    fn step(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        self.steps += 1;
        match self.refusal.take() {
            Some((0, error)) => return Err(io::Error::from_raw_os_error(error)),
            later => self.refusal = later.map(|(steps, error)| (steps - 1, error)),
        }
        match &mut self.fuse {
            Some(0) => {
                self.off = true;
                Ok(false)
            }
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    fn whole_step(&mut self) -> io::Result<()> {
        if self.step()? { Ok(()) } else { Err(io::Error::other("the power is off")) }
    }

    fn file(&mut self, name: FileName) -> io::Result<&mut File> {
        let at = *self.names.get(&name).ok_or(ErrorKind::NotFound)?;
        Ok(&mut self.files[at])
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].now.len() as u64).sum()
    }

    fn rename_as(&mut self, names: BTreeMap<FileName, usize>) {
        self.names = names.clone();
        self.changes.push(names);
    }

    fn crash(&mut self) {
        let kept = self.rng.usize(..=self.changes.len());
        let names = if kept == 0 { self.safe_names.clone() } else { self.changes[kept - 1].clone() };
        self.names = names.clone();
        self.safe_names = names;
        self.changes.clear();
        for (at, file) in self.files.iter_mut().enumerate() {
            if !self.names.values().any(|named| *named == at) {
                *file = File::default();
            }
            if file.now == file.safe {
                continue;
            }
            // The length is one thing, each sector another.
            let len = if self.rng.bool() { file.now.len() } else { file.safe.len() };
            let all_or_none = self.rng.u8(..4);
            let mut after = vec![0; len];
            for at in (0..len).step_by(SECTOR_BYTES) {
                let new = match all_or_none {
                    0 => true,
                    1 => false,
                    _ => self.rng.bool(),
                };
                let from = if new { &file.now } else { &file.safe };
                let end = (at + SECTOR_BYTES).min(len).min(from.len());
                if at < end {
                    after[at..end].copy_from_slice(&from[at..end]);
                }
            }
            *file = File { now: after.clone(), safe: after, ..File::default() };
        }
        self.off = false;
        self.fuse = None;
        self.fail_sync = false;
    }
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}

impl Disk for SimDisk {
    fn list(&mut self) -> io::Result<Vec<FileName>> {
        self.with(|inner| {
            let names = inner.names.keys().copied().collect();
            if inner.off { Err(io::Error::other("the power is off")) } else { Ok(names) }
        })
    }

    fn create(&mut self, name: FileName, bytes: u64) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            if inner.names.contains_key(&name) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if inner.room.is_some_and(|room| inner.used() + bytes > room) {
                return Err(ErrorKind::StorageFull.into());
            }
            inner.files.push(File { now: vec![0; index(bytes)], ..File::default() });
            let mut names = inner.names.clone();
            names.insert(name, inner.files.len() - 1);
            inner.rename_as(names);
            Ok(())
        })
    }

    fn write_at(&mut self, name: FileName, offset: u64, pieces: &[Bytes]) -> io::Result<()> {
        self.with(|inner| {
            let mut whole: Vec<u8> = pieces.iter().flatten().copied().collect();
            let complete = inner.step()?;
            let offset = index(offset);
            let before = inner.file(name)?.now.len();
            let grows = (offset + whole.len()).saturating_sub(before) as u64;
            let full = grows > 0 && inner.room.is_some_and(|room| inner.used() + grows > room);
            if !complete || full {
                whole.truncate(inner.rng.usize(..=whole.len()));
            }
            let file = inner.file(name)?;
            if file.now.len() < offset + whole.len() {
                file.now.resize(offset + whole.len(), 0);
            }
            file.now[offset..offset + whole.len()].copy_from_slice(&whole);
            file.lost
                .retain(|page| *page < offset / PAGE_BYTES || *page > (offset + whole.len()) / PAGE_BYTES);
            match (complete, full) {
                (false, _) => Err(io::Error::other("the power is off")),
                (true, true) => Err(ErrorKind::StorageFull.into()),
                (true, false) => Ok(()),
            }
        })
    }

    fn read_at(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(|inner| {
            if inner.off {
                return Err(io::Error::other("the power is off"));
            }
            let file = &inner.file(name)?.now;
            let from = file.get(index(offset)..).unwrap_or_default();
            let read = from.len().min(into.len());
            into[..read].copy_from_slice(&from[..read]);
            Ok(read)
        })
    }

    fn len(&mut self, name: FileName) -> io::Result<u64> {
        self.with(|inner| Ok(inner.file(name)?.now.len() as u64))
    }

    fn sync_data(&mut self, name: FileName) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            let fails = std::mem::take(&mut inner.fail_sync);
            let file = inner.file(name)?;
            if fails {
                file.lost = (0..file.now.len() / PAGE_BYTES + 1).filter(|page| file.differs(*page)).collect();
                return Err(io::Error::other("the sync failed"));
            }
            let before = std::mem::replace(&mut file.safe, file.now.clone());
            for page in &file.lost {
                for at in page * PAGE_BYTES..((page + 1) * PAGE_BYTES).min(file.safe.len()) {
                    file.safe[at] = before.get(at).copied().unwrap_or(0);
                }
            }
            Ok(())
        })
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            inner.safe_names = inner.names.clone();
            inner.changes.clear();
            Ok(())
        })
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            let mut names = inner.names.clone();
            let file = names.remove(&from).ok_or(ErrorKind::NotFound)?;
            names.insert(to, file);
            inner.rename_as(names);
            Ok(())
        })
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            let mut names = inner.names.clone();
            if names.remove(&name).is_some() {
                inner.rename_as(names);
            }
            Ok(())
        })
    }

    fn truncate(&mut self, name: FileName, bytes: u64) -> io::Result<()> {
        self.with(|inner| {
            inner.whole_step()?;
            inner.file(name)?.now.truncate(index(bytes));
            Ok(())
        })
    }

    fn free_bytes(&mut self) -> io::Result<u64> {
        self.with(|inner| Ok(inner.room.map_or(u64::MAX, |room| room.saturating_sub(inner.used()))))
    }
}
