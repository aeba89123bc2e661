//! The store that forgets: everything in memory, for tests and for trying things out. Semantics are those of the
//! durable backends (one conformance suite says so); only nothing survives the process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::Notify, time::sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::{
    Committed, LeaseId, Page, Revision, Store, StoreError, Txn, Versioned, Watch, WatchError, check_ttl,
    fresh_lease, state::State, visible::Visible,
};

/// A store without a disk.
#[derive(Debug)]
pub struct MemoryStore {
    id: String,
    visible: Arc<Visible>,
    /// Wakes the task that ends leases when a new one may be the first to go.
    granted: Arc<Notify>,
    _expiry: DropGuard,
}

impl MemoryStore {
    /// An empty store with an id of its own. Must be called inside a tokio runtime: a task, which ends with the
    /// store, ends its leases.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let visible = Visible::new(State::empty());
        let granted = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let expiry = end_leases(Arc::clone(&visible), Arc::clone(&granted));
        tokio::spawn(stop.clone().run_until_cancelled_owned(expiry));
        Arc::new(Self { id: uuid::Uuid::new_v4().to_string(), visible, granted, _expiry: stop.drop_guard() })
    }

    /// Ends all watches, and refuses everything from now on.
    pub fn close(&self) {
        self.visible.close();
    }
}

#[async_trait]
impl Store for MemoryStore {
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
        self.visible.alter(|state, draft| draft.transact(state, &txn))?
    }

    fn watch(&self, prefix: &str, from: Revision) -> Result<Box<dyn Watch>, WatchError> {
        self.visible.watch(prefix, from)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        check_ttl(ttl)?;
        let lease = self.visible.alter(|state, draft| {
            let lease = fresh_lease(|lease| draft.has_lease(state, lease));
            draft.grant(lease, ttl);
            lease
        })?;
        self.granted.notify_one();
        Ok(lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.visible.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.visible.alter(|state, draft| draft.end_lease(state, lease))?
    }
}

/// Ends each lease in a transaction of its own when its time is over.
async fn end_leases(visible: Arc<Visible>, granted: Arc<Notify>) {
    loop {
        let deadline = visible.next_deadline();
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Either way the deadlines are looked at again, so the order does not matter.
            () = due => {}
            () = granted.notified() => {}
        }
        for lease in visible.take_due() {
            let ended = visible.alter(|state, draft| draft.end_lease(state, lease));
            debug!(lease, ended = ended.is_ok(), "lease ran out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::conformance_suite;

    conformance_suite!(async { MemoryStore::new() });

    #[tokio::test]
    async fn closing_ends_watches_and_refuses_the_rest() {
        let store = MemoryStore::new();
        let mut watch = store.watch("/weft/1/", 1).expect("from now on");
        store.close();
        assert_eq!(watch.next().await, Err(WatchError::Closed));
        assert!(matches!(store.get("/weft/1/a").await, Err(StoreError::Closed)));
        assert!(matches!(store.commit(Txn::default()).await, Err(StoreError::Closed)));
    }
}
