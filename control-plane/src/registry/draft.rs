//! What the next commit will write: changes applied one after the other on top of the catalog, without touching
//! it. Pure; if the commit fails the draft is dropped, and nothing has to be taken back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use bytes::Bytes;
use weft_model::{
    endpoint::Health,
    name::{Id, InstanceKey},
};

use super::{
    Catalog, Check, CheckRegistration, Instance, Node, RegistryError,
    command::Change,
    live::{CheckKey, Live, Target},
    maintenance_check_id, record,
    status::{assess, restate},
};

mod checks;
mod instances;

/// Keys of a draft after which it takes no more changes; one change adds up to 33, which stays below the
/// store's limit.
const KEYS_FULL: usize = 90;
/// Bytes of a draft after which it takes no more changes; likewise.
const BYTES_FULL: usize = 512 * 1024;

/// A draft in the making.
pub(super) struct Draft<'a> {
    catalog: &'a Catalog,
    live: &'a Live,
    now: SystemTime,
    writes: Writes,
}

/// What a commit writes. `None` = removed.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) instances: BTreeMap<InstanceKey, Option<Written<Instance>>>,
    pub(super) nodes: BTreeMap<Id, Option<Written<Node>>>,
    /// Checks whose state was given by a change, so that it goes before what memory says.
    pub(super) assigned: BTreeSet<CheckKey>,
}

/// A value and its record.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

/// Whether a change is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    /// It needs a further commit: apply it again there.
    More,
}

/// What a sidecar says when it attaches.
#[derive(Clone, Copy)]
struct Attached<'a> {
    incarnation: u64,
    health: Health,
    reason: &'a str,
}

impl<'a> Draft<'a> {
    pub(super) fn new(catalog: &'a Catalog, live: &'a Live, now: SystemTime) -> Self {
        Self { catalog, live, now, writes: Writes::default() }
    }

    pub(super) fn into_writes(self) -> Writes {
        self.writes
    }

    /// Whether it should be committed before more is applied.
    pub(super) fn is_full(&self) -> bool {
        self.writes.len() >= KEYS_FULL || self.writes.bytes() >= BYTES_FULL
    }

