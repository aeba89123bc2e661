//! The registry as readers see it: one immutable value a change. Cheap to clone: all that did not change is
//! shared with the value before.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use weft_model::{
    check::CheckSpec,
    endpoint::{Health, HopTarget, Port},
    name::{Id, InstanceKey, ServiceName},
};

use crate::store::Revision;

/// Everything that is registered, at one revision of the store.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The revision of the store that this shows; `X-Consul-Index` of a read.
    pub revision: Revision,
    /// By name, so in order.
    pub services: BTreeMap<ServiceName, Arc<ServiceView>>,
    /// Every node that has an instance or was registered by itself.
    pub nodes: BTreeMap<Id, Arc<Node>>,
    /// For services that are gone: the revision at which they went, so that a blocking query wakes. Bounded.
    pub removed: BTreeMap<ServiceName, Revision>,
    /// The revision of the last change of any service or node.
    pub changed: Revision,
    /// Removals up to this revision may have been forgotten: a blocking query on a service that is not there
    /// must not wait for a change that it has missed.
    pub forgotten: Revision,
}

/// One service with all of its instances.
#[derive(Debug, Clone)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// The revision of the last change of any instance, removals included.
    pub modified: Revision,
    /// By node and id, so in order.
    pub instances: Vec<Arc<Instance>>,
}

/// A Consul node: where agents register. Nodes have no namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: Id,
    /// IP address or host name.
    pub address: String,
    /// Free key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Checks of the node itself, by check id; they count for all instances on it.
    pub checks: BTreeMap<String, Check>,
    /// Registered by itself (catalog API, a node's check): it stays when its last instance goes, and is in the
    /// store. Otherwise it is only implied by the instances on it.
    pub registered: bool,
    /// Instances on it, in order.
    pub instances: Vec<InstanceKey>,
    /// When it came.
    pub create_revision: Revision,
    /// When it last changed.
    pub modify_revision: Revision,
}

/// How an instance came to be registered, and so who keeps it alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By a sidecar's `Attach` stream: held by its lease.
    Attach,
    /// By `/v1/agent/service/register`: held by its checks.
    Agent,
    /// By `/v1/catalog/register`: nobody checks it.
    Catalog,
}

/// One replica of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Who it is.
    pub key: InstanceKey,
    /// IP address or host name.
    pub address: String,
    /// The first is Consul's `Port`.
    pub ports: Vec<Port>,
    /// Consul's tags.
    pub tags: Vec<String>,
    /// Consul's meta.
    pub meta: BTreeMap<String, String>,
    /// Share of traffic while passing (Consul's `Weights.Passing`).
    pub weight: u16,
    /// Share of traffic while warning (Consul's `Weights.Warning`).
    pub weight_warning: u16,
    /// Consul's `TaggedAddresses` (`lan`, `wan`, …), kept and given back.
    pub tagged_addresses: BTreeMap<String, TaggedAddress>,
    /// Consul's `EnableTagOverride`, kept and given back.
    pub enable_tag_override: bool,
    /// Where it stands; empty = unknown.
    pub zone: String,
    /// How it is reached.
    pub hop: HopTarget,
    /// Who keeps it alive.
    pub origin: Origin,
    /// Worst of its checks, its node's checks, its lease and its maintenance mode.
    pub health: Health,
    /// Why it is not passing.
    pub reason: String,
    /// The id of the check that made it so, its own or its node's; empty while it is passing.
    pub cause: String,
    /// Since when it is what it is.
    pub since: SystemTime,
    /// Removed after so long without a lease (attached) or critical by its checks (agent); `None`: never.
    pub deregister_after: Option<Duration>,
    /// Of the sidecar that holds it; 0 where none does.
    pub incarnation: u64,
    /// Its checks by check id, maintenance included as Consul has it (`_service_maintenance:<id>`).
    pub checks: BTreeMap<String, Check>,
    /// When it came.
    pub create_revision: Revision,
    /// When it last changed.
    pub modify_revision: Revision,
}

/// One of Consul's tagged addresses of an instance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaggedAddress {
    /// IP address or host name.
    pub address: String,
    /// 0 where none was given.
    pub port: u16,
}

/// One check and what it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Unique a node.
    pub id: String,
    /// For people.
    pub name: String,
    /// Free text given at registration.
    pub notes: String,
    /// What is done; `None` for one that is only reported to (catalog registration, lease, maintenance).
    pub spec: Option<CheckSpec>,
    /// What it says.
    pub health: Health,
    /// What the last run printed, shortened.
    pub output: String,
    /// Since when it says so.
    pub since: SystemTime,
    /// Consul's `DeregisterCriticalServiceAfter`.
    pub deregister_after: Option<Duration>,
    /// When it came.
    pub create_revision: Revision,
    /// When it last changed.
    pub modify_revision: Revision,
}

impl Catalog {
    /// The revision that a blocking query on one service waits on.
    pub fn service_index(&self, name: &ServiceName) -> Revision {
        self.services
            .get(name)
            .map(|service| service.modified)
            .or_else(|| self.removed.get(name).copied())
            .unwrap_or(self.forgotten)
    }

    /// One instance by key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<Instance>> {
        let instances = &self.services.get(&key.service)?.instances;
        let at = instances.binary_search_by(|instance| instance.key.cmp(key)).ok()?;
        instances.get(at)
    }

    /// One instance by its node and its id, which is unique there.
    pub fn find(&self, node: &Id, id: &str) -> Option<&Arc<Instance>> {
        let key = self.nodes.get(node)?.instances.iter().find(|key| key.id.as_str() == id)?;
        self.instance(key)
    }

    /// All instances of a node, in order.
    pub fn instances_on(&self, node: &Id) -> impl Iterator<Item = &Arc<Instance>> {
        let keys = self.nodes.get(node).map(|node| node.instances.as_slice()).unwrap_or_default();
        keys.iter().filter_map(|key| self.instance(key))
    }

    /// How many instances there are.
    pub fn instance_count(&self) -> usize {
        self.services.values().map(|service| service.instances.len()).sum()
    }
}
