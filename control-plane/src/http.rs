//! The HTTP API on 8500: Consul's shapes, resources in Kubernetes', and the read-only views of `/v1/weft`. It reads catalogs and the
//! store, gives commands to the registry, and decides nothing about health. It knows no gRPC.
//!
//! ```text
//!  connection ─▶ serve (limits, peer address) ─▶ guard (metrics, panics, time) ─▶ route
//!     route ─▶ ask (who, where, index, wait) + body ─▶ wire (Consul's JSON) ─▶ registry | store
//!     answer ◀─ reply (JSON, X-Consul-Index) ◀─ blocking (until the thing changes) ◀─ catalog
//! ```

pub mod limits;
pub mod metrics;
pub mod serve;
pub mod sidecars;

mod agent;
mod ask;
mod blocking;
mod body;
mod catalog;
mod docs;
mod duration;
mod error;
mod guard;
mod health;
mod kv;
mod reply;
mod resources;
mod routes;
mod status;
mod weft;
mod wire;

use std::{sync::Arc, time::SystemTime};

use axum::Router;
use tokio_util::sync::CancellationToken;

use self::{
    error::ApiError,
    limits::BLOCKING_PERCENT_MAX,
    metrics::{Held, Metrics},
    sidecars::SidecarSource,
};
use crate::{registry::Registry, resources::Resources, store::Store};

/// What the handlers work on.
pub struct Api {
    /// Who is there.
    pub registry: Registry,
    /// What users say about the calls of services.
    pub resources: Resources,
    /// Holds the key-value pairs.
    pub store: Arc<dyn Store>,
    /// Who is attached.
    pub sidecars: Arc<dyn SidecarSource>,
    /// What is counted.
    pub metrics: Metrics,
    /// Connections at one time, at most; blocking queries have their share of them.
    pub connections_max: usize,
    /// Everything that `/metrics` shows.
    pub exposition: Arc<prometheus_client::registry::Registry>,
    /// `ip:port` that the API is reached at, for `/v1/status` and `/v1/agent/self`.
    pub address: String,
    /// The host's name.
    pub host: String,
    /// When this process started.
    pub started: SystemTime,
    /// Cancelled when the control plane stops: blocking queries answer at once.
    pub stopping: CancellationToken,
}

impl Api {
    /// A blocking query waits as long as the value is held.
    ///
    /// # Errors
    /// 429 when too many wait already: connections must be left for those who write.
    fn begin_blocking(&self) -> Result<Held, ApiError> {
        let limit = (self.connections_max * BLOCKING_PERCENT_MAX / 100).max(1);
        self.metrics.blocking_query(limit).ok_or(ApiError::TooManyBlocking { limit })
    }
}

/// The whole API as one service.
pub fn router(api: Arc<Api>) -> Router {
    let (router, document) = routes::all().into_parts();
    guard::wrap(router, &api, &document).with_state(api)
}

/// The OpenAPI document of the API, as it is served.
///
/// # Errors
/// When the document cannot be written as JSON (it can).
pub fn openapi_json() -> Result<String, serde_json::Error> {
    routes::all().into_parts().1.to_pretty_json()
}
