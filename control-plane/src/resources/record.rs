//! A resource as it lies in the store: JSON with a version, one key each. The only place that knows the keys and
//! the encoding.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weft_model::{
    name::{Label, ServiceName},
    resource::{self, Kind, Resource},
    traffic::Item,
};

use crate::store::{KEY_PREFIX, Revision, Versioned};

/// What is written now. A higher one was written by a newer program.
const VERSION: u32 = 1;

/// Which resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Label,
    /// Its name, unique a kind and namespace.
    pub name: Arc<str>,
}

/// A resource as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which.
    pub key: Key,
    /// As its author gave it, with the metadata that the control plane has given it; without `status`.
    pub object: Value,
    /// What it means; `None` for one that this version cannot read any more, which says so in its status.
    pub resource: Option<Resource>,
    /// Why there is no meaning; empty when there is one.
    pub trouble: String,
    /// When its author last changed it, RFC 3339.
    pub modified: String,
    /// Of its last write.
    pub revision: Revision,
    /// What it says, by service: for sidecars.
    pub(super) items: Vec<(ServiceName, Item)>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    modified: String,
    object: Value,
}

impl Key {
    /// Where it lies.
    pub(super) fn path(&self) -> String {
        format!("{KEY_PREFIX}{}/{}/{}", self.kind.plural(), self.namespace, self.name)
    }

    /// Of a key of the store; `None` when no resource lies there.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix(KEY_PREFIX)?.splitn(3, '/');
        let plural = parts.next()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
        Some(Self { kind, namespace: Label::from_str(parts.next()?).ok()?, name: parts.next()?.into() })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} in {}", self.kind.plural(), self.name, self.namespace)
    }
}

impl Entry {
    /// Made now, or read: `object` without `resourceVersion`.
    pub(super) fn new(key: Key, mut object: Value, modified: String, revision: Revision) -> Self {
        if let Some(metadata) = metadata_mut(&mut object) {
            metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
        }
        let (resource, trouble) = match resource::parse(&object) {
            Ok(resource) => (Some(resource), String::new()),
            Err(errors) => (None, errors.to_string()),
        };
        let items = resource.as_ref().map(Resource::items).unwrap_or_default();
        Self { key, object, resource, trouble, modified, revision, items }
    }

    /// From the store.
    ///
    /// # Errors
    /// What is wrong with the record, for people.
    pub(super) fn decode(key: Key, entry: &Versioned) -> Result<Self, String> {
        let record: Record = serde_json::from_slice(&entry.value).map_err(|error| error.to_string())?;
        if record.version > VERSION {
            return Err(format!("version {} is newer than {VERSION}", record.version));
        }
        Ok(Self::new(key, record.object, record.modified, entry.mod_revision))
    }

    /// For the store. The revision is the key's own.
    pub(super) fn encode(&self) -> Bytes {
        let mut object = self.object.clone();
        if let Some(metadata) = metadata_mut(&mut object) {
            metadata.shift_remove("resourceVersion");
        }
        let record = Record { version: VERSION, modified: self.modified.clone(), object };
        // A value of JSON is always JSON.
        serde_json::to_vec(&record).unwrap_or_default().into()
    }

    /// What it says about each of its services, as sidecars are told.
    pub fn items(&self) -> &[(ServiceName, Item)] {
        &self.items
    }
}

/// The fields of `metadata`, to be changed.
pub(super) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.as_object_mut()
}
