//! Reading all that is stored at the start.

use std::{collections::BTreeSet, sync::Arc};

use tracing::error;

use super::Owner;
use crate::registry::{RegistryError, live::Now, record};

impl Owner {
    pub(super) async fn read_nodes(&mut self, now: Now) -> Result<(), RegistryError> {
        let mut after = None;
        loop {
            let page = self.store.range(record::NODES, after.as_deref(), usize::MAX).await?;
            self.catalog.revision = page.revision;
            for entry in &page.entries {
                match record::decode_node(entry) {
                    Ok(node) => {
                        self.live.adopt_node(&node, None, &BTreeSet::new(), now);
                        self.catalog.put_node(&node, node.modify_revision);
                    }
                    Err(error) => self.skipped(&error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) async fn read_instances(&mut self, now: Now) -> Result<(), RegistryError> {
        let mut after = None;
        loop {
            let page = self.store.range(record::INSTANCES, after.as_deref(), usize::MAX).await?;
            self.catalog.revision = page.revision;
            for entry in &page.entries {
                match record::decode_instance(entry) {
                    Ok(instance) => {
                        self.live.adopt(&instance, None, &BTreeSet::new(), now);
                        // Removals of before are forgotten, so that a service's index must not fall behind one
                        // that was answered before: all begin at the store's own.
                        self.catalog.put_instance(Arc::new(instance), page.revision);
                    }
                    Err(error) => self.skipped(&error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// One bad record must not take the others with it.
    pub(super) fn skipped(&self, error: &RegistryError) {
        self.stats.records_skipped.add(1);
        error!(%error, "a record is left out of the registry");
    }
}
