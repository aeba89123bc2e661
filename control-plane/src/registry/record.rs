//! Instances and nodes as they lie in the store: JSON with a version, one key each. The only place that knows
//! the keys and the encoding.
//!
//! A revision inside a record (of a check) is 0 where it is that of the write itself, which is not known
//! before; reading puts the key's in its place.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weft_model::{
    check::CheckSpec,
    endpoint::{Health, HopTarget, Port},
    health::shorten,
    name::{Id, InstanceKey, ServiceName},
};

use super::{Check, Instance, Node, Origin, RegistryError, TaggedAddress};
use crate::store::Versioned;

/// Prefix of all instances: `<prefix><namespace>/<node>/<service>/<id>`.
pub(super) const INSTANCES: &str = "/weft/1/instances/";
/// Prefix of all nodes. They have no namespace; `-` is none.
pub(super) const NODES: &str = "/weft/1/nodes/-/";
/// What is written now. A higher one was written by a newer program.
const VERSION: u32 = 1;
/// Bytes of a record. Keeps a commit of many below the store's limit.
const RECORD_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a check's output that are stored; after a restart the next run brings the rest.
const STORED_OUTPUT_MAX: usize = 512;

#[derive(Serialize, Deserialize)]
struct InstanceRecord {
    version: u32,
    service: ServiceName,
    node: Id,
    id: Id,
    address: String,
    ports: Vec<Port>,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    weight: u16,
    weight_warning: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<String, TaggedAddress>,
    #[serde(default)]
    enable_tag_override: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    zone: String,
    hop: HopTarget,
    origin: OriginRecord,
    #[serde(default)]
    incarnation: u64,
    deregister_after: Option<Duration>,
    health: Health,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cause: String,
    since_ms: u64,
    checks: Vec<CheckRecord>,
}

#[derive(Serialize, Deserialize)]
struct NodeRecord {
    version: u32,
    name: Id,
    address: String,
    meta: BTreeMap<String, String>,
    checks: Vec<CheckRecord>,
}

