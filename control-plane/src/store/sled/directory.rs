//! The directory of a store: who may use it, which store it is, and what was acknowledged last. Knows nothing of
//! what sled keeps in it.
//!
//! ```text
//!  lock       held while a process has the store open
//!  witness    a revision that was acknowledged: less in sled means that something is lost
//!  sled/      the keys
//!  identity   format number and store id; written last, so that what has one was made whole
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use serde::{Deserialize, Serialize};

use super::record::{seal, unseal};
use crate::store::{Revision, StoreError};

/// The format this program writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;
/// What is read of a lock file: a process number.
const HOLDER_BYTES_MAX: u64 = 16;

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: Flock<File>,
}

/// What `identity` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    format: u32,
    id: String,
}

/// The part of `identity` that every format has.
#[derive(Debug, Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Directory {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or [`StoreError::Open`].
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let text = path.display().to_string();
        // Keys and identities of a mesh are nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        let opened = made.and_then(|()| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"))
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Err(StoreError::Open { path: text, reason: error.to_string() }),
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                // For the message of whoever comes second; nothing else depends on it.
                let _ = note_holder(&lock);
                Ok(Self { path: path.to_owned(), _lock: lock })
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(StoreError::InUse { path: text, pid: read_holder(file) }),
            Err((_, errno)) => Err(StoreError::Open { path: text, reason: errno.to_string() }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn sled_path(&self) -> PathBuf {
        self.path.join("sled")
    }

    /// The id of the store that is here; `None` when there is none yet (a creation that was interrupted is
    /// cleared away: nobody has had an answer from it).
    ///
    /// # Errors
    /// A newer format, or parts without the rest.
    pub(super) fn identity(&self) -> Result<Option<String>, StoreError> {
        let text = match fs::read(self.path.join("identity")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.clear_interrupted_creation()?;
                return Ok(None);
            }
            Err(error) => return Err(self.refused(&error)),
        };
        let damaged = |error: serde_json::Error| self.damaged(format!("the file `identity`: {error}"));
        let AnyFormat { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > FORMAT {
            let path = self.path.display().to_string();
            return Err(StoreError::NewerFormat { path, found: format, known: FORMAT });
        }
        let identity: Identity = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Some(identity.id))
    }

    /// Says that the store is whole: after this it has an identity.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub(super) fn write_identity(&self, id: &str) -> Result<(), StoreError> {
        let identity = Identity { format: FORMAT, id: id.to_owned() };
        let write = || {
            let temporary = self.path.join("identity.new");
            let mut file = File::create(&temporary)?;
            serde_json::to_writer(&mut file, &identity)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&temporary, self.path.join("identity"))?;
            sync_directory(&self.path)?;
            // The directory itself may be new too.
            sync_directory(
                self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            )
        };
        write().map_err(|error| self.refused(&error))
    }

    /// Makes what sled created durable: its small files, and the names of all.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub(super) fn sync_sled(&self) -> Result<(), StoreError> {
        let sync = |path: &Path| -> io::Result<()> {
            for file in fs::read_dir(path)? {
                // Syncing a directory is the same call.
                File::open(file?.path())?.sync_all()?;
            }
            sync_directory(path)
        };
        sync(&self.sled_path())
            .and_then(|()| sync_directory(&self.path))
            .map_err(|error| self.refused(&error))
    }

    /// The witness, made if it is not there.
    ///
    /// # Errors
    /// Damage, or [`StoreError::Open`].
    pub(super) fn witness(&self) -> Result<Witness, StoreError> {
        let open = || {
            let path = self.path.join("witness");
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            if file.metadata()?.len() == 0 {
                file.write_all_at(&seal(&[&0_u64.to_le_bytes()]), 0)?;
                file.sync_all()?;
                sync_directory(&self.path)?;
            }
            let mut bytes = vec![0; usize::try_from(file.metadata()?.len().min(64)).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok((file, bytes))
        };
        let (file, bytes) = open().map_err(|error| self.refused(&error))?;
        let acknowledged = unseal(&bytes, "the file `witness`").and_then(|mut reader| reader.u64());
        let acknowledged = acknowledged.map_err(|bad| self.damaged(bad.to_string()))?;
        Ok(Witness { file, acknowledged })
    }

    pub(super) fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path.display().to_string(), reason }
    }

    pub(super) fn refused(&self, error: &io::Error) -> StoreError {
        StoreError::Open { path: self.path.display().to_string(), reason: error.to_string() }
    }

    fn clear_interrupted_creation(&self) -> Result<(), StoreError> {
        let sled = self.sled_path();
        if !sled.exists() {
            return Ok(());
        }
        // Only what we certainly began ourselves, and what certainly never held a transaction, may go.
        if !self.path.join("witness").exists() || self.witness()?.acknowledged > 0 {
            return Err(self.damaged("it has keys, but the file `identity` is missing".to_owned()));
        }
        fs::remove_dir_all(sled).map_err(|error| self.refused(&error))
    }
}

/// A revision that was acknowledged. It is written after each group and not synced: after a power cut it may be an
/// older one, never a newer one than sled has.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    pub(super) acknowledged: Revision,
}

impl Witness {
    /// Remembers that everything up to `revision` is durable.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn note(&mut self, revision: Revision) -> io::Result<()> {
        self.file.write_all_at(&seal(&[&revision.to_le_bytes()]), 0)?;
        self.acknowledged = revision;
        Ok(())
    }
}

fn note_holder(lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
}

fn read_holder(lock: File) -> Option<u32> {
    io::read_to_string(lock.take(HOLDER_BYTES_MAX)).ok()?.trim().parse().ok()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
