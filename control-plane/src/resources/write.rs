//! Writes of resources: each a read of what is there, a new object, and a commit that is guarded by what was read.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use uuid::Uuid;
use weft_model::resource::{self, Errors};

use super::{Entry, Key, RESOURCE_BYTES_MAX, RESOURCES_MAX, Resources, record::metadata_mut};
use crate::store::{Committed, Expect, Guard, Operation, Revision, StoreError, Txn};

/// A write without a revision of its own that met another's is tried again so often.
const ATTEMPTS_MAX: usize = 8;
/// For the board to show what was committed. It takes a millisecond; a follower that has ended must not hold
/// up an answer.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// Whether it is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It happens.
    Write,
    /// It is only said what would be.
    DryRun,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// As it is kept now, or would be.
    pub entry: Arc<Entry>,
    /// It was the same already: nothing was written.
    pub unchanged: bool,
}

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// There is none.
    #[error("{0} not found")]
    NotFound(Key),
    /// There is one already.
    #[error("{0} already exists: replace it with PUT")]
    Exists(Key),
    /// It has changed since the author read it.
    #[error(
        "{key} is at resourceVersion {current}, not {given}: it has been changed since you read it; read it again, \
         or leave resourceVersion out to replace whatever is there"
    )]
    Conflict {
        /// Which.
        key: Key,
        /// What the author had read.
        given: String,
        /// What is there.
        current: Revision,
    },
    /// Another with this name has another uid: it was deleted and made anew.
    #[error("{key} has the uid {current}, not {given}: it was deleted and made anew; leave uid out")]
    Uid {
        /// Which.
        key: Key,
        /// What the author had read.
        given: String,
        /// What is there.
        current: String,
    },
    /// Not valid.
    #[error("{key} is invalid:\n{errors}")]
    Invalid {
        /// Which.
        key: Key,
        /// All that is wrong.
        errors: Errors,
    },
    /// Too large.
    #[error("{key} has {bytes} bytes; at most {RESOURCE_BYTES_MAX} are kept")]
    TooLarge {
        /// Which.
        key: Key,
        /// As it would be stored.
        bytes: usize,
    },
    /// Too many.
    #[error("{RESOURCES_MAX} resources are kept already, and no more are taken: delete some")]
    Full,
    /// Others wrote it all the time.
    #[error("{0} is written by others all the time: try again")]
    Contended(Key),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Resources {
    /// Makes a resource of `object`, which is of this key.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn create(&self, key: Key, object: Value, mode: Mode) -> Result<Written, WriteError> {
        if self.current(&key).await?.is_some() {
            return Err(WriteError::Exists(key));
        }
        if self.board().all().len() >= RESOURCES_MAX {
            return Err(WriteError::Full);
        }
        let entry = draft(&key, object, None)?;
        let exists = WriteError::Exists(key);
        self.commit(entry, 0, mode).await?.ok_or(exists)
    }

    /// Puts `object` in the place of what is there. With a `resourceVersion`, only if it is that one still.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn replace(&self, key: Key, object: Value, mode: Mode) -> Result<Written, WriteError> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(current) = self.current(&key).await? else { return Err(WriteError::NotFound(key)) };
            check_revision(&current, &object)?;
            let entry = draft(&key, object.clone(), Some(&current))?;
            if entry.object == current.object {
                return Ok(Written { entry: Arc::new(current), unchanged: true });
            }
            if let Some(written) = self.commit(entry, current.revision, mode).await? {
                return Ok(written);
            }
        }
        Err(WriteError::Contended(key))
    }

    /// Removes what is there, and returns it.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete(&self, key: Key, mode: Mode) -> Result<Arc<Entry>, WriteError> {
        let Some(current) = self.current(&key).await? else { return Err(WriteError::NotFound(key)) };
        if mode == Mode::DryRun {
            return Ok(Arc::new(current));
        }
        let operations = vec![Operation::Delete { key: key.path().into() }];
        if let Committed::At(revision) = self.store.commit(Txn { guards: Vec::new(), operations }).await? {
            self.shown(revision).await;
        }
        Ok(Arc::new(current))
    }

    /// From the store itself: a guard needs the newest.
    async fn current(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let Some(stored) = self.store.get(&key.path()).await? else { return Ok(None) };
        let damaged = |reason: String| StoreError::Damaged { path: key.path(), reason };
        Entry::decode(key.clone(), &stored).map(Some).map_err(damaged)
    }

    /// `None` when another was faster.
    async fn commit(
        &self,
        entry: Entry,
        expected: Revision,
        mode: Mode,
    ) -> Result<Option<Written>, WriteError> {
        let value = entry.encode();
        if value.len() > RESOURCE_BYTES_MAX {
            return Err(WriteError::TooLarge { key: entry.key, bytes: value.len() });
        }
        if mode == Mode::DryRun {
            return Ok(Some(Written { entry: Arc::new(entry), unchanged: false }));
        }
        let path: Arc<str> = entry.key.path().into();
        let guards = vec![Guard { key: Arc::clone(&path), expect: Expect::ModRevision(expected) }];
        let operations = vec![Operation::Put { key: path, value, lease: None }];
        match self.store.commit(Txn { guards, operations }).await? {
            Committed::At(revision) => {
                self.shown(revision).await;
                let Entry { key, object, modified, .. } = entry;
                let entry = Arc::new(Entry::new(key, object, modified, revision));
                Ok(Some(Written { entry, unchanged: false }))
            }
            Committed::Refused { .. } => Ok(None),
        }
    }

    async fn shown(&self, revision: Revision) {
        let mut board = self.board.clone();
        let shown = board.wait_for(|board| board.revision() >= revision);
        let _late = tokio::time::timeout(SHOWN_WITHIN, shown).await;
    }
}

