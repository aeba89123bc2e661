//! A sidecar on a simulated host: the real data path, and the real discovery client, on the simulated network.

use std::{
    net::SocketAddr,
    path::Path,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{sync::watch, time::sleep};
use tonic::transport::Channel;
use weft_model::{
    check::{CheckSpec, ProbeResult},
    endpoint::Health,
};
use weft_runtime::drain::Drain;

use super::{
    application,
    caller::OUTBOUND_PORT,
    history::{History, Listed, Tried},
    socket::Place,
};
use crate::{
    admin::readiness::{Conditions, Readiness},
    config::{AccessLog, RecordPolicy, RunArgs, SidecarConfig},
    data::{self, Phase, accept, thread::Thread},
    discovery::{self, Inputs},
    inbound,
    metrics::DataMetrics,
    net::TcpListener,
    outbound,
    record::RecordQueue,
    run::{AppHealth, health},
    table::{self, Directory, Home},
};

/// Where other sidecars' calls come in.
pub(super) const INBOUND_PORT: u16 = 4_143;
/// How often attempts are counted.
const COUNT_INTERVAL: Duration = Duration::from_millis(250);
/// Where the control plane is.
const CONTROL_PLANE: &str = "http://10.0.2.1:8502";

/// What a sidecar is started with.
pub(super) struct Sidecar {
    pub(super) place: Place,
    pub(super) config: Arc<SidecarConfig>,
}

impl Sidecar {
    /// One data thread and what stands beside it, until it is dropped. What its table lists goes to `history`, where
    /// there is one.
    pub(super) async fn run(self, history: Option<History>) {
        let (_phase, phase) = watch::channel(Phase::Serving);
        let drain = Drain::new();
        let directory = self.discover(&drain);
        let metrics = Arc::new(DataMetrics::default());
        // Neither written nor kept: that would be a thread of its own.
        let policy = RecordPolicy { kept: 0, ..self.config.records.clone() };
        let records = RecordQueue::spawn(&AccessLog::Off, &policy, &directory, &metrics);
        let (records, _observed) = records.unwrap();
        let shared = data::Shared::default();
        let thread = Rc::new(Thread::new(&self.config, directory, metrics, records, phase, shared));
        data::tend(&thread, watch::Sender::new(1));
        if let Some(history) = history {
            let (place, directory) = (self.place.clone(), thread.directory.clone());
            tokio::task::spawn_local(watch_table(place.clone(), directory, history.clone()));
            tokio::task::spawn_local(watch_attempts(place, Rc::clone(&thread), history));
        }
        let listen = |port| TcpListener::Simulated(self.place.listen(port));
        let (out, into) = (&thread.outbound_connections, &thread.inbound_connections);
        accept::serve(&thread, listen(OUTBOUND_PORT), out, outbound::connection);
        if self.config.instance.is_some() {
            accept::serve(&thread, listen(INBOUND_PORT), into, inbound::connection);
        }
        std::future::pending::<()>().await;
    }

    /// Starts the discovery client and the check of the application; its table.
    fn discover(&self, drain: &Drain) -> Directory {
        let (directory, publisher, demands) = table::directory(Home::from(&*self.config));
        let unknown = AppHealth { health: Health::Critical, reason: health::NOT_CHECKED.into() };
        let (tell, told) = watch::channel(unknown);
        let inputs = Inputs {
            control_plane: CONTROL_PLANE.to_owned(),
            publisher,
            demands,
            health: told,
            advertise: SocketAddr::new(self.place.host, INBOUND_PORT),
            admin: SocketAddr::new(self.place.host, 4_191),
            drain: drain.watch(),
        };
        let (handle, agent, attach) = discovery::tasks(&self.config, inputs, self.channel());
        tokio::task::spawn_local(agent);
        tokio::task::spawn_local(async move {
            let _kept = handle;
            attach.await;
        });
        if let Some(instance) = &self.config.instance {
            let place = self.place.clone();
            let probe = async move |spec: &CheckSpec| match application::probe(
                &place,
                place.host,
                spec.timeout,
            )
            .await
            {
                true => ProbeResult::Pass(String::new()),
                false => ProbeResult::Fail("no answer".into()),
            };
            let readiness = Readiness::new(Conditions::default());
            tokio::task::spawn_local(health::check(
                instance.check.clone(),
                probe,
                tell,
                readiness,
                drain.watch(),
            ));
        }
        directory
    }

    fn channel(&self) -> Channel {
        let place = self.place.clone();
        let connect = tower::service_fn(move |uri: Uri| {
            let place = place.clone();
            async move {
                let address = uri.authority().unwrap().as_str().parse().unwrap();
                place.connect(address).await.map(TokioIo::new)
            }
        });
        discovery::target(CONTROL_PLANE).unwrap().connect_with_connector_lazy(connect)
    }
}

/// Notes what the caller's table lists, each time that it changes.
async fn watch_table(place: Place, directory: Directory, history: History) {
    let mut changes = directory.changes();
    loop {
        changes.borrow_and_update();
        let table = directory.load();
        let known = table.services.values().flat_map(|service| &service.endpoints);
        let callable = known.filter(|known| known.endpoint.health.is_callable());
        let number = callable.map(|known| known.endpoint.key.node.to_string());
        let replicas = number.map(|node| node.rsplit_once('.').unwrap().1.parse::<usize>().unwrap() - 1);
        history.list(Listed { at: place.shared.now(), replicas: replicas.collect() });
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Notes now and then how many attempts there were.
async fn watch_attempts(place: Place, thread: Rc<Thread>, history: History) {
    let service = "orders".parse().unwrap();
    loop {
        sleep(COUNT_INTERVAL).await;
        let Some(service) = thread.service(&service, "") else { continue };
        let attempts = service.endpoints.iter().map(|endpoint| endpoint.metrics.requests.load(Relaxed)).sum();
        history.attempt(Tried { at: place.shared.now(), attempts });
    }
}

/// The settings of a sidecar on this host, and what else its flags say.
pub(super) fn config(place: &Place, data_dir: &Path, flags: &str) -> SidecarConfig {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }
    let host = place.host;
    let all = format!(
        "sidecar --control-plane {CONTROL_PLANE} --node {host} --data-dir {}/{host} --outbound {host}:{OUTBOUND_PORT} \
         --inbound {host}:{INBOUND_PORT} --insecure-listen {flags}",
        data_dir.display()
    );
    SidecarConfig::load(<Command as clap::Parser>::parse_from(all.split_whitespace()).run).unwrap()
}
