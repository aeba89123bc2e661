//! What Consul's API shows, made from the catalog. Pure: a catalog in, plain values out.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use weft_model::{check::Probe, endpoint::Health, name::Id};

use super::super::{ask::DATACENTER, duration};
use crate::registry::{Catalog, Check, Instance, Node};

/// A tagged address.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TaggedAddressView {
    address: String,
    port: u16,
}

/// `Weights`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WeightsView {
    passing: u16,
    warning: u16,
}

/// A service of the agent's own view (`/v1/agent/…`).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentService {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) service: String,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    port: u16,
    address: String,
    tagged_addresses: BTreeMap<String, TaggedAddressView>,
    weights: WeightsView,
    enable_tag_override: bool,
    datacenter: &'static str,
    namespace: String,
}

/// One health check.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheck {
    pub(crate) node: String,
    #[serde(rename = "CheckID")]
    pub(crate) check_id: String,
    name: String,
    /// `passing`, `warning` or `critical`.
    pub(crate) status: &'static str,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_tags: Vec<String>,
    /// `http`, `tcp`, `grpc`, `ttl`, or empty for one that is only reported to.
    r#type: &'static str,
    interval: String,
    timeout: String,
    exposed_port: u16,
    /// Empty: the definition stays with whoever runs the check.
    #[schema(value_type = Object)]
    definition: BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

/// One node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeView {
    /// Always empty: nodes have names only.
    #[serde(rename = "ID")]
    id: &'static str,
    node: String,
    address: String,
    datacenter: &'static str,
    tagged_addresses: BTreeMap<String, String>,
    meta: BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

/// A service instance as `/v1/health/service` and `/v1/catalog/node` show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<String>,
    address: String,
    tagged_addresses: BTreeMap<String, TaggedAddressView>,
    meta: BTreeMap<String, String>,
    port: u16,
    weights: WeightsView,
    enable_tag_override: bool,
    #[schema(value_type = Object)]
    proxy: BTreeMap<String, String>,
    #[schema(value_type = Object)]
    connect: BTreeMap<String, String>,
    namespace: String,
    create_index: u64,
    modify_index: u64,
}

/// A service instance as `/v1/catalog/service` shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CatalogService {
    #[serde(rename = "ID")]
    id: &'static str,
    node: String,
    address: String,
    datacenter: &'static str,
    tagged_addresses: BTreeMap<String, String>,
    node_meta: BTreeMap<String, String>,
    service_kind: &'static str,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_tags: Vec<String>,
    service_address: String,
    service_tagged_addresses: BTreeMap<String, TaggedAddressView>,
    service_weights: WeightsView,
    service_meta: BTreeMap<String, String>,
    service_port: u16,
    service_enable_tag_override: bool,
    namespace: String,
    create_index: u64,
    modify_index: u64,
}

/// One element of `/v1/health/service`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceEntry {
    node: NodeView,
    service: NodeService,
    checks: Vec<HealthCheck>,
}

/// `/v1/catalog/node/:n`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeServices {
    node: NodeView,
    services: BTreeMap<String, NodeService>,
}

/// One instance with what is said of its health (`/v1/agent/health/service/…`).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceHealth {
    /// `passing`, `warning`, `critical` or `maintenance`.
    pub(crate) aggregated_status: &'static str,
    pub(crate) service: Option<AgentService>,
    pub(crate) checks: Option<Vec<HealthCheck>>,
}

/// The agent's view of an instance.
pub(crate) fn agent_service(instance: &Instance) -> AgentService {
    AgentService {
        id: instance.key.id.to_string(),
        service: instance.key.service.name.to_string(),
        tags: instance.tags.clone(),
        meta: instance.meta.clone(),
        port: port(instance),
        address: instance.address.clone(),
        tagged_addresses: tagged(instance),
        weights: weights(instance),
        enable_tag_override: instance.enable_tag_override,
        datacenter: DATACENTER,
        namespace: instance.key.service.namespace.to_string(),
    }
}

/// A node of the catalog, or what must be said of one that is not there (an instance outlives no node, but a
/// view never fails).
pub(crate) fn node(catalog: &Catalog, name: &Id, fallback: &str) -> NodeView {
    let known = catalog.nodes.get(name);
    NodeView {
        id: "",
        node: name.to_string(),
        address: known.map_or(fallback, |node| &node.address).to_owned(),
        datacenter: DATACENTER,
        tagged_addresses: BTreeMap::new(),
        meta: known.map(|node| node.meta.clone()).unwrap_or_default(),
        create_index: known.map_or(0, |node| node.create_revision),
        modify_index: known.map_or(0, |node| node.modify_revision),
    }
}

/// An instance within its node.
pub(crate) fn node_service(instance: &Instance) -> NodeService {
    NodeService {
        id: instance.key.id.to_string(),
        service: instance.key.service.name.to_string(),
        tags: instance.tags.clone(),
        address: instance.address.clone(),
        tagged_addresses: tagged(instance),
        meta: instance.meta.clone(),
        port: port(instance),
        weights: weights(instance),
        enable_tag_override: instance.enable_tag_override,
        proxy: BTreeMap::new(),
        connect: BTreeMap::new(),
        namespace: instance.key.service.namespace.to_string(),
        create_index: instance.create_revision,
        modify_index: instance.modify_revision,
    }
}

