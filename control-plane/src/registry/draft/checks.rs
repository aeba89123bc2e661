//! Checks, maintenance and nodes in a draft.

use std::collections::BTreeMap;

use weft_model::{
    endpoint::Health,
    name::{Id, InstanceKey},
};

use super::{Draft, Progress};
use crate::registry::{
    CheckRegistration, Node, RegistryError, maintenance_check_id,
    registration::{CHECKS_MAX, NODES_MAX, TEXT_LENGTH_MAX, at_most, check_meta},
    service_check_id,
    status::assess,
};

/// What Consul writes into the check of a maintenance that gives no reason.
const MAINTENANCE_REASON: &str =
    "Maintenance mode is enabled for this service, but no reason was provided. This is a default message.";

impl Draft<'_> {
    pub(super) fn register_check(
        &mut self,
        node: &Id,
        id: &str,
        mut wanted: CheckRegistration,
    ) -> Result<(), RegistryError> {
        let held = self.find(node, id)?.clone();
        if wanted.id.is_empty() {
            wanted.id = if wanted.name.is_empty() { service_check_id(id) } else { wanted.name.clone() };
        }
        wanted.complete(held.key.service.name.as_str())?;
        let check = self.check_of(&wanted, held.checks.get(&wanted.id), wanted.spec.is_none());
        let mut instance = held.clone();
        if wanted.spec.is_none() {
            self.assign(node, &wanted.id);
        }
        instance.checks.insert(wanted.id, check);
        at_most("checks of an instance", instance.checks.len(), CHECKS_MAX)?;
        assess(&mut instance, self.node(node), self.now);
        self.evict_checks(&instance);
        if instance == held { Ok(()) } else { self.put_instance(instance) }
    }

    pub(super) fn register_node_check(
        &mut self,
        name: &Id,
        mut wanted: CheckRegistration,
    ) -> Result<(), RegistryError> {
        if wanted.id.is_empty() {
            wanted.id.clone_from(&wanted.name);
        }
        wanted.complete(name.as_str())?;
        let held = self.node(name).cloned();
        let mut node = self.node_of(name, held.as_ref());
        let before = node.checks.get(&wanted.id);
        let check = self.check_of(&wanted, before, wanted.spec.is_none());
        if wanted.spec.is_none() {
            self.assign(name, &wanted.id);
        }
        if let Some(holder) = self.check_holder(name, &wanted.id) {
            self.drop_check(&holder, &wanted.id)?;
        }
        node.checks.insert(wanted.id, check);
        at_most("checks of a node", node.checks.len(), CHECKS_MAX)?;
        if held.as_ref() == Some(&node) { Ok(()) } else { self.put_node(node) }
    }

    pub(super) fn deregister_check(&mut self, node: &Id, id: &str) -> Result<(), RegistryError> {
        if let Some(holder) = self.check_holder(node, id) {
            return self.drop_check(&holder, id);
        }
        match self.node(node).filter(|held| held.checks.contains_key(id)) {
            Some(held) => {
                let mut next = Node::clone(held);
                next.checks.remove(id);
                self.put_node(next)
            }
            None => Err(RegistryError::NoCheck { node: node.clone(), id: id.to_owned() }),
        }
    }

    pub(super) fn maintain(
        &mut self,
        node: &Id,
        id: &str,
        reason: Option<&str>,
    ) -> Result<(), RegistryError> {
        let held = self.find(node, id)?.clone();
        let check_id = maintenance_check_id(id);
        let Some(reason) = reason else {
            return if held.checks.contains_key(&check_id) {
                self.drop_check(&held.key, &check_id)
            } else {
                Ok(())
            };
        };
        let wanted = CheckRegistration {
            id: check_id,
            name: "Service Maintenance Mode".to_owned(),
            notes: String::new(),
            spec: None,
            initial: Health::Critical,
            output: if reason.is_empty() { MAINTENANCE_REASON } else { reason }.to_owned(),
            deregister_after: None,
        };
        self.register_check(node, id, wanted)
    }

    pub(super) fn register_node(
        &mut self,
        name: &Id,
        address: &str,
        meta: &BTreeMap<String, String>,
    ) -> Result<(), RegistryError> {
        at_most("bytes of an address", address.len(), TEXT_LENGTH_MAX)?;
        check_meta(meta)?;
        let held = self.node(name).cloned();
        if held.is_none() {
            at_most("nodes", self.catalog.nodes.len() + 1, NODES_MAX)?;
        }
        let mut node = self.node_of(name, held.as_ref());
        address.clone_into(&mut node.address);
        node.meta.clone_from(meta);
        if held.as_ref() == Some(&node) { Ok(()) } else { self.put_node(node) }
    }

    pub(super) fn deregister_node(&mut self, name: &Id) -> Progress {
        let keys: Vec<InstanceKey> = self.on_node(name).map(|instance| instance.key.clone()).collect();
        for key in keys {
            if self.is_full() {
                return Progress::More;
            }
            self.remove_instance(key);
        }
        if self.node(name).is_some_and(|node| node.registered) {
            self.writes.nodes.insert(name.clone(), None);
        }
        Progress::Done
    }

    /// The node that is there, or a new one, as one registered by itself.
    pub(super) fn node_of(&self, name: &Id, held: Option<&Node>) -> Node {
        match held {
            Some(held) if held.registered => held.clone(),
            held => Node {
                name: name.clone(),
                address: held.map(|held| held.address.clone()).unwrap_or_default(),
                meta: BTreeMap::new(),
                checks: BTreeMap::new(),
                registered: true,
                instances: held.map(|held| held.instances.clone()).unwrap_or_default(),
                create_revision: 0,
                modify_revision: 0,
            },
        }
    }

    pub(super) fn drop_check(&mut self, key: &InstanceKey, id: &str) -> Result<(), RegistryError> {
        let Some(mut instance) = self.instance(key).cloned() else {
            return Ok(());
        };
        instance.checks.remove(id);
        assess(&mut instance, self.node(&key.node), self.now);
        self.put_instance(instance)
    }

    pub(super) fn check_holder(&self, node: &Id, id: &str) -> Option<InstanceKey> {
        self.on_node(node).find(|instance| instance.checks.contains_key(id)).map(|held| held.key.clone())
    }
}
