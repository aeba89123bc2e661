//! What callers hand in to be registered, its limits and Consul's defaults. What becomes of it is the draft's.

use std::{collections::BTreeMap, time::Duration};

use weft_model::{
    check::CheckSpec,
    endpoint::{Health, HopTarget, Port},
    name::InstanceKey,
};

use super::{Origin, RegistryError, TaggedAddress};

/// Instances in the registry. A catalog is held and diffed as a whole; beyond this it needs another shape.
pub const INSTANCES_MAX: usize = 100_000;
/// Nodes registered by themselves.
pub const NODES_MAX: usize = 20_000;
/// Tags of an instance (Consul has no limit).
pub const TAGS_MAX: usize = 128;
/// Bytes of one tag (Consul has no limit).
pub const TAG_LENGTH_MAX: usize = 512;
/// Ports of an instance.
pub const PORTS_MAX: usize = 16;
/// Pairs of meta, as in Consul (`metaMaxKeyPairs`).
pub const META_PAIRS_MAX: usize = 64;
/// Bytes of a meta key, as in Consul (`metaKeyMaxLength`).
pub const META_KEY_LENGTH_MAX: usize = 128;
/// Bytes of a meta value, as in Consul (`metaValueMaxLength`).
pub const META_VALUE_LENGTH_MAX: usize = 512;
/// Checks of an instance or a node.
pub const CHECKS_MAX: usize = 32;
/// Bytes of a check's id, name, notes and of an address.
pub const TEXT_LENGTH_MAX: usize = 1_024;

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
    /// Unique a node; empty = `service:<instance id>` (with `:1`, `:2`, … where there are several), or the
    /// name for a check registered by itself, as Consul does.
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

impl Registration {
    /// Gives the checks their ids and names, then holds all of it against the limits.
    pub(super) fn complete(&mut self) -> Result<(), RegistryError> {
        let alone = self.checks.len() == 1;
        for (check, number) in self.checks.iter_mut().zip(1..) {
            if check.id.is_empty() {
                check.id = match alone {
                    true => service_check_id(self.key.id.as_str()),
                    false => format!("{}:{number}", service_check_id(self.key.id.as_str())),
                };
            }
            check.complete(self.key.service.name.as_str())?;
        }
        at_most("checks of an instance", self.checks.len(), CHECKS_MAX)?;
        at_most("ports of an instance", self.ports.len(), PORTS_MAX)?;
        at_most("tags of an instance", self.tags.len(), TAGS_MAX)?;
        at_most("bytes of a tag", longest(&self.tags), TAG_LENGTH_MAX)?;
        at_most("bytes of an address", self.address.len().max(self.zone.len()), TEXT_LENGTH_MAX)?;
        at_most("tagged addresses of an instance", self.tagged_addresses.len(), PORTS_MAX)?;
        check_meta(&self.meta)
    }
}

impl CheckRegistration {
    /// Fills in Consul's default name, then holds it against the limits.
    pub(super) fn complete(&mut self, service: &str) -> Result<(), RegistryError> {
        if self.name.is_empty() {
            self.name = format!("Service '{service}' check");
        }
        let longest = self.id.len().max(self.name.len()).max(self.notes.len());
        at_most("bytes of a check's id, name or notes", longest, TEXT_LENGTH_MAX)
    }
}

/// The id of the check that a service has by itself, as Consul names it. An attached instance has one of this
/// id, which shows its lease and what its sidecar says.
pub fn service_check_id(instance: &str) -> String {
    format!("service:{instance}")
}

/// The id of the check that takes an instance out of service, as Consul names it.
pub fn maintenance_check_id(instance: &str) -> String {
    format!("_service_maintenance:{instance}")
}

/// Consul's limits on meta.
pub(super) fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), RegistryError> {
    at_most("pairs of meta", meta.len(), META_PAIRS_MAX)?;
    at_most("bytes of a meta key", longest(meta.keys()), META_KEY_LENGTH_MAX)?;
    at_most("bytes of a meta value", longest(meta.values()), META_VALUE_LENGTH_MAX)
}

/// A limit by name.
pub(super) fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), RegistryError> {
    if count > limit { Err(RegistryError::Limit { what, limit }) } else { Ok(()) }
}

fn longest<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(String::len).max().unwrap_or(0)
}
