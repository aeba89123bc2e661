//! `/v1/weft/…`: read-only views of what Consul has no word for. The command line and the pages of the
//! dashboard read them; nothing is changed here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Extension,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::header;
use serde::Serialize;
use utoipa::{ToSchema, openapi::OpenApi};
use weft_model::{
    endpoint::{Health, HopTarget},
    name::ServiceName,
};

use super::{Api, error::ApiError, reply::Reply, sidecars::Sidecar};
use crate::registry::{Catalog, Instance, Origin, ServiceView};

/// The OpenAPI document as it is served.
#[derive(Debug, Clone)]
pub(super) struct Document(Bytes);

/// The control plane in brief.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Of the program.
    version: &'static str,
    /// Of the store; another id is another history.
    store_id: String,
    /// Of the store.
    revision: u64,
    /// RFC 3339.
    started: String,
    uptime_seconds: u64,
    counts: Counts,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    services: usize,
    nodes: usize,
    instances: usize,
    passing: usize,
    warning: usize,
    critical: usize,
    sidecars: usize,
}

/// One service in brief.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceSummary {
    /// `orders.default`.
    service: String,
    name: String,
    namespace: String,
    instances: usize,
    passing: usize,
    warning: usize,
    critical: usize,
    /// Revision of the last change of any instance.
    modified_revision: u64,
}

/// The endpoints of one service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Endpoints {
    /// `orders.default`.
    service: String,
    /// Of the catalog that this shows.
    revision: u64,
    /// In order of node and id.
    endpoints: Vec<EndpointView>,
}

/// One instance as callers see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointView {
    node: String,
    id: String,
    address: String,
    ports: Vec<PortView>,
    /// `passing`, `warning` or `critical`.
    health: &'static str,
    /// Why it is not passing.
    reason: String,
    /// RFC 3339.
    since: String,
    zone: String,
    weight: u16,
    hop: HopView,
    /// `attach`, `agent` or `catalog`: who registered it, and so who keeps it alive.
    origin: &'static str,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
}

/// A named port.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortView {
    name: String,
    protocol: &'static str,
    port: u16,
}

/// How an instance is reached.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum HopView {
    /// Dialled plainly.
    Direct,
    /// Through its sidecar.
    Sidecar {
        /// The sidecar's inbound listener.
        address: String,
        hop_version: u32,
        /// SPIFFE id; empty until identities exist.
        identity: String,
        /// `off`, `accepted` or `required`.
        tls: String,
    },
}

/// The control plane in brief.
pub(crate) async fn status(State(api): State<Arc<Api>>) -> Reply<Status> {
    let catalog = api.registry.catalog();
    let all = || catalog.services.values().flat_map(|service| &service.instances);
    let of = |health| all().filter(|instance| instance.health == health).count();
    let uptime = SystemTime::now().duration_since(api.started).unwrap_or(Duration::ZERO);
    Reply::of(Status {
        version: env!("CARGO_PKG_VERSION"),
        store_id: api.store.id().to_owned(),
        revision: api.store.revision(),
        started: rfc3339(api.started),
        uptime_seconds: uptime.as_secs(),
        counts: Counts {
            services: catalog.services.len(),
            nodes: catalog.nodes.len(),
            instances: all().count(),
            passing: of(Health::Passing),
            warning: of(Health::Warning),
            critical: of(Health::Critical),
            sidecars: api.sidecars.count(),
        },
    })
}

/// All attached sidecars with what they know.
pub(crate) async fn sidecars(State(api): State<Arc<Api>>) -> Reply<Vec<Sidecar>> {
    Reply::of(api.sidecars.sidecars())
}

/// All services of all namespaces.
pub(crate) async fn services(State(api): State<Arc<Api>>) -> Reply<Vec<ServiceSummary>> {
    let catalog = api.registry.catalog();
    Reply::of(catalog.services.values().map(|service| summary(service)).collect())
}

/// The endpoints of a service, `orders` or `orders.default`.
pub(crate) async fn endpoints(
    State(api): State<Arc<Api>>,
    Path(service): Path<String>,
) -> Result<Reply<Endpoints>, ApiError> {
    let catalog = api.registry.catalog();
    let found = service.parse::<ServiceName>().ok().and_then(|name| view(&catalog, &name));
    found.map(Reply::of).ok_or_else(|| {
        let service: String = service.chars().take(64).collect();
        ApiError::NoView(format!("no service {service:?}: `weft services` lists what is registered"))
    })
}

/// The OpenAPI document.
pub(crate) async fn openapi(Extension(document): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.0).into_response()
}

impl Document {
    /// Written once; a document that cannot be written is an empty object.
    pub(super) fn new(document: &OpenApi) -> Self {
        Self(document.to_pretty_json().map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from))
    }
}

fn view(catalog: &Catalog, name: &ServiceName) -> Option<Endpoints> {
    let service = catalog.services.get(name)?;
    Some(Endpoints {
        service: name.to_string(),
        revision: catalog.revision,
        endpoints: service.instances.iter().map(|instance| endpoint(instance)).collect(),
    })
}

fn summary(service: &ServiceView) -> ServiceSummary {
    let of = |health| service.instances.iter().filter(|instance| instance.health == health).count();
    ServiceSummary {
        service: service.name.to_string(),
        name: service.name.name.to_string(),
        namespace: service.name.namespace.to_string(),
        instances: service.instances.len(),
        passing: of(Health::Passing),
        warning: of(Health::Warning),
        critical: of(Health::Critical),
        modified_revision: service.modified,
    }
}

fn endpoint(instance: &Instance) -> EndpointView {
    let ports = instance.ports.iter();
    EndpointView {
        node: instance.key.node.to_string(),
        id: instance.key.id.to_string(),
        address: instance.address.clone(),
        ports: ports
            .map(|port| PortView {
                name: port.name.clone(),
                protocol: port.protocol.as_str(),
                port: port.port,
            })
            .collect(),
        health: instance.health.as_str(),
        reason: instance.reason.clone(),
        since: rfc3339(instance.since),
        zone: instance.zone.clone(),
        weight: instance.weight,
        hop: hop(&instance.hop),
        origin: match instance.origin {
            Origin::Attach => "attach",
            Origin::Agent => "agent",
            Origin::Catalog => "catalog",
        },
        tags: instance.tags.clone(),
        meta: instance.meta.clone(),
    }
}

fn hop(hop: &HopTarget) -> HopView {
    match hop {
        HopTarget::Direct => HopView::Direct,
        HopTarget::Sidecar { address, hop_version, identity, tls } => HopView::Sidecar {
            address: address.to_string(),
            hop_version: *hop_version,
            identity: identity.clone(),
            tls: format!("{tls:?}").to_lowercase(),
        },
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
