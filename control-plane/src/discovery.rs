//! The gRPC side: delta discovery streams and `Attach`. It reads catalogs and gives leases their heartbeats;
//! it never decides who is alive.
//!
//! ```text
//!  registry ──Arc<Catalog>──▶ snapshot builder ──Arc<ResourceSnapshot>──▶ a task a stream ──▶ sidecar
//!     ▲     resources ──Arc<Sayings>──▶ │ (encodes each change once)       (machine: weft_model::discovery)
//!     └── lease: renew, report, deregister ── attach ◀── heartbeat, health ──┘
//! ```
//!
//! Each channel here is a `watch`: a slow stream sees only the newest snapshot, never a queue of them.

mod ads;
mod attach;
mod builder;
mod convert;
pub(crate) mod convert_traffic;
mod sidecars;
mod snapshot;
mod stats;
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tonic::{service::Routes, transport::Server};
use weft_proto::{
    discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer,
    weft::v1::mesh_server::MeshServer,
};
use weft_runtime::drain;

use crate::{
    registry::{Catalog, Registry},
    resources::Sayings,
};

pub use sidecars::Sidecars;
pub use snapshot::ResourceSnapshot;
pub use stats::DiscoveryStats;

/// Removals of what a sidecar brought along are held back so long after a start, as leases are: what is
/// missing may be about to register again.
pub const REMOVALS_HELD: Duration = weft_model::lease::HOLD;
/// A client that answers no HTTP/2 ping is gone after interval and timeout.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams a connection, at most: a sidecar needs two, and reflection or health one more.
const STREAMS_A_CONNECTION_MAX: u32 = 64;
/// Discovery and `Attach` streams at once, at most, each.
const STREAMS_MAX: usize = 20_000;

/// What the gRPC side stands on.
pub struct Discovery {
    /// Who is there.
    pub registry: Registry,
    /// What resources say about the calls of services.
    pub sayings: watch::Receiver<Arc<Sayings>>,
    /// The id of the store, told to every sidecar.
    pub store_id: Arc<str>,
    /// When the control plane started; see [`REMOVALS_HELD`].
    pub started: Instant,
    /// Streams end when it begins. The routes hold it until they are dropped, so what serves them is to end
    /// with it too.
    pub drain: drain::Watch,
}

impl Discovery {
    /// The gRPC services, and the list of who uses them. Starts the task that builds snapshots, so it is to
    /// be called inside a runtime.
    pub fn routes(self) -> (Routes, Sidecars) {
        let sidecars = Sidecars::default();
        let world = (self.registry.subscribe(), self.sayings);
        let ads = ads_service(world, &sidecars, self.started, self.drain.clone());
        let mesh = attach::Mesh::new(self.registry, self.store_id, sidecars.clone(), self.drain);
        let routes = Routes::new(ads).add_service(MeshServer::new(mesh));
        (routes, sidecars)
    }
}

/// The discovery service alone, from any stream of catalogs and of what is said about services.
pub fn ads_service(
    (catalogs, sayings): (watch::Receiver<Arc<Catalog>>, watch::Receiver<Arc<Sayings>>),
    sidecars: &Sidecars,
    started: Instant,
    drain: drain::Watch,
) -> AggregatedDiscoveryServiceServer<
    impl weft_proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryService,
> {
    let snapshots = builder::spawn(catalogs, sayings, drain.clone());
    AggregatedDiscoveryServiceServer::new(ads::Ads::new(snapshots, sidecars.clone(), started, drain))
}

/// A gRPC server that notices clients which are gone, to serve the routes with.
pub fn grpc_server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_A_CONNECTION_MAX)
        .tcp_nodelay(true)
}
