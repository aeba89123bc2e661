//! A disk that can be cut from power and can be full: a file with ext4 in it, mounted by a loop device. Everything is
//! taken away again when it is dropped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// `EXT4_IOC_SHUTDOWN` (linux, fs/ext4/ext4.h: `_IOR('X', 125, __u32)`) with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from
/// now on nothing reaches the device, not even what the journal has in memory. A script, as our crates are without
/// `unsafe`.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// A mounted file system of its own.
pub(crate) struct LoopDisk {
    directory: TempDir,
    mounted: bool,
}

impl LoopDisk {
    /// Makes and mounts one; where that is not possible says why, and gives `None`.
    ///
    /// # Errors
    /// When it should have been possible.
    pub(crate) fn new_or_skip(bytes: u64) -> anyhow::Result<Option<Self>> {
        match Self::new(bytes)? {
            Ok(disk) => Ok(Some(disk)),
            Err(reason) => {
                writeln!(std::io::stdout(), "skipped: {reason}")?;
                Ok(None)
            }
        }
    }

    fn new(bytes: u64) -> anyhow::Result<Result<Self, String>> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Err("mounting a disk of its own needs root".to_owned()));
        }
        let mut disk = Self { directory: TempDir::new()?, mounted: false };
        File::create(disk.image())?.set_len(bytes)?;
        fs::create_dir(disk.root())?;
        // Containers often have root, but no loop device.
        let made = run("mkfs.ext4", &["-q".as_ref(), disk.image().as_os_str()]).and_then(|()| disk.mount());
        Ok(made.map(|()| disk).map_err(|error| format!("{error:#}")))
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Mounts it, which replays the file system's journal.
    ///
    /// # Errors
    /// What `mount` said.
    pub(crate) fn mount(&mut self) -> anyhow::Result<()> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image().as_os_str(), self.root().as_os_str()])?;
        self.mounted = true;
        Ok(())
    }

    /// Nothing reaches the disk any more, from one moment to the next.
    ///
    /// # Errors
    /// What the script said.
    pub(crate) fn cut_power(&self) -> anyhow::Result<()> {
        run("python3", &["-c".as_ref(), SHUTDOWN.as_ref(), self.root().as_os_str()])
    }

    /// Unmounts it; nobody may have a file open there.
    ///
    /// # Errors
    /// What `umount` said.
    pub(crate) fn unmount(&mut self) -> anyhow::Result<()> {
        run("umount", &[self.root().as_os_str()])?;
        self.mounted = false;
        Ok(())
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily, so that the mount goes even if a failed test has left a file open.
            let _ = run("umount", &["-l".as_ref(), self.root().as_os_str()]);
        }
    }
}

fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