    /// Applies one change, or refuses it and is as before.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Progress, RegistryError> {
        match change {
            Change::Register(registration) => self.register(registration, None)?,
            Change::Attach { registration, incarnation, health, reason } => {
                let attached = Attached { incarnation: *incarnation, health: *health, reason };
                self.register(registration, Some(attached))?;
            }
            Change::Deregister { node, id } => {
                let key = self.find(node, id)?.key.clone();
                self.remove_instance(key);
            }
            Change::Detach { key, .. } | Change::Reap { key, .. } => self.remove_instance(key.clone()),
            Change::RegisterCheck { node, instance: Some(id), check } => {
                self.register_check(node, id, CheckRegistration::clone(check))?;
            }
            Change::RegisterCheck { node, instance: None, check } => {
                self.register_node_check(node, CheckRegistration::clone(check))?;
            }
            Change::DeregisterCheck { node, check } => self.deregister_check(node, check)?,
            Change::Maintenance { node, id, reason } => self.maintain(node, id, reason.as_deref())?,
            Change::RegisterNode { name, address, meta } => self.register_node(name, address, meta)?,
            Change::DeregisterNode { name } => return Ok(self.deregister_node(name)),
        }
        Ok(Progress::Done)
    }

    /// Takes over what memory says of an instance's checks. `force` writes it even if readers see it already.
    pub(super) fn refresh(&mut self, key: &InstanceKey, force: bool) -> Result<(), RegistryError> {
        let Some(held) = self.instance(key) else {
            return Ok(());
        };
        let (next, matters) = self.restated(held);
        if matters || force { self.put_instance(next) } else { Ok(()) }
    }

    /// The same for a node's own checks. Its instances are refreshed by themselves.
    pub(super) fn refresh_node(&mut self, name: &Id) -> Result<(), RegistryError> {
        let Some(held) = self.node(name).filter(|node| node.registered) else {
            return Ok(());
        };
        let (next, matters) = self.restated_node(held);
        if matters { self.put_node(next) } else { Ok(()) }
    }

    /// A node as it would be with what memory says, and whether that must be stored.
    pub(super) fn restated_node(&self, held: &Node) -> (Node, bool) {
        let mut next = held.clone();
        let mut matters = false;
        for check in next.checks.values_mut() {
            matters |= self.restate(&held.name, &Target::Node, check);
        }
        (next, matters)
    }

    /// An instance as it would be with what memory says, and whether that must be stored.
    pub(super) fn restated(&self, held: &Instance) -> (Instance, bool) {
        let mut next = held.clone();
        let mut matters = false;
        let target = Target::Instance(held.key.clone());
        for check in next.checks.values_mut() {
            matters |= self.restate(&held.key.node, &target, check);
        }
        assess(&mut next, self.node(&held.key.node), self.now);
        matters |= next.health != held.health || next.reason != held.reason;
        (next, matters)
    }

    fn restate(&self, node: &Id, target: &Target, check: &mut Check) -> bool {
        let key = CheckKey { node: node.clone(), id: check.id.clone() };
        if self.writes.assigned.contains(&key) {
            return false;
        }
        self.live.state(&key, target).is_some_and(|state| restate(check, state))
    }

    fn assign(&mut self, node: &Id, id: &str) {
        self.writes.assigned.insert(CheckKey { node: node.clone(), id: id.to_owned() });
    }

    fn find(&self, node: &Id, id: &str) -> Result<&Instance, RegistryError> {
        let written = self
            .writes
            .instances
            .iter()
            .filter_map(|(key, written)| written.as_ref().filter(|_| key.node == *node))
            .map(|written| &written.value)
            .find(|instance| instance.key.id.as_str() == id);
        let held =
            || self.catalog.find(node, id).filter(|held| !self.writes.instances.contains_key(&held.key));
        written
            .or_else(|| held().map(|held| &**held))
            .ok_or_else(|| RegistryError::NoInstance { node: node.clone(), id: id.to_owned() })
    }

    fn instance(&self, key: &InstanceKey) -> Option<&Instance> {
        match self.writes.instances.get(key) {
            Some(written) => written.as_ref().map(|written| &written.value),
            None => self.catalog.instance(key).map(|held| &**held),
        }
    }

    fn on_node(&self, node: &Id) -> impl Iterator<Item = &Instance> {
        let held = self.catalog.instances_on(node).map(|held| &**held);
        let held = held.filter(|held| !self.writes.instances.contains_key(&held.key));
        let written = self.writes.instances.values().flatten().map(|written| &written.value);
        held.chain(written.filter(|instance| instance.key.node == *node).collect::<Vec<_>>())
    }

    fn node(&self, name: &Id) -> Option<&Node> {
        match self.writes.nodes.get(name) {
            Some(written) => written.as_ref().map(|written| &written.value),
            None => self.catalog.nodes.get(name).map(|held| &**held),
        }
    }

    fn put_instance(&mut self, mut instance: Instance) -> Result<(), RegistryError> {
        instance.modify_revision = 0;
        let bytes = record::encode_instance(&instance)?;
        self.writes.instances.insert(instance.key.clone(), Some(Written { value: instance, bytes }));
        Ok(())
    }

    fn remove_instance(&mut self, key: InstanceKey) {
        self.writes.instances.insert(key, None);
    }

    fn put_node(&mut self, mut node: Node) -> Result<(), RegistryError> {
        node.modify_revision = 0;
        let bytes = record::encode_node(&node)?;
        self.writes.nodes.insert(node.name.clone(), Some(Written { value: node, bytes }));
        Ok(())
    }
}

impl Writes {
    pub(super) fn len(&self) -> usize {
        self.instances.len() + self.nodes.len()
    }

    fn bytes(&self) -> usize {
        let instances = self.instances.values().flatten().map(|written| written.bytes.len());
        instances.chain(self.nodes.values().flatten().map(|written| written.bytes.len())).sum()
    }
}

/// Maintenance is a person's decision and outlives a new registration, as in Consul.
fn kept_maintenance(held: Option<&Instance>) -> BTreeMap<String, Check> {
    let Some(held) = held else {
        return BTreeMap::new();
    };
    let id = maintenance_check_id(held.key.id.as_str());
    held.checks.get(&id).map(|check| (id.clone(), check.clone())).into_iter().collect()
}
