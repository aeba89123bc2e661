//! sled itself: opening it with every doubt there is about its files, and writing one group in one atomic,
//! durable step. Only the committer's thread writes here.
//!
//! sled cuts its log at the first torn record and skips what it cannot read, which is right after a power cut and
//! wrong for a damaged disk. So the opening checks the checksum of every record, the fingerprint over all of them and
//! the last acknowledged revision, and says what does not fit.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sled::{Batch, Db, IVec};
use tracing::warn;

use super::{
    directory::{Directory, Witness},
    guard::{Fault, guarded, is_locked},
    record::{
        CHUNK_BYTES, Meta, RecordKey, decode_entry, decode_lease, encode_entry, encode_lease, fingerprint,
    },
};
use crate::store::{LeaseId, StoreError, Versioned, draft::Draft, state::State};

/// sled's page cache. All keys are in memory anyway, so it only has to hold what is being written.
const CACHE_BYTES_MAX: u64 = 64 << 20;
/// How long sled's own lock is waited for once we have ours: helper threads of sled hold it for a moment after a
/// store of this process has closed.
const SLED_LOCK_WAIT: Duration = Duration::from_secs(5);
/// Between two tries for it.
const SLED_LOCK_POLL: Duration = Duration::from_millis(2);

/// An open store, as found.
pub(super) struct Loaded {
    pub(super) disk: Disk,
    pub(super) id: String,
    pub(super) state: State,
}

/// Where each key is in sled, and sled.
pub(super) struct Disk {
    db: Engine,
    /// A second handle of sled's file, for the fdatasync that sled does not do.
    file: File,
    witness: Witness,
    /// Holds the lock, so it stands after all that is open.
    _directory: Directory,
    path: String,
    id: String,
    contents: Contents,
}

/// sled, which is closed with the same care as it is called.
struct Engine(Option<Db>);

/// What is in sled, without the values.
#[derive(Debug, Default)]
struct Contents {
    records: HashMap<Arc<str>, Record>,
    /// Fingerprints.
    leases: HashMap<LeaseId, u64>,
    fingerprint: u64,
    next_record: u64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    number: u64,
    chunks: u16,
    fingerprint: u64,
}

impl Disk {
    /// See [`SledStore::open`](super::SledStore::open).
    pub(super) fn open(path: &Path) -> Result<Loaded, StoreError> {
        let directory = Directory::take(path)?;
        let found = directory.identity()?;
        let witness = directory.witness()?;
        let sled_path = directory.sled_path();
        if found.is_some() && !sled_path.join("db").exists() {
            return Err(directory.damaged("the file `sled/db` is missing".to_owned()));
        }
        let db = guarded(|| Engine::open(&sled_path)).map_err(|fault| fault.on_open(&directory))?;
        let id = match found {
            Some(id) => id,
            None => create(&directory, db.db())?,
        };
        directory.sync_sled()?;
        let file = File::open(sled_path.join("db")).map_err(|error| directory.refused(&error))?;
        let read = guarded(|| read(db.db())).map_err(|fault| fault.on_open(&directory))?;
        let damaged = |reason: String| Err(directory.damaged(reason));
        let Meta { revision, fingerprint, id: id_in_sled } = read.meta;
        if id_in_sled != id {
            return damaged(format!("`sled` belongs to store {id_in_sled}, `identity` to {id}"));
        }
        if fingerprint != read.contents.fingerprint {
            return damaged("entries are missing, or older than they were".to_owned());
        }
        if revision < witness.acknowledged {
            let acknowledged = witness.acknowledged;
            return damaged(format!(
                "revision {acknowledged} was acknowledged, but the last one found is {revision}"
            ));
        }
        let state = State::load(revision, read.leases, read.entries, Instant::now());
        let path = path.display().to_string();
        let contents = read.contents;
        let disk = Self { db, file, witness, _directory: directory, path, id: id.clone(), contents };
        Ok(Loaded { disk, id, state })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Makes the draft's net effect durable, all or nothing. After an error nobody knows which: write no more.
    ///
    /// # Errors
    /// What sled or the system said.
    pub(super) fn write(&mut self, draft: &Draft) -> Result<(), String> {
        let mut batch = Batch::default();
        for (key, entry) in &draft.entries {
            self.contents.set(&mut batch, key, entry.as_ref());
        }
        for (lease, ttl) in &draft.leases {
            self.contents.set_lease(&mut batch, *lease, *ttl);
        }
        let fingerprint = self.contents.fingerprint;
        let meta = Meta { revision: draft.revision, fingerprint, id: self.id.clone() };
        batch.insert(RecordKey::Meta.encode(), meta.encode());
        guarded(|| self.db.write(batch, &self.file)).map_err(|fault| fault.to_string())?;
        if let Err(error) = self.witness.note(draft.revision) {
            // The transactions are durable; only a later loss would go unnoticed.
            warn!(path = self.path, %error, "store witness cannot be written");
        }
        Ok(())
    }
}

impl Engine {
    #[expect(clippy::disallowed_methods, reason = "opening blocks by contract")]
    fn open(path: &Path) -> Result<Self, Fault> {
        // No flusher of sled's own: each group is flushed before its answers.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES_MAX).flush_every_ms(None);
        let deadline = Instant::now() + SLED_LOCK_WAIT;
        loop {
            match config.open() {
                Err(error) if is_locked(&error) && Instant::now() < deadline => thread::sleep(SLED_LOCK_POLL),
                opened => return Ok(Self(Some(opened?))),
            }
        }
    }