/// An instance with its node's fields beside its own.
pub(crate) fn catalog_service(catalog: &Catalog, instance: &Instance) -> CatalogService {
    let on = node(catalog, &instance.key.node, &instance.address);
    CatalogService {
        id: "",
        node: on.node,
        address: on.address,
        datacenter: DATACENTER,
        tagged_addresses: on.tagged_addresses,
        node_meta: on.meta,
        service_kind: "",
        service_id: instance.key.id.to_string(),
        service_name: instance.key.service.name.to_string(),
        service_tags: instance.tags.clone(),
        service_address: instance.address.clone(),
        service_tagged_addresses: tagged(instance),
        service_weights: weights(instance),
        service_meta: instance.meta.clone(),
        service_port: port(instance),
        service_enable_tag_override: instance.enable_tag_override,
        namespace: instance.key.service.namespace.to_string(),
        create_index: instance.create_revision,
        modify_index: instance.modify_revision,
    }
}

/// An instance with its node and all checks that count for it.
pub(crate) fn service_entry(catalog: &Catalog, instance: &Instance) -> ServiceEntry {
    ServiceEntry {
        node: node(catalog, &instance.key.node, &instance.address),
        service: node_service(instance),
        checks: all_checks(catalog, instance),
    }
}

/// A node with the instances of one namespace.
pub(crate) fn node_services(catalog: &Catalog, on: &Node, namespace: &str) -> NodeServices {
    NodeServices {
        node: node(catalog, &on.name, &on.address),
        services: instances_on(catalog, on)
            .filter(|instance| instance.key.service.namespace.as_str() == namespace)
            .map(|instance| (instance.key.id.to_string(), node_service(instance)))
            .collect(),
    }
}

/// The instances on a node, in order of their keys.
pub(crate) fn instances_on<'a>(catalog: &'a Catalog, node: &'a Node) -> impl Iterator<Item = &'a Instance> {
    node.instances.iter().filter_map(|key| catalog.instance(key)).map(AsRef::as_ref)
}

/// The node's checks, then the instance's.
pub(crate) fn all_checks(catalog: &Catalog, instance: &Instance) -> Vec<HealthCheck> {
    let mut checks: Vec<_> =
        catalog.nodes.get(&instance.key.node).map(|node| node_checks(node)).unwrap_or_default();
    checks.extend(instance_checks(instance));
    checks
}

/// The checks of a node itself.
pub(crate) fn node_checks(node: &Node) -> Vec<HealthCheck> {
    node.checks.values().map(|check| view_check(check, &node.name, None)).collect()
}

/// The checks of an instance; of an attached one its sidecar's report is among them, as `service:<id>`.
pub(crate) fn instance_checks(instance: &Instance) -> Vec<HealthCheck> {
    instance.checks.values().map(|check| view_check(check, &instance.key.node, Some(instance))).collect()
}

/// Consul's aggregate: maintenance beats all, then the worst.
pub(crate) fn aggregated(instance: &Instance) -> &'static str {
    let maintained = instance.checks.keys().any(|id| id.starts_with(MAINTENANCE_PREFIX));
    if maintained { "maintenance" } else { instance.health.as_str() }
}

/// What the id of a maintenance check begins with, as in Consul.
pub(crate) const MAINTENANCE_PREFIX: &str = "_service_maintenance:";

fn view_check(check: &Check, node: &Id, instance: Option<&Instance>) -> HealthCheck {
    // The reason of a maintenance stands in Consul's `Notes`.
    let (notes, output) = if check.id.starts_with(MAINTENANCE_PREFIX) {
        (&check.output, "")
    } else {
        (&check.notes, &*check.output)
    };
    let (kind, interval, timeout) = match &check.spec {
        None => ("", String::new(), String::new()),
        Some(spec) => match spec.probe {
            Probe::Ttl { .. } => ("ttl", String::new(), String::new()),
            Probe::Http { .. } => ("http", duration::format(spec.interval), duration::format(spec.timeout)),
            Probe::Tcp { .. } => ("tcp", duration::format(spec.interval), duration::format(spec.timeout)),
            Probe::Grpc { .. } => ("grpc", duration::format(spec.interval), duration::format(spec.timeout)),
        },
    };
    HealthCheck {
        node: node.to_string(),
        check_id: check.id.clone(),
        name: check.name.clone(),
        status: check.health.as_str(),
        notes: notes.clone(),
        output: output.to_owned(),
        service_id: instance.map(|instance| instance.key.id.to_string()).unwrap_or_default(),
        service_name: instance.map(|instance| instance.key.service.name.to_string()).unwrap_or_default(),
        service_tags: instance.map(|instance| instance.tags.clone()).unwrap_or_default(),
        r#type: kind,
        interval,
        timeout,
        exposed_port: 0,
        definition: BTreeMap::new(),
        create_index: check.create_revision,
        modify_index: check.modify_revision,
    }
}

/// Consul's `Port`.
fn port(instance: &Instance) -> u16 {
    instance.ports.first().map_or(0, |port| port.port)
}

fn weights(instance: &Instance) -> WeightsView {
    WeightsView { passing: instance.weight, warning: instance.weight_warning }
}

fn tagged(instance: &Instance) -> BTreeMap<String, TaggedAddressView> {
    instance
        .tagged_addresses
        .iter()
        .map(|(tag, to)| (tag.clone(), TaggedAddressView { address: to.address.clone(), port: to.port }))
        .collect()
}

/// Whether an instance is listed when only passing ones are asked for.
pub(crate) fn is_passing(instance: &Instance) -> bool {
    instance.health == Health::Passing
}
