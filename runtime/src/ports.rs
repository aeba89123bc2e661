//! `<data-dir>/ports.json`: which ports a daemon has chosen. It is what makes port 0 usable: whoever started
//! the daemon reads the file. It is there from the moment all listeners are bound until the daemon ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The file's name in the data directory.
pub const FILE: &str = "ports.json";

/// What the file holds: who wrote it, and its own fields beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports<T> {
    /// The daemon's process.
    pub pid: u32,
    /// `"http": "127.0.0.1:8500"` and the like.
    #[serde(flatten)]
    pub ports: T,
}

/// Why the file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The system refused.
    #[error("{}: {source}; make its folder one that this user may write", path.display())]
    Io {
        /// Of the file.
        path: PathBuf,
        /// From the system.
        source: io::Error,
    },
    /// Not what a daemon writes.
    #[error("{}: not a ports file: {source}; remove it", path.display())]
    Shape {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Writes the file whole or not at all, in the name of this process.
///
/// # Errors
/// When the directory cannot be written.
pub fn write(data_dir: &Path, ports: &impl Serialize) -> Result<(), PortsError> {
    let path = data_dir.join(FILE);
    let failed = |source| PortsError::Io { path: path.clone(), source };
    let mut text = serde_json::to_string_pretty(&Ports { pid: std::process::id(), ports })
        .map_err(|source| PortsError::Shape { path: path.clone(), source })?;
    text.push('\n');
    let fresh = data_dir.join(format!(".{FILE}.{}", std::process::id()));
    fs::write(&fresh, text).map_err(failed)?;
    fs::rename(&fresh, &path).map_err(failed)
}

/// What a daemon that still runs has written; `None` = no file, or its writer is gone.
///
/// # Errors
/// When the file cannot be read or has another shape.
pub fn read<T: DeserializeOwned>(data_dir: &Path) -> Result<Option<Ports<T>>, PortsError> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PortsError::Io { path, source }),
    };
    let ports: Ports<T> = serde_json::from_str(&text).map_err(|source| PortsError::Shape { path, source })?;
    Ok(is_running(ports.pid).then_some(ports))
}

/// Removes the file: at the start, so that nobody reads those of the run before, and at the end.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(data_dir: &Path) -> Result<(), PortsError> {
    let path = data_dir.join(FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(PortsError::Io { path, source }),
        _ => Ok(()),
    }
}

fn is_running(pid: u32) -> bool {
    use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

    // A process of another user answers EPERM: it is there.
    i32::try_from(pid).is_ok_and(|pid| matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Own {
        http: String,
    }

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read::<Own>(dir.path()).unwrap(), None);
        write(dir.path(), &Own { http: "127.0.0.1:8500".into() }).unwrap();
        let ports = read::<Own>(dir.path()).unwrap().unwrap();
        assert_eq!((ports.pid, ports.ports.http.as_str()), (std::process::id(), "127.0.0.1:8500"));
        remove(dir.path()).unwrap();
        remove(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_whose_writer_is_gone_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let gone = Ports { pid: 0x3fff_ffff, ports: Own { http: String::new() } };
        fs::write(dir.path().join(FILE), serde_json::to_string(&gone).unwrap()).unwrap();
        assert_eq!(read::<Own>(dir.path()).unwrap(), None);
    }

    #[test]
    fn another_shape_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(read::<Own>(dir.path()).unwrap_err().to_string().ends_with("remove it"));
    }
}