#[derive(Serialize, Deserialize)]
struct CheckRecord {
    id: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    notes: String,
    spec: Option<CheckSpec>,
    health: Health,
    output: String,
    since_ms: u64,
    deregister_after: Option<Duration>,
    create_revision: u64,
    modify_revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OriginRecord {
    Attach,
    Agent,
    Catalog,
}

/// Only the version, to tell a newer record from a damaged one.
#[derive(Deserialize)]
struct Stamp {
    version: u32,
}

/// Where an instance lies.
pub(super) fn instance_key(key: &InstanceKey) -> String {
    let InstanceKey { service, node, id } = key;
    let (namespace, name) = (service.namespace.as_str(), service.name.as_str());
    format!("{INSTANCES}{namespace}/{}/{name}/{}", escape(node.as_str()), escape(id.as_str()))
}

/// Where a node lies.
pub(super) fn node_key(name: &Id) -> String {
    format!("{NODES}{}", escape(name.as_str()))
}

/// An instance for the store.
///
/// # Errors
/// When it is too large.
pub(super) fn encode_instance(instance: &Instance) -> Result<Bytes, RegistryError> {
    let instance = instance.clone();
    encode(&InstanceRecord {
        version: VERSION,
        service: instance.key.service,
        node: instance.key.node,
        id: instance.key.id,
        address: instance.address,
        ports: instance.ports,
        tags: instance.tags,
        meta: instance.meta,
        weight: instance.weight,
        weight_warning: instance.weight_warning,
        tagged_addresses: instance.tagged_addresses,
        enable_tag_override: instance.enable_tag_override,
        zone: instance.zone,
        hop: instance.hop,
        origin: instance.origin.into(),
        incarnation: instance.incarnation,
        deregister_after: instance.deregister_after,
        health: instance.health,
        reason: instance.reason,
        cause: instance.cause,
        since_ms: to_ms(instance.since),
        checks: instance.checks.into_values().map(CheckRecord::from).collect(),
    })
}

/// A node for the store.
///
/// # Errors
/// When it is too large.
pub(super) fn encode_node(node: &Node) -> Result<Bytes, RegistryError> {
    encode(&NodeRecord {
        version: VERSION,
        name: node.name.clone(),
        address: node.address.clone(),
        meta: node.meta.clone(),
        checks: node.checks.values().cloned().map(CheckRecord::from).collect(),
    })
}

/// An instance from the store.
///
/// # Errors
/// When it is damaged or of a newer version.
pub(super) fn decode_instance(entry: &Versioned) -> Result<Instance, RegistryError> {
    let record: InstanceRecord = decode(entry)?;
    Ok(Instance {
        key: InstanceKey { service: record.service, node: record.node, id: record.id },
        address: record.address,
        ports: record.ports,
        tags: record.tags,
        meta: record.meta,
        weight: record.weight,
        weight_warning: record.weight_warning,
        tagged_addresses: record.tagged_addresses,
        enable_tag_override: record.enable_tag_override,
        zone: record.zone,
        hop: record.hop,
        origin: record.origin.into(),
        incarnation: record.incarnation,
        deregister_after: record.deregister_after,
        health: record.health,
        reason: record.reason,
        cause: record.cause,
        since: from_ms(record.since_ms),
        checks: decode_checks(record.checks, entry),
        create_revision: entry.create_revision,
        modify_revision: entry.mod_revision,
    })
}

/// A node from the store.
///
/// # Errors
/// When it is damaged or of a newer version.
pub(super) fn decode_node(entry: &Versioned) -> Result<Node, RegistryError> {
    let record: NodeRecord = decode(entry)?;
    Ok(Node {
        name: record.name,
        address: record.address,
        meta: record.meta,
        checks: decode_checks(record.checks, entry),
        registered: true,
        instances: Vec::new(),
        create_revision: entry.create_revision,
        modify_revision: entry.mod_revision,
    })
}

fn encode(record: &impl Serialize) -> Result<Bytes, RegistryError> {
    let bytes = serde_json::to_vec(record).expect("records have text keys and no failing serializer");
    super::registration::at_most("bytes of a registration", bytes.len(), RECORD_BYTES_MAX)?;
    Ok(bytes.into())
}

fn decode<T: serde::de::DeserializeOwned>(entry: &Versioned) -> Result<T, RegistryError> {
    let refused = |reason: String| RegistryError::Record { key: entry.key.to_string(), reason };
    let stamp: Stamp = serde_json::from_slice(&entry.value).map_err(|error| refused(error.to_string()))?;
    if stamp.version > VERSION {
        return Err(refused(format!("version {} is newer than {VERSION}", stamp.version)));
    }
    serde_json::from_slice(&entry.value).map_err(|error| refused(error.to_string()))
}

fn decode_checks(records: Vec<CheckRecord>, entry: &Versioned) -> BTreeMap<String, Check> {
    let own = |revision: u64| if revision == 0 { entry.mod_revision } else { revision };
    let check = |record: CheckRecord| Check {
        id: record.id,
        name: record.name,
        notes: record.notes,
        spec: record.spec,
        health: record.health,
        output: record.output,
        since: from_ms(record.since_ms),
        deregister_after: record.deregister_after,
        create_revision: own(record.create_revision),
        modify_revision: own(record.modify_revision),
    };
    records.into_iter().map(|record| (record.id.clone(), check(record))).collect()
}

impl From<Check> for CheckRecord {
    fn from(check: Check) -> Self {
        Self {
            id: check.id,
            name: check.name,
            notes: check.notes,
            spec: check.spec,
            health: check.health,
            output: shorten(&check.output, STORED_OUTPUT_MAX),
            since_ms: to_ms(check.since),
            deregister_after: check.deregister_after,
            create_revision: check.create_revision,
            modify_revision: check.modify_revision,
        }
    }
}

impl From<Origin> for OriginRecord {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Attach => Self::Attach,
            Origin::Agent => Self::Agent,
            Origin::Catalog => Self::Catalog,
        }
    }
}

impl From<OriginRecord> for Origin {
    fn from(origin: OriginRecord) -> Self {
        match origin {
            OriginRecord::Attach => Self::Attach,
            OriginRecord::Agent => Self::Agent,
            OriginRecord::Catalog => Self::Catalog,
        }
    }
}

/// `/` divides a key's parts, `%` the escape itself.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn to_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

fn from_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH)
}