    fn db(&self) -> &Db {
        self.0.as_ref().expect("it is taken out by the drop only")
    }

    /// Makes the batch durable, all or nothing.
    fn write(&self, batch: Batch, file: &File) -> Result<(), Fault> {
        self.db().apply_batch(batch)?;
        self.db().flush()?;
        file.sync_data().map_err(sled::Error::Io)?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let db = self.0.take();
        let closed = guarded(|| {
            drop(db);
            Ok(())
        });
        if let Err(fault) = closed {
            warn!(%fault, "store did not close cleanly");
        }
    }
}

impl Contents {
    fn set(&mut self, batch: &mut Batch, key: &Arc<str>, entry: Option<&Versioned>) {
        let old = self.records.remove(key);
        let old_chunks = old.map_or(0, |old| old.chunks);
        self.fingerprint = self.fingerprint.wrapping_sub(old.map_or(0, |old| old.fingerprint));
        let number = old.map_or(self.next_record, |old| old.number);
        let mut chunks = 0;
        if let Some(entry) = entry {
            let sealed = encode_entry(entry);
            for chunk in sealed.chunks(CHUNK_BYTES) {
                batch.insert(RecordKey::Chunk { record: number, chunk: chunks }.encode(), chunk);
                // A transaction's megabyte is 257 of them.
                chunks += 1;
            }
            self.add(key, Record { number, chunks, fingerprint: fingerprint(&sealed) });
        }
        for chunk in chunks..old_chunks {
            batch.remove(RecordKey::Chunk { record: number, chunk }.encode());
        }
    }

    fn set_lease(&mut self, batch: &mut Batch, lease: LeaseId, ttl: Option<Duration>) {
        let key = RecordKey::Lease(lease).encode();
        let old = self.leases.remove(&lease).unwrap_or(0);
        self.fingerprint = self.fingerprint.wrapping_sub(old);
        match ttl {
            Some(ttl) => {
                let sealed = encode_lease(lease, ttl);
                self.add_lease(lease, fingerprint(&sealed));
                batch.insert(key, sealed);
            }
            None => batch.remove(key),
        }
    }

    fn add(&mut self, key: &Arc<str>, record: Record) -> Option<Record> {
        self.fingerprint = self.fingerprint.wrapping_add(record.fingerprint);
        self.next_record = self.next_record.max(record.number + 1);
        self.records.insert(Arc::clone(key), record)
    }

    fn add_lease(&mut self, lease: LeaseId, fingerprint: u64) {
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint);
        self.leases.insert(lease, fingerprint);
    }
}

/// Makes the empty `db` a store, durable in all its parts before it has an identity.
fn create(directory: &Directory, db: &Db) -> Result<String, StoreError> {
    let id = uuid::Uuid::new_v4().to_string();
    let meta = Meta { revision: 0, fingerprint: 0, id: id.clone() };
    guarded(|| {
        let mut batch = Batch::default();
        batch.insert(RecordKey::Meta.encode(), meta.encode());
        db.apply_batch(batch)?;
        db.flush()?;
        Ok(())
    })
    .map_err(|fault| fault.on_open(directory))?;
    directory.sync_sled()?;
    directory.write_identity(&id)?;
    Ok(id)
}

/// Everything in sled.
struct Read {
    meta: Meta,
    contents: Contents,
    entries: Vec<Versioned>,
    leases: Vec<(LeaseId, Duration)>,
}

fn read(db: &Db) -> Result<Read, Fault> {
    let (mut meta, mut contents) = (None, Contents::default());
    let (mut entries, mut leases) = (Vec::new(), Vec::new());
    // The chunks of one record follow each other.
    let mut joining: Option<Joining> = None;
    for item in db.iter() {
        let (key, value): (IVec, IVec) = item?;
        match RecordKey::decode(&key)? {
            RecordKey::Chunk { record, chunk } => {
                if let Some(done) = joining.take_if(|joining| joining.number != record) {
                    entries.push(done.finish(&mut contents)?);
                }
                joining.get_or_insert_with(|| Joining::new(record)).join(chunk, &value)?;
            }
            RecordKey::Lease(lease) => {
                leases.push((lease, decode_lease(lease, &value)?));
                contents.add_lease(lease, fingerprint(&value));
            }
            RecordKey::Meta => meta = Some(Meta::decode(&value)?),
        }
    }
    if let Some(done) = joining {
        entries.push(done.finish(&mut contents)?);
    }
    let meta = meta.ok_or_else(|| Fault::damaged("the store's own record is missing"))?;
    Ok(Read { meta, contents, entries, leases })
}

/// A record whose chunks are being read.
struct Joining {
    number: u64,
    chunks: u16,
    bytes: Vec<u8>,
}

impl Joining {
    fn new(number: u64) -> Self {
        Self { number, chunks: 0, bytes: Vec::new() }
    }

    fn join(&mut self, chunk: u16, bytes: &[u8]) -> Result<(), Fault> {
        if chunk != self.chunks {
            return Err(Fault::damaged("part of an entry is missing"));
        }
        self.chunks = chunk.checked_add(1).ok_or_else(|| Fault::damaged("an entry is too long"))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self, contents: &mut Contents) -> Result<Versioned, Fault> {
        let entry = decode_entry(&self.bytes)?;
        let fingerprint = fingerprint(&self.bytes);
        let record = Record { number: self.number, chunks: self.chunks, fingerprint };
        match contents.add(&entry.key, record) {
            None => Ok(entry),
            Some(_) => Err(Fault::damaged(format!("`{}` is there twice", entry.key))),
        }
    }
}
