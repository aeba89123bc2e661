//! Starts the parts of a sidecar, in order, and stops them, in order.
//!
//! ```text
//!  bind ─▶ data threads, discovery, admin ─▶ names known ─▶ application ─▶ serve
//!                                                                            │ SIGTERM, SIGINT
//!   exit code ◀─ data ends ◀─ application stops ◀─ inbound drains ◀─ 250 ms ◀─ deregister
//! ```
//!
//! A second signal skips what is left of the drain. An application that ends by itself ends the sidecar with
//! its exit code, deregistered first. All of this, discovery, checks and admin run on one thread of their own,
//! the main one; it must stay so, for the kernel ties the application to the thread that started it.

use std::{net::TcpListener, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use weft_broker::server::Broker;
use weft_model::{check::CheckSpec, endpoint::Health};
use weft_runtime::{
    check,
    drain::Drain,
    listen, metrics, ports,
    signal::{Signal, Signals},
    telemetry,
};

use crate::{
    admin::{
        self,
        readiness::{Conditions, PATIENCE, Readiness},
    },
    app::{App, environment},
    config::{RunArgs, SidecarConfig},
    data,
    discovery::{self, DiscoveryHandle},
    metrics::{DataMetrics, TableMetrics},
    record,
    table::{self, Demand, Directory, Home, Publisher},
    trace::Exporter,
};

mod alone;
mod bound;
mod data_dir;
pub(crate) mod health;
mod names;
mod queue_host;

use bound::Bound;
use data_dir::DataDir;
pub use health::AppHealth;

/// For discovery, checks and admin to end.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);
/// What a sidecar without an application ends with.
const SUCCESS: u8 = 0;

/// Runs until it is told to stop, or the wrapped application ends; the exit code.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub fn run(args: RunArgs) -> anyhow::Result<u8> {
    let config = SidecarConfig::load(args)?;
    telemetry::init(config.log_format, &config.log_filter)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    runtime.block_on(async {
        // Before anything is started: from here on a signal stops us in order.
        let signals = Signals::new().context("cannot listen for signals")?;
        Sidecar::start(config)?.serve(signals).await
    })
}

/// A sidecar whose listeners are bound and whose parts run.
struct Sidecar {
    config: Arc<SidecarConfig>,
    bound: Bound,
    data_dir: DataDir,
    data: data::DataThreads,
    readiness: Readiness,
    directory: Directory,
    drain: Drain,
    discovery: Option<DiscoveryHandle>,
    app: Option<App>,
    broker: Option<Broker>,
}

/// Why the serving ended.
enum End {
    /// SIGTERM or SIGINT.
    Stopped(Signal),
    /// The application did, with this code.
    AppEnded(u8),
}

impl Sidecar {
    fn start(config: SidecarConfig) -> anyhow::Result<Self> {
        let data_dir = DataDir::open(&config.data_dir)?;
        ports::remove(data_dir.path())?;
        let listeners = data::Listeners::bind(&config)?;
        let options = listen::Options { insecure_ok: config.insecure_listen, reuse_port: false };
        let admin_listener = listen::bind(config.admin, "the admin server (--admin)", options)?;
        let (broker, queue_host) = queue_host::start(&config)?.unzip();
        let bound = Bound::new(&config, &listeners, &admin_listener, queue_host)?;
        let config = Arc::new(config);
        let (directory, publisher, demands) = table::directory(Home::from(&*config));
        let counts = Arc::new(DataMetrics::default());
        let data =
            data::spawn(&config, &directory, listeners, &counts).context("cannot start the data threads")?;
        let readiness = Readiness::new(Conditions {
            listening: true,
            attached: config.is_alone(),
            app: config.instance.is_none(),
            ..Conditions::default()
        });
        let mut registry = Registry::default();
        metrics::register(&mut registry, "weft-sidecar", env!("CARGO_PKG_VERSION"));
        registry.register_collector(Box::new(Arc::clone(&counts)));
        registry.register_collector(Box::new(TableMetrics(directory.clone())));
        let drain = Drain::new();
        let (discovery, app) = (None, None);
        let mut sidecar =
            Self { config, bound, data_dir, data, readiness, directory, drain, discovery, app, broker };
        let health = sidecar.start_checks();
        sidecar.start_discovery(publisher, demands, health)?;
        sidecar.start_waiting_for_names();
        sidecar.start_export(&counts)?;
        sidecar.start_admin(registry, admin_listener);
        ports::write(sidecar.data_dir.path(), &sidecar.bound)?;
        tracing::info!(
            outbound = %sidecar.bound.outbound,
            inbound = %sidecar.bound.inbound,
            admin = %sidecar.bound.admin,
            data_dir = %sidecar.data_dir.path().display(),
            "listening"
        );
        Ok(sidecar)
    }

    async fn serve(mut self, mut signals: Signals) -> anyhow::Result<u8> {
        let end = self.until_end(&mut signals).await?;
        self.readiness.update(|conditions| conditions.draining = true);
        self.deregister().await;
        let code = match end {
            End::AppEnded(code) => code,
            End::Stopped(signal) => {
                tracing::info!(signal = signal.as_str(), "stopping");
                self.drain_inbound(&mut signals).await;
                match &mut self.app {
                    Some(app) => app.stop().await?,
                    None => SUCCESS,
                }
            }
        };
        self.data.shutdown().await;
        queue_host::stop(self.broker.take()).await;
        if let Err(error) = self.drain.finish(TASKS_TIMEOUT).await {
            tracing::warn!(%error, "not everything has ended");
        }
        ports::remove(self.data_dir.path())?;
        tracing::info!(code, "stopped");
        Ok(code)
    }

