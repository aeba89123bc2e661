//! When the store refuses or is slow.
//!
//! **Truth before durability.** Readers see a registration only when it is stored. A health transition is
//! different: it states what is so, and callers must stop sending requests to a dead instance though the disk
//! is full. So if the store refuses or stalls, transitions are shown at once (with the revision they had, so
//! that index-based blocking queries do not wake, while the watch channel does) and stored later.

use std::sync::Arc;

use tracing::{error, warn};
use weft_model::name::{Id, InstanceKey};

use super::{Commit, Owner, RETRY_AFTER};
use crate::{
    registry::{batch::Batch, draft::Draft, live::Now},
    store::StoreError,
};

impl Owner {
    /// A commit takes too long: health goes ahead of it.
    pub(super) fn outrun(&mut self, commit: &mut Commit, now: Now) {
        if !commit.stalled {
            commit.stalled = true;
            self.stats.store_stalls.add(1);
            warn!("the store is slow, health is shown before it is stored");
            commit.batch.refreshed.iter().for_each(|key| self.reveal(key, now));
            commit.batch.refreshed_nodes.iter().for_each(|name| self.reveal_node(name, now));
        }
        for key in self.backlog.force_all() {
            self.reveal(&key, now);
        }
    }

    /// The store did not take a batch: changes are off, transitions are shown all the same.
    pub(super) fn refused(&mut self, batch: Batch, error: &StoreError) {
        let now = Now::read();
        self.stats.store_errors.add(1);
        error!(%error, keys = batch.writes.len(), "the store refused a commit of the registry");
        self.retry_at = Some(now.at + RETRY_AFTER);
        for answer in batch.answers {
            answer.refuse(error.clone().into());
        }
        for (key, doomed) in &batch.reaped {
            self.live.settle_removal(key, doomed);
        }
        for name in &batch.refreshed_nodes {
            self.reveal_node(name, now);
        }
        for key in batch.refreshed {
            self.reveal(&key, now);
            self.unsaved.insert(key);
        }
    }

    /// Shows an instance as memory has it, stored or not.
    pub(super) fn reveal(&mut self, key: &InstanceKey, now: Now) {
        let Some(held) = self.catalog.instance(key).cloned() else {
            return;
        };
        let (next, _) = Draft::new(&self.catalog, &self.live, now.wall).restated(&held);
        let next = next.stamped(held.modify_revision);
        if next != *held {
            self.live.weigh(&next, now);
            self.catalog.show_instance(Arc::new(next));
            self.changed = true;
        }
    }

    pub(super) fn reveal_node(&mut self, name: &Id, now: Now) {
        let Some(held) = self.catalog.nodes.get(name).cloned() else {
            return;
        };
        let node = Draft::new(&self.catalog, &self.live, now.wall).restated_node(&held).0;
        let node = node.stamped(held.modify_revision);
        if node != *held {
            self.catalog.put_node(&node, 0);
            self.changed = true;
        }
    }
}
