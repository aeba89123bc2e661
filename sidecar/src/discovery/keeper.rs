//! The snapshot on disk: what is known, kept over a restart, so that a sidecar also starts while the control
//! plane is down. Replaced whole: a new file is written, synced and renamed over the old one. A damaged one
//! is no snapshot. It blocks, so it runs off the data threads and off the control runtime.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use prost::Message as _;
use weft_model::discovery::{Resource, Restored, Version};
use weft_proto::weft::v1 as proto;

use crate::config::MESH_DIR;

/// The first bytes of a snapshot: name and format. A field that a version does not know is skipped, so the
/// format stays while fields are only added: the version before reads endpoints and does without traffic.
const MAGIC: [u8; 8] = *b"WEFTSNP1";
/// Bytes of a snapshot that is read, at most.
const FILE_BYTES_MAX: u64 = 256 << 20;
const FILE_NAME: &str = "discovery.snapshot";

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Of the control plane that said so.
    pub(super) store_id: Arc<str>,
    pub(super) services: Vec<Restored>,
}

/// Why there is no snapshot, or no new one.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a whole snapshot.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: &'static str,
    },
}

/// Where the snapshot of a data directory is.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(MESH_DIR).join(FILE_NAME)
}

/// Reads the snapshot; `None` when there is no file.
pub(super) fn load(path: &Path) -> Result<Option<Kept>, KeepError> {
    let io = |source| KeepError::Io { path: path.to_owned(), source };
    let damaged = |reason| KeepError::Damaged { path: path.to_owned(), reason };
    match fs::metadata(path) {
        Ok(meta) if meta.len() > FILE_BYTES_MAX => return Err(damaged("it is larger than any snapshot")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    let bytes = fs::read(path).map_err(io)?;
    let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("it does not begin as a snapshot"))?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut off"))?;
    if crc32fast::hash(body) != u32::from_be_bytes(*sum) {
        return Err(damaged("the checksum is another"));
    }
    let message = proto::Snapshot::decode(body).map_err(|_| damaged("it cannot be decoded"))?;
    let services = message.services.into_iter().filter_map(|kept| {
        let all = |kept: Vec<proto::KeptResource>| kept.into_iter().map(resource).collect();
        let (endpoints, traffic) = (all(kept.endpoints), all(kept.traffic));
        Some(Restored { service: resource(kept.service?), endpoints, traffic })
    });
    Ok(Some(Kept { store_id: message.store_id.into(), services: services.collect() }))
}

/// Replaces the snapshot; after a crash at any moment there is the old one or the new one.
pub(super) fn write(path: &Path, kept: &Kept) -> Result<(), KeepError> {
    let io = |source| KeepError::Io { path: path.to_owned(), source };
    let body = encode(kept);
    let draft = path.with_extension("draft");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(io)?;
    }
    let mut file = File::create(&draft).map_err(io)?;
    file.write_all(&MAGIC).map_err(io)?;
    file.write_all(&crc32fast::hash(&body).to_be_bytes()).map_err(io)?;
    file.write_all(&body).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&draft, path).map_err(io)?;
    match path.parent() {
        Some(directory) => File::open(directory).and_then(|directory| directory.sync_all()).map_err(io),
        None => Ok(()),
    }
}

fn encode(kept: &Kept) -> Vec<u8> {
    let services = kept.services.iter().map(|restored| proto::KeptService {
        service: Some(message(&restored.service)),
        endpoints: restored.endpoints.iter().map(message).collect(),
        traffic: restored.traffic.iter().map(message).collect(),
    });
    proto::Snapshot { store_id: kept.store_id.to_string(), services: services.collect() }.encode_to_vec()
}

fn message(resource: &Resource) -> proto::KeptResource {
    proto::KeptResource {
        name: resource.name.to_string(),
        version: resource.version.to_string(),
        resource: resource.bytes.clone(),
    }
}

fn resource(kept: proto::KeptResource) -> Resource {
    Resource { name: kept.name.into(), version: Version::parse(&kept.version), bytes: kept.resource }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let service = Resource::new("orders.default", b"service".as_slice().into());
        let endpoints = vec![Resource::new("orders.default/n/1", b"endpoint".as_slice().into())];
        let traffic = vec![Resource::new("orders.default/httproute.default.a", b"route".as_slice().into())];
        Kept { store_id: "store".into(), services: vec![Restored { service, endpoints, traffic }] }
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory.path().join("new"));
        assert_eq!(load(&path).unwrap(), None);
        for _ in 0..2 {
            write(&path, &kept()).unwrap();
            assert_eq!(load(&path).unwrap(), Some(kept()));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_snapshot_with_any_byte_changed_or_missing_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path());
        write(&path, &kept()).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            fs::write(&path, &bytes).unwrap();
            assert!(matches!(load(&path), Err(KeepError::Damaged { .. })), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(load(&path), Err(KeepError::Damaged { .. })), "cut at {at}");
        }
    }
}