    /// Starts the application when it may, and serves until it ends or a signal stops us.
    async fn until_end(&mut self, signals: &mut Signals) -> anyhow::Result<End> {
        let mut starts = !self.config.command.is_empty();
        loop {
            let readiness = self.readiness.clone();
            tokio::select! {
                // A signal before all else: an application that is to be started must not be, any more.
                biased;
                signal = signals.next() => match (&self.app, signal) {
                    (_, signal) if signal.stops() => return Ok(End::Stopped(signal)),
                    (Some(app), signal) => app.forward(signal),
                    (None, signal) => tracing::debug!(signal = signal.as_str(), "signal means nothing here"),
                },
                code = ended(&mut self.app) => return Ok(End::AppEnded(code?)),
                () = readiness.until(Conditions::may_start_app), if starts => {
                    starts = false;
                    self.app = Some(self.start_app()?);
                }
            }
        }
    }

    fn start_app(&self) -> anyhow::Result<App> {
        let config = &self.config;
        let variables = environment::variables(&environment::Facts {
            app: self.bound.app,
            outbound: self.bound.outbound,
            upstreams: &self.bound.upstream_list,
            namespace: &config.namespace,
            proxy: config.proxy_env,
            set: &config.variables,
        });
        Ok(App::start(&environment::command(&config.command, self.bound.app), &variables)?)
    }

    /// Inbound serves on until its callers have gone; a second signal cuts that short.
    async fn drain_inbound(&self, signals: &mut Signals) {
        self.data.begin_drain();
        tokio::select! {
            // Either may be first: who asks twice means now.
            biased;
            signal = self.second(signals) => {
                tracing::warn!(signal = signal.as_str(), "told twice to stop, calls are cut off");
            }
            () = self.data.drained() => {}
        }
    }

    /// Waits for another signal that stops; others still mean the application.
    async fn second(&self, signals: &mut Signals) -> Signal {
        loop {
            match (&self.app, signals.next().await) {
                (_, signal) if signal.stops() => return signal,
                (Some(app), signal) => app.forward(signal),
                (None, _) => {}
            }
        }
    }

    fn start_checks(&self) -> watch::Receiver<AppHealth> {
        let unknown = AppHealth { health: Health::Critical, reason: health::NOT_CHECKED.into() };
        let (tell, told) = watch::channel(unknown);
        let Some(instance) = &self.config.instance else { return told };
        let probe = async |spec: &CheckSpec| check::run(&spec.probe, spec.timeout).await;
        let checking =
            health::check(instance.check.clone(), probe, tell, self.readiness.clone(), self.drain.watch());
        tokio::spawn(checking);
        told
    }

    fn start_discovery(
        &mut self,
        publisher: Publisher,
        demands: mpsc::Receiver<Demand>,
        health: watch::Receiver<AppHealth>,
    ) -> anyhow::Result<()> {
        let Some(control_plane) = self.config.control_plane.clone() else {
            let services = self.config.services.clone();
            tokio::spawn(alone::serve(services, publisher, demands, self.drain.watch()));
            return Ok(());
        };
        let inputs = discovery::Inputs {
            control_plane,
            publisher,
            demands,
            health,
            advertise: self.bound.advertised(&self.config),
            admin: self.bound.admin,
            drain: self.drain.watch(),
        };
        let handle = discovery::start(&self.config, inputs)?;
        let (readiness, drain, attached) = (self.readiness.clone(), self.drain.watch(), handle.clone());
        tokio::spawn(async move {
            let attached = tokio::time::timeout(PATIENCE, attached.attached());
            if drain.unless_draining(attached).await.is_some() {
                readiness.update(|conditions| conditions.attached = true);
            }
        });
        self.discovery = Some(handle);
        Ok(())
    }

    fn start_waiting_for_names(&self) {
        let (directory, readiness) = (self.directory.clone(), self.readiness.clone());
        let names: Vec<_> = self.config.names().cloned().collect();
        let drain = self.drain.watch();
        tokio::spawn(async move {
            if drain.unless_draining(names::known(&directory, names)).await.is_some() {
                readiness.update(|conditions| conditions.names = true);
            }
        });
    }

    /// Of spans, where there is a collector for them.
    fn start_export(&self, counts: &DataMetrics) -> anyhow::Result<()> {
        let tracing = self.config.records.tracing.as_ref();
        let Some((policy, spans)) = tracing.zip(self.data.observed().take_spans()) else { return Ok(()) };
        let resource = record::resource(&self.config);
        let exporter = Exporter::new(&policy.endpoint, resource, spans, Arc::clone(&counts.spans))
            .context("cannot dial the collector (--otlp-endpoint)")?;
        tokio::spawn(exporter.run(self.drain.watch()));
        Ok(())
    }

    fn start_admin(&self, registry: Registry, listener: TcpListener) {
        let sources = admin::Sources {
            config: Arc::clone(&self.config),
            directory: self.directory.clone(),
            discovery: self.discovery.clone(),
            readiness: self.readiness.clone(),
            registry,
            observed: Arc::clone(self.data.observed()),
        };
        tokio::spawn(admin::admin(sources).serve(listener, self.drain.watch()));
    }

    async fn deregister(&self) {
        if let Some(discovery) = &self.discovery {
            discovery.deregister().await;
        }
    }
}

/// The application's end; never, where there is none.
async fn ended(app: &mut Option<App>) -> anyhow::Result<u8> {
    match app {
        Some(app) => Ok(app.ended().await?),
        None => std::future::pending().await,
    }
}
