//! Starts the parts of the control plane, in order, and stops them. It decides nothing else.
//!
//! ```text
//!  store ─▶ stale ports.json goes ─▶ listeners ─▶ registry ─▶ discovery, HTTP API ─▶ ports.json ─▶ signal
//!  signal ─▶ no new connections, blocking queries and streams end ─▶ registry ─▶ store ─▶ ports.json goes
//! ```
//! The store comes first: its lock tells that no other process has the directory and its `ports.json`.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle, time};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use weft_runtime::{
    drain::Drain,
    listen::{self, Options},
    ports,
    signal::Signals,
};

use crate::{
    config::Config,
    discovery::{self, Discovery, Sidecars},
    http::{self, Api, limits::STOP_TIME_MAX, metrics::Metrics},
    metrics,
    registry::{Registry, RegistryOptions},
    resources::Resources,
    store::{KEY_PREFIX, Operation, Store, Txn, sled::SledStore},
};

/// The gRPC services whose health is told, beside the server's own (the empty name).
const GRPC_SERVICES: [&str; 3] =
    ["", "envoy.service.discovery.v3.AggregatedDiscoveryService", "weft.v1.Mesh"];

/// What `ports.json` holds beside the process id.
#[derive(Debug, Clone, Copy, Serialize)]
struct OwnPorts {
    http: SocketAddr,
    grpc: SocketAddr,
}

/// Both listeners, bound.
struct Listeners {
    http: TcpListener,
    grpc: TcpListener,
    ports: OwnPorts,
}

/// The tasks that serve, and what ends them.
struct Serving {
    http: JoinHandle<()>,
    grpc: JoinHandle<Result<(), tonic::transport::Error>>,
    health: HealthReporter,
    drain: Drain,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start; each names the thing and the remedy.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut signals = Signals::new().context("signals cannot be handled")?;
    let data_dir = config.data_dir.clone();
    // Reads all of the files: not on a runtime thread.
    let store = tokio::task::spawn_blocking(move || SledStore::open(&data_dir)).await??;
    ports::remove(&config.data_dir)?;
    let listeners = Listeners::bind(&config)?;
    ensure_first_revision(store.as_ref()).await?;
    let stopping = CancellationToken::new();
    let options = RegistryOptions { stop: CancellationToken::new(), ..RegistryOptions::default() };
    let stop_registry = options.stop.clone();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let (registry, mut registry_task) = Registry::start(Arc::clone(&shared), options).await?;
    let own_ports = listeners.ports;
    let serving = serve(&config, listeners, registry, &shared, &stopping, started).await?;
    ports::write(&config.data_dir, &own_ports)?;
    let OwnPorts { http, grpc } = own_ports;
    tracing::info!(%http, %grpc, data_dir = %config.data_dir.display(), "the control plane is ready");
    loop {
        tokio::select! {
            // A registry that has ended tells nobody who is alive: better no control plane than such a one.
            biased;
            _ended = &mut registry_task => anyhow::bail!("the registry has ended: this is a bug, start it again"),
            signal = signals.next() => if signal.stops() {
                tracing::info!(signal = signal.as_str(), "stopping");
                break;
            },
        }
    }
    stopping.cancel();
    serving.stop().await;
    stop_registry.cancel();
    if registry_task.await.is_err() {
        tracing::error!("the registry ended with a panic");
    }
    store.close().await;
    ports::remove(&config.data_dir)?;
    tracing::info!("stopped");
    Ok(())
}

