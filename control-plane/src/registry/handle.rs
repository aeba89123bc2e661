//! The door of the registry: commands in, catalogs out. Clones are cheap.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use weft_model::{
    check::CheckSpec,
    endpoint::{Health, HopTarget, Port},
    name::{Id, InstanceKey, ServiceName},
};

use super::{Catalog, Origin, TaggedAddress};
use crate::store::{Revision, StoreError};

/// What to register, whoever asks.
#[derive(Debug, Clone)]
pub struct Registration {
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
    /// Share of traffic while passing.
    pub weight: u16,
    /// Share of traffic while warning.
    pub weight_warning: u16,
    /// Consul's `TaggedAddresses`; empty for an attached instance.
    pub tagged_addresses: BTreeMap<String, TaggedAddress>,
    /// Consul's `EnableTagOverride`.
    pub enable_tag_override: bool,
    /// Where it stands.
    pub zone: String,
    /// How it is reached.
    pub hop: HopTarget,
    /// Who keeps it alive.
    pub origin: Origin,
    /// The checks to make with it (Consul's `Check` and `Checks`).
    pub checks: Vec<CheckRegistration>,
    /// Whether checks of the same instance that are not among them go (Consul's `replace-existing-checks`);
    /// by default they stay. An attached instance's checks are its sidecar's, so none are made here.
    pub replace_checks: bool,
    /// Removed after being critical for so long. `None`: never (Consul's default for agent services);
    /// an attached instance has 60 s.
    pub deregister_after: Option<Duration>,
}

/// A check to register.
#[derive(Debug, Clone)]
pub struct CheckRegistration {
    /// Unique a node; empty = `service:<instance id>`, or the name for a node's check, as Consul does.
    pub id: String,
    /// For people; empty = `Service '<name>' check`, as Consul does.
    pub name: String,
    /// Free text.
    pub notes: String,
    /// What is done; `None` = only reported to.
    pub spec: Option<CheckSpec>,
    /// What it says until it has run; Consul's default is critical.
    pub initial: Health,
    /// Output given with it (catalog registration).
    pub output: String,
    /// Consul's `DeregisterCriticalServiceAfter`.
    pub deregister_after: Option<Duration>,
}

/// Why the registry did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No instance by that id on that node.
    #[error("unknown service ID {id:?} on node {node}")]
    NoInstance {
        /// The node.
        node: Id,
        /// The id asked for.
        id: String,
    },
    /// No check by that id on that node.
    #[error("unknown check ID {id:?} on node {node}")]
    NoCheck {
        /// The node.
        node: Id,
        /// The id asked for.
        id: String,
    },
    /// A TTL report for a check of another kind.
    #[error("check ID {id:?} is not a TTL check")]
    NotTtl {
        /// The id asked for.
        id: String,
    },
    /// A younger incarnation holds the id.
    #[error(
        "{key} is held by a newer incarnation {held}; this one is {offered}: give another --instance, or stop the other"
    )]
    OldIncarnation {
        /// The instance.
        key: InstanceKey,
        /// Who holds it.
        held: u64,
        /// Who asked.
        offered: u64,
    },
    /// Too many of something.
    #[error("{what} is over its limit of {limit}")]
    Limit {
        /// Names the limit.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry is closing.
    #[error("the registry is closed")]
    Closed,
}

/// The registry.
#[derive(Clone)]
pub struct Registry {
    catalog: watch::Receiver<Arc<Catalog>>,
}

/// An attached instance: as long as this is renewed, the instance lives. Dropping it without
/// [`Lease::deregister`] lets the lease run out (a crash).
pub struct Lease {
    key: InstanceKey,
}

#[allow(
    clippy::unused_async,
    clippy::todo,
    unused_variables,
    missing_docs,
    reason = "stub: the registry helper replaces all of it"
)]
impl Registry {
    /// Now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// Now and all that comes; a slow reader sees only the newest.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// Registers or replaces. Answered when it is in the store and the catalog shows it.
    pub async fn register(&self, registration: Registration) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Removes an instance from whatever service it is of.
    pub async fn deregister(&self, node: Id, id: &str) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Adds a check to a node, or to the instance `instance` on it (Consul's `ServiceID`).
    pub async fn register_check(
        &self,
        node: Id,
        instance: Option<String>,
        check: CheckRegistration,
    ) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Removes a check of a node or of an instance on it.
    pub async fn deregister_check(&self, node: Id, check: &str) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// A TTL check reports.
    pub async fn report_check(
        &self,
        node: Id,
        check: &str,
        health: Health,
        output: String,
    ) -> Result<(), RegistryError> {
        todo!()
    }

    /// Takes an instance out of service, or back in.
    pub async fn maintenance(
        &self,
        node: Id,
        id: &str,
        reason: Option<String>,
    ) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Registers or replaces a node (catalog API).
    pub async fn register_node(
        &self,
        name: Id,
        address: String,
        meta: BTreeMap<String, String>,
    ) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Removes a node with all that is on it (catalog API).
    pub async fn deregister_node(&self, name: Id) -> Result<Revision, RegistryError> {
        todo!()
    }

    /// Registers an instance that a sidecar holds by its stream. `incarnation` decides between two that
    /// claim one key.
    pub async fn attach(
        &self,
        registration: Registration,
        incarnation: u64,
        health: Health,
        reason: String,
    ) -> Result<Lease, RegistryError> {
        todo!()
    }
}

#[allow(
    clippy::unused_async,
    clippy::todo,
    unused_variables,
    missing_docs,
    reason = "stub: the registry helper replaces all of it"
)]
impl Lease {
    /// Which instance.
    pub fn key(&self) -> &InstanceKey {
        &self.key
    }

    /// A heartbeat came: memory only, never a commit. False when another incarnation took the id over.
    pub fn renew(&self) -> bool {
        todo!()
    }

    /// What the sidecar's own checks say.
    pub async fn report(&self, health: Health, reason: String) -> Result<(), RegistryError> {
        todo!()
    }

    /// The instance stops: it is gone at once.
    pub async fn deregister(self) -> Result<(), RegistryError> {
        todo!()
    }
}

/// So that the stub has a user of every import.
#[doc(hidden)]
pub type _Stub = (ServiceName,);