/// The object as it would be kept: valid, and with what the control plane adds to its metadata.
fn draft(key: &Key, mut object: Value, current: Option<&Entry>) -> Result<Entry, WriteError> {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = metadata_mut(&mut object) {
        for given in
            ["resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "selfLink"]
        {
            metadata.shift_remove(given);
        }
        metadata.insert("namespace".to_owned(), json!(key.namespace.as_str()));
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let before = |field: &str| current.and_then(|entry| entry.object.pointer(&format!("/metadata/{field}")));
    let generation = before("generation").and_then(Value::as_u64).unwrap_or(0);
    let spec_stays = current.is_some_and(|entry| entry.object.get("spec") == object.get("spec"));
    let uid = before("uid").cloned().unwrap_or_else(|| json!(Uuid::new_v4().to_string()));
    let created = before("creationTimestamp").cloned().unwrap_or_else(|| json!(now));
    if let Some(metadata) = metadata_mut(&mut object) {
        metadata.insert("uid".to_owned(), uid);
        metadata.insert("generation".to_owned(), json!(if spec_stays { generation } else { generation + 1 }));
        metadata.insert("creationTimestamp".to_owned(), created);
    }
    match resource::parse(&object) {
        Ok(_) => Ok(Entry::new(key.clone(), object, now, current.map_or(0, |entry| entry.revision))),
        Err(errors) => Err(WriteError::Invalid { key: key.clone(), errors }),
    }
}

/// Whether the author has read what is there, if it says what it has read.
fn check_revision(current: &Entry, object: &Value) -> Result<(), WriteError> {
    let text = |place: &str| object.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty());
    let key = || current.key.clone();
    if let Some(given) = text("/metadata/resourceVersion")
        && given != current.revision.to_string()
    {
        return Err(WriteError::Conflict { key: key(), given: given.to_owned(), current: current.revision });
    }
    let uid = current.object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    match text("/metadata/uid") {
        Some(given) if given != uid => {
            Err(WriteError::Uid { key: key(), given: given.to_owned(), current: uid.to_owned() })
        }
        _ => Ok(()),
    }
}
