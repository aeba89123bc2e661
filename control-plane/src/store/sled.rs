//! The durable store of one machine, on sled. Semantics come from the shared core; this room owns only how a group
//! of transactions reaches the disk, and what is said when it does not.
//!
//! ```text
//!  commit, grant, revoke ─▶ bounded queue ─▶ committer (one thread)
//!                                             │ draft the group
//!                                             │ one sled batch, flush, fdatasync   ── first error: poisoned
//!                                             │ apply: readers and watchers see it
//!  answers ◀──────────────────────────────────┘
//!  get, range, watch ◀── visible state, in memory
//! ```
//!
//! - sled's own flush does not reach the platter on Linux (it is `sync_file_range`), hence the fdatasync.
//! - Reads are served from memory, where all keys are after the start: so they see what is durable and not what
//!   sled has merely been told, guards and watches share one truth, and a failed disk stops no reader.
//! - A disk error poisons the store: what reached the disk is unknown then, so no later write may build on it.

mod committer;
mod directory;
mod disk;
mod guard;
mod record;

use std::{path::Path, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::{
    committer::{Command, Committer},
    disk::{Disk, Loaded},
};
use super::{
    Committed, LeaseId, Page, Revision, Store, StoreError, Txn, Versioned, Watch, WatchError, check_ttl,
    visible::Visible,
};

/// Commands that wait for the committer; whoever comes then waits for a place.
const QUEUE_COMMANDS_MAX: usize = 1_024;

/// A store in a directory of its own, for one process at a time.
#[derive(Debug)]
pub struct SledStore {
    id: String,
    visible: Arc<Visible>,
    commands: mpsc::Sender<Command>,
    /// Asks the committer to finish what is queued and end.
    stop: CancellationToken,
    /// Cancelled when the committer has ended and the directory is free.
    ended: CancellationToken,
    committer: Mutex<Option<thread::JoinHandle<()>>>,
}

impl SledStore {
    /// Whether there is a store in `dir`, or what is left of one.
    pub fn is_in(dir: &Path) -> bool {
        ["identity", "sled"].iter().any(|part| dir.join(part).exists())
    }

    /// Opens the store in `dir`, or makes one there. Blocks while all keys are read.
    ///
    /// # Errors
    /// [`StoreError::InUse`] by another process, [`StoreError::NewerFormat`], [`StoreError::Damaged`] when what
    /// is there is not all that was written, [`StoreError::Open`] when the system refuses.
    pub fn open(dir: &Path) -> Result<Arc<Self>, StoreError> {
        let Loaded { disk, id, state } = Disk::open(dir)?;
        let visible = Visible::new(state);
        let (commands, queue) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let committer = Committer::new(disk, Arc::clone(&visible), queue, stop.clone());
        let released = ended.clone().drop_guard();
        let thread = thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || {
                committer.run();
                drop(released);
            })
            .map_err(|error| StoreError::Open {
                path: dir.display().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Arc::new(Self { id, visible, commands, stop, ended, committer: Mutex::new(Some(thread)) }))
    }

    /// Finishes what is queued, ends all watches and frees the directory.
    pub async fn close(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for SledStore {
    /// Waits for the committer, so that the directory is free when this returns.
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(committer) = self.committer.get_mut().take() {
            // A committer that panicked has nothing more to tell.
            let _ = committer.join();
        }
    }
}

#[async_trait]
impl Store for SledStore {
    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> Revision {
        self.visible.revision()
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.visible.entry(key)
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
        self.visible.page(prefix, after, limit)
    }

    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        self.ask(|answer| Command::Commit { txn, answer }).await
    }

    fn watch(&self, prefix: &str, from: Revision) -> Result<Box<dyn Watch>, WatchError> {
        self.visible.watch(prefix, from)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        check_ttl(ttl)?;
        self.ask(|answer| Command::Grant { ttl, answer }).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.visible.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.ask(|answer| Command::Revoke { lease, answer }).await
    }
}

#[cfg(test)]
mod tests;
