//! Where a mesh keeps what it has on disk: `.weft/<name>/` beside its file. It owns the lock that keeps two
//! `weft up` of one mesh apart, the status file, and the pointer by which `weft status` finds the control
//! plane of the mesh that was started last.
//!
//! ```text
//!  .weft/control-plane            address of the last mesh's control plane, while it is up
//!  .weft/<name>/lock              held while up; holds the process id
//!  .weft/<name>/status.json       what runs where
//!  .weft/<name>/control-plane/    its --data-dir
//!  .weft/<name>/<instance>/       a sidecar's --data-dir
//! ```

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

/// The directory beside the mesh's file.
const DIR: &str = ".weft";
/// The pointer's name in it.
const POINTER: &str = "control-plane";
/// The most that is read of a pointer, in bytes.
const POINTER_BYTES_MAX: u64 = 1_024;

/// The directory of a mesh, locked.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    pointers: Vec<PathBuf>,
    _lock: Flock<fs::File>,
}

impl StateDir {
    /// Makes and locks the directory: `given`, or that of the mesh beside its file.
    pub(crate) fn open(
        given: Option<&Path>,
        file_dir: &Path,
        here: &Path,
        mesh: &str,
    ) -> anyhow::Result<Self> {
        let path = given.map_or_else(|| file_dir.join(DIR).join(mesh), |dir| here.join(dir));
        fs::create_dir_all(&path).with_context(|| {
            format!("cannot make {}: give a directory that you may write as --state-dir", path.display())
        })?;
        if given.is_none() {
            keep_out_of_git(&file_dir.join(DIR))?;
        }
        let lock = lock(&path.join("lock"), mesh, &path)?;
        let mut pointers = vec![here.join(DIR).join(POINTER)];
        if file_dir != here {
            pointers.push(file_dir.join(DIR).join(POINTER));
        }
        Ok(Self { path, pointers, _lock: lock })
    }

    /// The `--data-dir` of a process.
    pub(crate) fn of(&self, process: &str) -> PathBuf {
        self.path.join(process)
    }

    /// Where the status stands.
    pub(crate) fn status_file(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// Says where the control plane is, in the working directory and beside the file.
    pub(crate) fn point(&self, address: &str) -> anyhow::Result<()> {
        for pointer in &self.pointers {
            let parent = pointer.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            keep_out_of_git(parent)?;
            replace(pointer, format!("{address}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Takes back what [`Self::point`] said, unless another mesh has spoken since.
    pub(crate) fn unpoint(&self, address: &str) {
        for pointer in &self.pointers {
            if read_pointer(pointer).as_deref() == Some(address) {
                let _gone_already = fs::remove_file(pointer);
            }
        }
    }
}

/// The address of the last mesh that was started in `here` or above, and the file that says so.
pub(crate) fn find_pointer(here: &Path) -> Option<(String, PathBuf)> {
    here.ancestors().map(|dir| dir.join(DIR).join(POINTER)).find_map(|pointer| {
        let address = read_pointer(&pointer)?;
        Some((address, pointer))
    })
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::write(&fresh, content).and_then(|()| fs::rename(&fresh, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// What is in our directory is nobody's source.
fn keep_out_of_git(dir: &Path) -> anyhow::Result<()> {
    let file = dir.join(".gitignore");
    if file.exists() { Ok(()) } else { replace(&file, b"*\n") }
}

fn read_pointer(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(POINTER_BYTES_MAX).read_to_string(&mut text).ok()?;
    let address = text.trim();
    (!address.is_empty()).then(|| address.to_owned())
}

fn lock(path: &Path, mesh: &str, dir: &Path) -> anyhow::Result<Flock<fs::File>> {
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)
                .and_then(|()| write!(lock, "{}", std::process::id()))
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(lock)
        }
        Err((_, Errno::EWOULDBLOCK)) => {
            let holder = fs::read_to_string(path).unwrap_or_default();
            bail!(
                "the mesh {mesh} is up already (process {}, {}): stop it first, or give another --state-dir",
                holder.trim(),
                dir.display()
            )
        }
        Err((_, errno)) => {
            Err(io::Error::from(errno)).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_mesh_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(None, dir.path(), dir.path(), "shop").unwrap();
        let error = StateDir::open(None, dir.path(), dir.path(), "shop").unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        StateDir::open(None, dir.path(), dir.path(), "shop").unwrap();
    }

    #[test]
    fn the_pointer_is_found_from_below_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let state = StateDir::open(None, dir.path(), dir.path(), "shop").unwrap();
        state.point("http://127.0.0.1:1").unwrap();
        assert_eq!(find_pointer(&below).unwrap().0, "http://127.0.0.1:1");
        state.unpoint("http://127.0.0.1:2");
        assert!(find_pointer(&below).is_some());
        state.unpoint("http://127.0.0.1:1");
        assert!(find_pointer(dir.path()).is_none());
    }
}
