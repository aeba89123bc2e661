//! [`Access`] on disk: one JSON file, replaced whole. The names of RabbitMQ's definitions are kept, so that people can
//! read it; version and format say that it is ours.
//!
//! ```text
//!  encode ─▶ FILE.tmp (0600) ─▶ fsync ─▶ rename over FILE ─▶ fsync of the directory
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Access, definitions::Definitions, import::ImportError, password::SALT_BYTES};

/// What the file says it is.
const FORMAT: &str = "weft-access";
/// The version that is written. Others are refused.
const VERSION: u32 = 1;
/// Bytes of a file at most.
pub const FILE_BYTES_MAX: u64 = 256 << 20;
/// Users, their passwords' hashes: for the owner's eyes.
const MODE: u32 = 0o600;

/// Why a file could not be written or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Not a file of this kind.
    #[error("{} holds no users and permissions", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: FileError,
    },
}

/// What is wrong with the content of a file.
#[derive(Debug, Error)]
pub enum FileError {
    /// No JSON, or not of this shape.
    #[error("not the JSON it should be")]
    Json(#[from] serde_json::Error),
    /// Of another program or another version.
    #[error("format '{format}' version {version}, not '{FORMAT}' version {VERSION}")]
    Version {
        /// What it says it is.
        format: String,
        /// In which version.
        version: u32,
    },
    /// An entry that is refused.
    #[error(transparent)]
    Entry(#[from] ImportError),
    /// Larger than [`FILE_BYTES_MAX`].
    #[error("larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    loopback_users: Vec<String>,
    access: Definitions,
}

/// The file's content.
///
/// # Errors
/// When JSON cannot be made, which no value of [`Access`] should cause.
pub fn encode(access: &Access) -> Result<Vec<u8>, FileError> {
    let mut definitions = Definitions::default();
    access.export(&mut definitions);
    let document = Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        loopback_users: access.loopback_users().map(str::to_owned).collect(),
        access: definitions,
    };
    Ok(serde_json::to_vec_pretty(&document)?)
}

/// Reads a file's content.
///
/// # Errors
/// When it is another's, of another version, or holds what would not have been written.
pub fn decode(bytes: &[u8]) -> Result<Access, FileError> {
    let Header { format, version } = serde_json::from_slice(bytes)?;
    if format != FORMAT || version != VERSION {
        return Err(FileError::Version { format, version });
    }
    let document: Document = serde_json::from_slice(bytes)?;
    let mut access = Access::empty();
    access.set_loopback_users(document.loopback_users.iter().map(String::as_str));
    // The file holds hashes alone, so no salt is asked for.
    access.import(&document.access, || [0; SALT_BYTES])?;
    Ok(access)
}

/// Replaces `path` by the content of `access`. After a crash at any point one of both is there, whole.
///
/// # Errors
/// When one of the steps fails; the old file is still there.
pub fn save(path: &Path, access: &Access) -> Result<(), StoreError> {
    let content = encode(access).map_err(|source| malformed(path, source))?;
    let mut new = path.as_os_str().to_owned();
    new.push(".tmp");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &new)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&new)
        .map_err(failed("create", &new))?;
    file.write_all(&content).map_err(failed("write", &new))?;
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync", directory))
}

/// Reads what [`save`] wrote; `None` where there is no file.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn load(path: &Path) -> Result<Option<Access>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(malformed(path, FileError::TooLarge));
    }
    decode(&bytes).map(Some).map_err(|source| malformed(path, source))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { operation, path: path.to_owned(), source }
}

fn malformed(path: &Path, source: FileError) -> StoreError {
    StoreError::Malformed { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::access::{permission::Permission, topic::TopicPermission, user::User, vhost::VirtualHost};

    fn sample() -> Access {
        let mut access = Access::initial([1, 2, 3, 4]);
        access.put_user(User::new("without password")).unwrap();
        let mut vhost = VirtualHost::new("/prod");
        vhost.limits.queues_max = Some(10);
        vhost.tracing = true;
        access.put_vhost(vhost).unwrap();
        let permission = Permission::new("", "^a", ".*").unwrap();
        access.set_permission("guest", "/prod", permission).unwrap();
        let topic = TopicPermission::new("^{username}", ".*", "guest", "/prod").unwrap();
        access.set_topic_permission("guest", "/prod", "amq.topic", topic).unwrap();
        access.set_global_parameter("cluster_name", json!("weft@here")).unwrap();
        access.set_loopback_users(["guest", "root"]);
        access
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.json");
        assert!(load(&path).unwrap().is_none());
        save(&path, &Access::empty()).unwrap();
        save(&path, &sample()).unwrap();
        assert_eq!(load(&path).unwrap(), Some(sample()));
    }

    #[test]
    fn the_file_is_for_its_owner_alone_even_over_a_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.json");
        let leftover = directory.path().join("access.json.tmp");
        fs::write(&leftover, "half a file").unwrap();
        fs::set_permissions(&leftover, fs::Permissions::from_mode(0o644)).unwrap();
        save(&path, &sample()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(!leftover.exists());
    }

    #[test]
    fn other_versions_and_other_files_are_refused() {
        let mut document: Value = serde_json::from_slice(&encode(&sample()).unwrap()).unwrap();
        document["version"] = json!(2);
        let error = decode(&serde_json::to_vec(&document).unwrap()).unwrap_err();
        assert!(matches!(error, FileError::Version { version: 2, .. }), "{error}");
        assert!(matches!(decode(b"{}"), Err(FileError::Json(_))));
        assert!(matches!(decode(b"\xff"), Err(FileError::Json(_))));
    }

    #[test]
    fn no_password_is_in_the_file_but_as_hash() {
        let text = String::from_utf8(encode(&sample()).unwrap()).unwrap();
        assert!(!text.contains("\"password\""), "{text}");
    }
}
