//! The data directory: made, and held by one sidecar at a time. What is in it is its owners'.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::config::MESH_DIR;

/// Locked while a sidecar runs; holds its process id, for people.
const LOCK_FILE: &str = "lock";

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataDirError {
    /// Not made, not written.
    #[error("{}: {source}; give --data-dir a folder that this user may write", path.display())]
    Io {
        /// What was tried.
        path: PathBuf,
        /// From the system.
        source: io::Error,
    },
    /// Somebody has it.
    #[error(
        "{} is in use by another sidecar{holder}: stop that one, or give this one its own --instance or --data-dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// ` (process 123)`, or empty.
        holder: String,
    },
}

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes it where it is missing, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |at: &Path| {
            let path = at.to_owned();
            move |source| DataDirError::Io { path, source }
        };
        let mesh = path.join(MESH_DIR);
        fs::create_dir_all(&mesh).map_err(failed(&mesh))?;
        let file = mesh.join(LOCK_FILE);
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(failed(&file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { path: path.into(), holder: holder(lock) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(&file)(source)),
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write(&mut lock).map_err(failed(&file))?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn holder(mut lock: File) -> String {
    let mut pid = String::new();
    match lock.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!(" (process {})", pid.trim()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_sidecar_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        assert!(error.contains("--data-dir"), "{error}");
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_says_what_to_do() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(DataDir::open(&path).unwrap_err().to_string().contains("give --data-dir a folder"));
    }
}
