//! What the next commit will write: changes applied one after the other on top of the catalog, without touching
//! it. Pure; if the commit fails the draft is dropped, and nothing has to be taken back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use bytes::Bytes;
use weft_model::{
    endpoint::Health,
    health::{OUTPUT_LENGTH_MAX, shorten},
    name::{Id, InstanceKey},
};

use super::{
    Catalog, Check, CheckRegistration, Instance, Node, Origin, Registration, RegistryError,
    command::Change,
    live::{CheckKey, Live, Target},
    maintenance_check_id, record,
    registration::{CHECKS_MAX, INSTANCES_MAX, NODES_MAX, TEXT_LENGTH_MAX, at_most, check_meta},
    service_check_id,
    status::{assess, restate},
};

/// Keys of a draft after which it takes no more changes; one change adds up to 33, which stays below the
/// store's limit.
const KEYS_FULL: usize = 90;
/// Bytes of a draft after which it takes no more changes; likewise.
const BYTES_FULL: usize = 512 * 1024;
/// What Consul writes into the check of a maintenance that gives no reason.
const MAINTENANCE_REASON: &str =
    "Maintenance mode is enabled for this service, but no reason was provided. This is a default message.";

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

    fn register(
        &mut self,
        registration: &Registration,
        attached: Option<Attached<'_>>,
    ) -> Result<(), RegistryError> {
        let key = &registration.key;
        let holder = self.find(&key.node, key.id.as_str()).ok().cloned();
        if let (Some(attached), Some(holder)) = (attached, &holder) {
            let (held, offered) = (holder.incarnation, attached.incarnation);
            if holder.origin == Origin::Attach && held > offered {
                return Err(RegistryError::OldIncarnation { key: holder.key.clone(), held, offered });
            }
        }
        if holder.is_none() {
            at_most("instances", self.catalog.instance_count() + 1, INSTANCES_MAX)?;
        }
        let same = holder.as_ref().filter(|holder| holder.key == *key);
        let mut instance = self.instance_of(registration, same);
        match attached {
            Some(attached) => self.attach_check(&mut instance, same, attached),
            None => self.add_checks(&mut instance, registration, same),
        }
        at_most("checks of an instance", instance.checks.len(), CHECKS_MAX)?;
        assess(&mut instance, self.node(&key.node), self.now);
        self.evict_checks(&instance);
        if same != Some(&instance) {
            self.put_instance(instance)?;
        }
        if let Some(other) = holder.filter(|holder| holder.key != *key) {
            self.remove_instance(other.key);
        }
        Ok(())
    }

    /// The instance without its checks, which goes on from the one that is there.
    fn instance_of(&self, registration: &Registration, held: Option<&Instance>) -> Instance {
        let wanted = registration.clone();
        Instance {
            key: wanted.key,
            address: wanted.address,
            ports: wanted.ports,
            tags: wanted.tags,
            meta: wanted.meta,
            weight: wanted.weight,
            weight_warning: wanted.weight_warning,
            tagged_addresses: wanted.tagged_addresses,
            enable_tag_override: wanted.enable_tag_override,
            zone: wanted.zone,
            hop: wanted.hop,
            origin: wanted.origin,
            health: held.map_or(Health::Passing, |held| held.health),
            reason: held.map(|held| held.reason.clone()).unwrap_or_default(),
            cause: held.map(|held| held.cause.clone()).unwrap_or_default(),
            since: held.map_or(self.now, |held| held.since),
            deregister_after: wanted.deregister_after,
            incarnation: 0,
            checks: BTreeMap::new(),
            create_revision: held.map_or(0, |held| held.create_revision),
            modify_revision: held.map_or(0, |held| held.modify_revision),
        }
    }

    /// An attached instance has one check, which shows its lease and what its sidecar says, and maintenance.
    fn attach_check(&mut self, instance: &mut Instance, held: Option<&Instance>, attached: Attached<'_>) {
        let id = service_check_id(instance.key.id.as_str());
        let given = CheckRegistration {
            id: id.clone(),
            name: "Weft sidecar".to_owned(),
            notes: String::new(),
            spec: None,
            initial: attached.health,
            output: attached.reason.to_owned(),
            deregister_after: None,
        };
        let check = self.check_of(&given, held.and_then(|held| held.checks.get(&id)), true);
        instance.incarnation = attached.incarnation;
        self.assign(&instance.key.node, &id);
        instance.checks = kept_maintenance(held);
        instance.checks.insert(id, check);
    }

    fn add_checks(&mut self, instance: &mut Instance, wanted: &Registration, held: Option<&Instance>) {
        // Whoever registers by the catalog API says how the checks are; an agent's checks find out.
        let assigned = wanted.origin == Origin::Catalog;
        instance.checks = match held {
            Some(held) if !wanted.replace_checks && held.origin != Origin::Attach => held.checks.clone(),
            held => kept_maintenance(held),
        };
        for given in &wanted.checks {
            let before = held.filter(|held| held.origin != Origin::Attach);
            let check =
                self.check_of(given, before.and_then(|before| before.checks.get(&given.id)), assigned);
            if assigned {
                self.assign(&instance.key.node, &given.id);
            }
            instance.checks.insert(given.id.clone(), check);
        }
    }

    /// A check as wanted, which goes on from the one that is there: with its state, unless that is `assigned`.
    fn check_of(&self, wanted: &CheckRegistration, held: Option<&Check>, assigned: bool) -> Check {
        let output = shorten(&wanted.output, OUTPUT_LENGTH_MAX);
        let mut check = Check {
            id: wanted.id.clone(),
            name: wanted.name.clone(),
            notes: wanted.notes.clone(),
            spec: wanted.spec.clone(),
            health: wanted.initial,
            output,
            since: self.now,
            deregister_after: wanted.deregister_after,
            create_revision: 0,
            modify_revision: 0,
        };
        let Some(held) = held else {
            return check;
        };
        if !assigned {
            (check.health, check.output) = (held.health, held.output.clone());
        }
        if check.health == held.health {
            check.since = held.since;
        }
        check.create_revision = held.create_revision;
        check.modify_revision = held.modify_revision;
        if check != *held {
            check.modify_revision = 0;
        }
        check
    }

    fn register_check(
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

    fn register_node_check(&mut self, name: &Id, mut wanted: CheckRegistration) -> Result<(), RegistryError> {
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

    fn deregister_check(&mut self, node: &Id, id: &str) -> Result<(), RegistryError> {
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

    fn maintain(&mut self, node: &Id, id: &str, reason: Option<&str>) -> Result<(), RegistryError> {
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

    fn register_node(
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

    fn deregister_node(&mut self, name: &Id) -> Progress {
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
    fn node_of(&self, name: &Id, held: Option<&Node>) -> Node {
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

    /// Check ids are unique a node: whoever registers one takes it away from where it was.
    fn evict_checks(&mut self, instance: &Instance) {
        let node = &instance.key.node;
        let taken: Vec<(InstanceKey, String)> = self
            .on_node(node)
            .filter(|other| other.key != instance.key && other.key.id != instance.key.id)
            .flat_map(|other| other.checks.keys().map(|id| (other.key.clone(), id.clone())))
            .filter(|(_, id)| instance.checks.contains_key(id))
            .collect();
        for (key, id) in taken {
            // A record that loses a check cannot become too large.
            drop(self.drop_check(&key, &id));
        }
    }

    fn drop_check(&mut self, key: &InstanceKey, id: &str) -> Result<(), RegistryError> {
        let Some(mut instance) = self.instance(key).cloned() else {
            return Ok(());
        };
        instance.checks.remove(id);
        assess(&mut instance, self.node(&key.node), self.now);
        self.put_instance(instance)
    }

    fn check_holder(&self, node: &Id, id: &str) -> Option<InstanceKey> {
        self.on_node(node).find(|instance| instance.checks.contains_key(id)).map(|held| held.key.clone())
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
