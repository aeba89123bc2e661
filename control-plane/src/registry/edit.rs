//! Changing a catalog: only the owner of the registry does, one stored transaction at a time. Keeps the two
//! views (by service, by node) and the removals in step; it knows neither commands nor the store.

use std::{collections::BTreeMap, sync::Arc};

use weft_model::name::{Id, InstanceKey, ServiceName};

use super::{Catalog, Check, Instance, Node, ServiceView};
use crate::store::Revision;

/// Services that are gone and remembered one by one; of the others only the newest revision is.
pub(super) const REMOVED_MAX: usize = 1_024;

impl Catalog {
    /// Adds or replaces an instance that was written at `revision`.
    pub(super) fn put_instance(&mut self, instance: Arc<Instance>, revision: Revision) {
        self.changed = self.changed.max(revision);
        self.removed.remove(&instance.key.service);
        self.imply_node(&instance, revision);
        let service = self.services.entry(instance.key.service.clone()).or_insert_with_key(|name| {
            Arc::new(ServiceView { name: name.clone(), modified: 0, instances: Vec::new() })
        });
        let service = Arc::make_mut(service);
        service.modified = service.modified.max(revision);
        match service.instances.binary_search_by(|held| held.key.cmp(&instance.key)) {
            Ok(at) => {
                if let Some(held) = service.instances.get_mut(at) {
                    *held = instance;
                }
            }
            Err(at) => service.instances.insert(at, instance),
        }
    }

    /// Shows an instance as it is in memory: no revision changes.
    pub(super) fn show_instance(&mut self, instance: Arc<Instance>) {
        self.put_instance(instance, 0);
    }

    /// Removes an instance, with its service and its implied node if it was the last.
    pub(super) fn remove_instance(&mut self, key: &InstanceKey, revision: Revision) {
        self.changed = self.changed.max(revision);
        let Some(service) = self.services.get_mut(&key.service) else {
            return;
        };
        let view = Arc::make_mut(service);
        view.instances.retain(|instance| instance.key != *key);
        view.modified = view.modified.max(revision);
        if view.instances.is_empty() {
            self.services.remove(&key.service);
            self.remember_removed(key.service.clone(), revision);
        }
        self.leave_node(key, revision);
    }

    /// Adds or replaces a node that was written at `revision`; its instances stay.
    pub(super) fn put_node(&mut self, node: &Node, revision: Revision) {
        self.changed = self.changed.max(revision);
        let instances = self.nodes.get(&node.name).map(|held| held.instances.clone()).unwrap_or_default();
        self.nodes.insert(node.name.clone(), Arc::new(Node { instances, ..node.clone() }));
    }

    /// Removes a node; if there are instances on it, it stays as one that they imply.
    pub(super) fn remove_node(&mut self, name: &Id, revision: Revision) {
        self.changed = self.changed.max(revision);
        let Some(held) = self.nodes.get_mut(name) else {
            return;
        };
        if held.instances.is_empty() {
            self.nodes.remove(name);
            return;
        }
        let node = Arc::make_mut(held);
        node.registered = false;
        node.checks = BTreeMap::new();
        node.meta = BTreeMap::new();
        node.modify_revision = revision;
    }

    fn imply_node(&mut self, instance: &Instance, revision: Revision) {
        let node = self.nodes.entry(instance.key.node.clone()).or_insert_with_key(|name| {
            Arc::new(Node {
                name: name.clone(),
                address: instance.address.clone(),
                meta: BTreeMap::new(),
                checks: BTreeMap::new(),
                registered: false,
                instances: Vec::new(),
                create_revision: instance.create_revision,
                modify_revision: revision,
            })
        });
        if let Err(at) = node.instances.binary_search(&instance.key) {
            let node = Arc::make_mut(node);
            node.instances.insert(at, instance.key.clone());
            if !node.registered {
                node.modify_revision = node.modify_revision.max(revision);
            }
        }
    }

    fn leave_node(&mut self, key: &InstanceKey, revision: Revision) {
        let Some(held) = self.nodes.get_mut(&key.node) else {
            return;
        };
        let node = Arc::make_mut(held);
        node.instances.retain(|instance| instance != key);
        if node.instances.is_empty() && !node.registered {
            self.nodes.remove(&key.node);
        } else if !node.registered {
            node.modify_revision = node.modify_revision.max(revision);
        }
    }

    fn remember_removed(&mut self, service: ServiceName, revision: Revision) {
        self.removed.insert(service, revision);
        if self.removed.len() > REMOVED_MAX {
            let oldest = self.removed.iter().min_by_key(|(_, revision)| **revision);
            if let Some((name, revision)) = oldest.map(|(name, revision)| (name.clone(), *revision)) {
                self.removed.remove(&name);
                self.forgotten = self.forgotten.max(revision);
            }
        }
    }
}

impl Instance {
    /// Puts the revision of its write where it was not known yet.
    pub(super) fn stamped(mut self, revision: Revision) -> Self {
        stamp(&mut self.create_revision, revision);
        stamp(&mut self.modify_revision, revision);
        self.checks.values_mut().for_each(|check| check.stamp(revision));
        self
    }
}

impl Node {
    /// Puts the revision of its write where it was not known yet.
    pub(super) fn stamped(mut self, revision: Revision) -> Self {
        stamp(&mut self.create_revision, revision);
        stamp(&mut self.modify_revision, revision);
        self.checks.values_mut().for_each(|check| check.stamp(revision));
        self
    }
}

impl Check {
    fn stamp(&mut self, revision: Revision) {
        stamp(&mut self.create_revision, revision);
        stamp(&mut self.modify_revision, revision);
    }
}

fn stamp(field: &mut Revision, revision: Revision) {
    if *field == 0 {
        *field = revision;
    }
}
