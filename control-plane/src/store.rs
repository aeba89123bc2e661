//! The store: a small ordered key-value map with revisions, transactions, watches and leases. Its semantics
//! are etcd's and no more, so that etcd can stand in (etcd.io, "etcd API"). Registry, KV and everything later
//! is built on it; it knows none of them.
//!
//! - Keys are `/weft/1/<kind>/<namespace>/<name>`; ranges are by prefix, in byte order.
//! - A transaction is all or nothing and gives all of its keys one new revision, the store's next.
//! - `create_revision` and `mod_revision` 0 mean "absent", and serve as guards.
//! - A watch delivers whole transactions in order, from a bounded history kept in memory; after a start all
//!   before is compacted. A watcher that fell behind is told to list again, never left with a hole.
//!
//! ```text
//!  commit, grant, revoke ──▶ backend (memory | sled): draft ──▶ durable ──▶ apply
//!                                                                           │
//!  get, range, watch ◀──────────────── visible (state, history, leases) ◀───┘
//! ```

pub mod memory;
pub mod sled;
pub mod transfer;

#[cfg(test)]
mod conformance;
mod draft;
mod history;
mod lease;
mod state;
mod visible;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::{memory::MemoryStore, sled::SledStore};

/// A revision of the whole store: 0 = empty, then one more a transaction.
pub type Revision = u64;
/// A lease granted by the store; never 0.
pub type LeaseId = u64;

/// Operations a transaction, at most.
pub const TXN_OPERATIONS_MAX: usize = 128;
/// Bytes of keys and values a transaction, at most.
pub const TXN_BYTES_MAX: usize = 1 << 20;
/// Lease numbers stay exact as JSON numbers.
const LEASE_ID_MAX: LeaseId = (1 << 53) - 1;
/// How long a lease lasts without being kept alive, at most.
pub const LEASE_TTL_MAX: Duration = Duration::from_hours(24);
/// Changes kept for watchers that start in the past.
pub const HISTORY_CHANGES_MAX: usize = 10_000;
/// How long a change is kept for them.
pub const HISTORY_AGE_MAX: Duration = Duration::from_mins(5);
/// Keys a page of a range, at most.
pub const PAGE_KEYS_MAX: usize = 1_000;

/// A value with its history in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The key.
    pub key: Arc<str>,
    /// The bytes.
    pub value: Bytes,
    /// Revision at which the key came into being.
    pub create_revision: Revision,
    /// Revision of the last write.
    pub mod_revision: Revision,
    /// The lease it ends with, if any.
    pub lease: Option<LeaseId>,
}

/// One page of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In key order.
    pub entries: Vec<Versioned>,
    /// The revision at which this page was read.
    pub revision: Revision,
    /// Give this as `after` to read on; `None` at the end.
    pub next: Option<Arc<str>>,
}

/// What must hold for a transaction to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The key looked at.
    pub key: Arc<str>,
    /// The condition.
    pub expect: Expect,
}

/// A condition on a key's revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// `mod_revision` is exactly this; 0 = the key is absent.
    ModRevision(Revision),
    /// `create_revision` is exactly this; 0 = the key is absent.
    CreateRevision(Revision),
    /// The key is there.
    Present,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Sets a value.
    Put {
        /// The key, each at most once a transaction.
        key: Arc<str>,
        /// The bytes.
        value: Bytes,
        /// Deleted when this lease ends.
        lease: Option<LeaseId>,
    },
    /// Removes a key; of an absent one, nothing happens.
    Delete {
        /// The key, each at most once a transaction.
        key: Arc<str>,
    },
}

/// Guards and writes, all or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// Happen together.
    pub operations: Vec<Operation>,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It happened, durably; all of its keys have this revision. (With no effective write, such as the
    /// delete of an absent key, it is the current revision.)
    At(Revision),
    /// A guard did not hold: nothing happened. The current entry of the first such guard's key.
    Refused {
        /// Index into `guards`.
        guard: usize,
        /// What is there instead.
        current: Option<Versioned>,
    },
}

/// One key of a transaction as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Arc<str>,
    /// The new entry; `None` = deleted.
    pub entry: Option<Versioned>,
}

/// The part of one transaction that is under a watcher's prefix; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// The transaction's revision.
    pub revision: Revision,
    /// In key order.
    pub changes: Vec<Change>,
}