/// A new store is at revision 0, and an `X-Consul-Index` must be above it: the first revision is its creation.
async fn ensure_first_revision(store: &SledStore) -> anyhow::Result<()> {
    if store.revision() > 0 {
        return Ok(());
    }
    let key = format!("{KEY_PREFIX}meta/default/created").into();
    let value = Bytes::from(humantime::format_rfc3339_millis(SystemTime::now()).to_string());
    let operations = vec![Operation::Put { key, value, lease: None }];
    store.commit(Txn { guards: Vec::new(), operations }).await?;
    Ok(())
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let options = Options { insecure_ok: config.insecure_listen, ..Options::default() };
        let http = listen::bind(config.http, "the HTTP API (--http)", options)?;
        let grpc = listen::bind(config.grpc, "gRPC (--grpc)", options)?;
        let (http, grpc) = (TcpListener::from_std(http)?, TcpListener::from_std(grpc)?);
        let ports = OwnPorts { http: http.local_addr()?, grpc: grpc.local_addr()? };
        Ok(Self { http, grpc, ports })
    }
}

async fn serve(
    config: &Config,
    listeners: Listeners,
    registry: Registry,
    store: &Arc<dyn Store>,
    stopping: &CancellationToken,
    started: Instant,
) -> anyhow::Result<Serving> {
    let drain = Drain::new();
    let (resources, _follower) = Resources::start(Arc::clone(store), stopping.clone()).await?;
    let discovery = Discovery {
        registry: registry.clone(),
        sayings: resources.sayings(),
        store_id: store.id().into(),
        started,
        drain: drain.watch(),
    };
    let (routes, sidecars) = discovery.routes();
    let (routes, health) = with_health_and_reflection(routes).await?;
    let grpc = discovery::grpc_server().add_routes(routes).serve_with_incoming_shutdown(
        TcpListenerStream::new(listeners.grpc),
        stopping.clone().cancelled_owned(),
    );
    let api = api(
        config,
        (registry, resources, Arc::clone(store), sidecars),
        listeners.ports.http,
        stopping.clone(),
    );
    let metrics = api.metrics.clone();
    let router = http::router(Arc::new(api));
    let http = http::serve::serve(listeners.http, router, config.http_connections, metrics, stopping.clone());
    Ok(Serving { http: tokio::spawn(http), grpc: tokio::spawn(grpc), health, drain })
}

fn api(
    config: &Config,
    (registry, resources, store, sidecars): (Registry, Resources, Arc<dyn Store>, Sidecars),
    address: SocketAddr,
    stopping: CancellationToken,
) -> Api {
    let mut exposition = prometheus_client::registry::Registry::default();
    weft_runtime::metrics::register(&mut exposition, "weft-control-plane", env!("CARGO_PKG_VERSION"));
    let metrics = Metrics::register(&mut exposition);
    metrics::register(&mut exposition, registry.clone(), sidecars.clone());
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    Api {
        registry,
        resources,
        store,
        sidecars: Arc::new(sidecars),
        metrics,
        connections_max: config.http_connections,
        exposition: Arc::new(exposition),
        address: address.to_string(),
        host: host.unwrap_or_else(|| "localhost".into()),
        started: SystemTime::now(),
        stopping,
    }
}

/// So that `grpcurl list` and `grpc_health_probe` work.
async fn with_health_and_reflection(routes: Routes) -> anyhow::Result<(Routes, HealthReporter)> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for service in GRPC_SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(weft_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = routes
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes, health))
}

impl Serving {
    /// What is open gets [`STOP_TIME_MAX`] to end.
    async fn stop(self) {
        for service in GRPC_SERVICES {
            self.health.set_service_status(service, ServingStatus::NotServing).await;
        }
        if let Err(error) = self.drain.finish(STOP_TIME_MAX).await {
            tracing::warn!(%error, "discovery did not end in time");
        }
        if self.http.await.is_err() {
            tracing::error!("the HTTP server ended with a panic");
        }
        // A connection that is kept open without a stream is not waited for longer than the rest.
        match time::timeout(STOP_TIME_MAX, self.grpc).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the gRPC server ended with an error"),
            Ok(Err(_panic)) => tracing::error!("the gRPC server ended with a panic"),
            Err(_elapsed) => tracing::warn!("gRPC connections were still open at the end of the stop time"),
        }
    }
}