/// Why a watch ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The revision asked for, or the watcher's place, is no longer in the history: list again.
    #[error("revision {from} is compacted: the oldest kept is {oldest}; list again and watch from there")]
    Compacted {
        /// What the watcher wanted next.
        from: Revision,
        /// The oldest revision that can be watched from.
        oldest: Revision,
    },
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// Why the store could not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not a key of ours.
    #[error("`{key}` is not a key: it must begin with `/weft/1/` and have at most {} bytes", KEY_LENGTH_MAX)]
    BadKey {
        /// The first part of it.
        key: String,
    },
    /// Over a limit, or one key twice.
    #[error("transaction refused: {reason}")]
    BadTxn {
        /// Names the limit or the key.
        reason: String,
    },
    /// No such lease, or it has ended.
    #[error("lease {lease} does not exist or has ended")]
    NoLease {
        /// The lease asked for.
        lease: LeaseId,
    },
    /// A lease with a time that cannot be.
    #[error("a lease of {ttl:?} is refused: it must last above zero and at most {LEASE_TTL_MAX:?}")]
    BadLease {
        /// The time asked for.
        ttl: Duration,
    },
    /// Another process has the directory.
    #[error("{path} is in use by {}: stop it, or give another --data-dir", holder(*.pid))]
    InUse {
        /// The directory.
        path: String,
        /// The other process, if it has said so.
        pid: Option<u32>,
    },
    /// Written by a later version.
    #[error("{path} has format {found}; this program reads up to {known}: use a newer weft-control-plane")]
    NewerFormat {
        /// The directory.
        path: String,
        /// The number found.
        found: u32,
        /// The newest number known.
        known: u32,
    },
    /// The system refuses to open the directory.
    #[error(
        "{path} cannot be opened: {reason}; see to its owner, its permissions and the space on its disk, or give another --data-dir"
    )]
    Open {
        /// The directory.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The files are damaged.
    #[error(
        "{path} is damaged: {reason}; restore it from `weft store export`, or start with an empty --data-dir"
    )]
    Damaged {
        /// The directory or file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// The disk refused, and since then nothing more is written: reads and watches go on.
    #[error("{path} cannot be written: {reason}; reads go on, writes are refused until a restart")]
    Disk {
        /// The directory.
        path: String,
        /// The first error.
        reason: String,
    },
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// The longest key, in bytes.
pub const KEY_LENGTH_MAX: usize = 2_048;
/// What every key begins with.
pub const KEY_PREFIX: &str = "/weft/1/";

/// A place in the stream of transactions. Ends with an error once; dropping it ends the watch.
#[async_trait]
pub trait Watch: Send {
    /// The next transaction that touched the prefix.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] when the watcher fell out of the history.
    async fn next(&mut self) -> Result<WatchEvent, WatchError>;
}

/// The store. One conformance suite (`store::conformance`) runs on every implementation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Made at creation and kept for ever: another id is another history.
    fn id(&self) -> &str;

    /// The revision of the last transaction.
    fn revision(&self) -> Revision;

    /// One key.
    ///
    /// # Errors
    /// When the store is closed.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// A page of the keys under `prefix`, after the key `after` (exclusive), at most `limit` and at most
    /// [`PAGE_KEYS_MAX`].
    ///
    /// # Errors
    /// When the store is closed.
    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError>;

    /// Does all of `txn` or nothing; answered only when it is durable. Whoever stops waiting for the answer does
    /// not know whether it happened. The same holds after [`StoreError::Disk`].
    ///
    /// # Errors
    /// Limits, an unknown lease, a disk that refuses.
    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError>;

    /// Delivers the transactions with a revision of at least `from` that touch `prefix`. `revision() + 1`
    /// means "from now on"; a later one waits until it has come. 0 is taken as 1, the first there can be.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] when `from` is before the history.
    fn watch(&self, prefix: &str, from: Revision) -> Result<Box<dyn Watch>, WatchError>;

    /// A new lease; keys put with it go when it ends. After a restart a lease has its whole time again.
    ///
    /// # Errors
    /// A disk that refuses.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Starts the lease's time again. Kept in memory only: it is no commit.
    ///
    /// # Errors
    /// [`StoreError::NoLease`] when it has ended.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends the lease now and deletes its keys in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NoLease`] when it has ended.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("another process (pid {pid})"))
}

fn check_ttl(ttl: Duration) -> Result<(), StoreError> {
    if ttl.is_zero() || ttl > LEASE_TTL_MAX { Err(StoreError::BadLease { ttl }) } else { Ok(()) }
}

/// A number no lease has. Drawn, not counted, so that whoever still holds an ended lease over a restart does not
/// keep another's alive.
fn fresh_lease(taken: impl Fn(LeaseId) -> bool) -> LeaseId {
    loop {
        let lease = fastrand::u64(1..=LEASE_ID_MAX);
        if !taken(lease) {
            return lease;
        }
    }
}
