//! The task that owns the discovery machine: responses go in, the table and the snapshot on disk come out,
//! and first dials are answered from what it knows.

mod keep;
mod said;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tonic::{Status as RpcStatus, transport::Channel};
use weft_model::{
    discovery::{Client, Kind, NAMES_MAX, Presence},
    name::ServiceName,
    traffic::Item,
};
use weft_proto::{
    discovery as proto,
    weft::v1::{Heartbeat, ServiceDigest},
};
use weft_runtime::drain;

use super::{
    Command, Dump, ServiceDump, Status,
    convert::Reader,
    keeper,
    link::{Event, Link, Requests},
    usage::Usage,
    waiters::{Waiters, answer},
    wire,
};
use crate::{
    config::SidecarConfig,
    table::{Demand, Demanded, Publisher, ServiceState},
};
use keep::Keep;
use said::Said;

/// How often names are looked at: whether they are dialled still, whether dials have gone.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);
/// Services a heartbeat compares, at most; the others have their turn in the next.
const DIGESTS_MAX: usize = 256;

/// What an agent is made of.
pub(super) struct Setup<'a> {
    pub(super) config: &'a SidecarConfig,
    pub(super) node: proto::Node,
    pub(super) channel: Channel,
    pub(super) publisher: Publisher,
    pub(super) status: Arc<watch::Sender<Status>>,
}

/// See the module.
pub(super) struct Agent {
    node: proto::Node,
    client: Client<Reader>,
    publisher: Publisher,
    status: Arc<watch::Sender<Status>>,
    link: Link,
    /// While the stream is up.
    requests: Option<Requests>,
    usage: Usage,
    waiters: Waiters,
    said: Said,
    keep: Keep,
    store_id: Arc<str>,
    /// The last service of the last heartbeat.
    digested: Option<Arc<str>>,
}

impl Agent {
    /// With what is on disk in its table already.
    pub(super) fn new(setup: Setup<'_>) -> Self {
        let fixed = setup.config.names().map(|name| Arc::from(name.to_string()));
        let mut agent = Self {
            node: setup.node,
            client: Client::new(Reader),
            publisher: setup.publisher,
            status: setup.status,
            link: Link::new(setup.channel),
            requests: None,
            usage: Usage::new(fixed),
            waiters: Waiters::default(),
            said: Said::default(),
            keep: Keep::new(keeper::path(&setup.config.data_dir)),
            store_id: "".into(),
            digested: None,
        };
        agent.restore();
        for name in agent.usage.fixed() {
            agent.client.subscribe(name);
        }
        agent.publish();
        agent.keep.clean();
        agent
    }

    /// Until the drain. What is known goes to disk at the end.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut demands: mpsc::Receiver<Demand>,
        drain: drain::Watch,
    ) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let requests = self.requests.clone().filter(|_| self.client.has_request());
            tokio::select! {
                // The end first. An answer is written before the next response is read, because it is to
                // show what was known before it.
                biased;
                () = drain.draining() => break,
                permit = reserve(requests) => self.speak(permit),
                event = self.link.next() => self.on_event(event),
                Some(command) = commands.recv() => self.on_command(command),
                Some(demand) = demands.recv() => self.on_demand(demand),
                () = self.keep.progress() => {}
                _ = sweep.tick() => self.sweep(Instant::now()),
            }
            if self.keep.is_due() {
                self.keep.begin(self.kept());
            }
        }
        self.keep.finish(self.kept()).await;
    }

    fn restore(&mut self) {
        let Some(kept) = self.keep.load() else { return };
        let now = Instant::now();
        self.store_id = kept.store_id;
        for restored in kept.services {
            let name = Arc::clone(&restored.service.name);
            for (resource, reason) in self.client.restore(restored) {
                tracing::warn!(%resource, reason, "resource in the snapshot refused");
            }
            self.usage.touch(&name, now);
        }
    }

    fn speak(&mut self, permit: Option<mpsc::OwnedPermit<proto::DeltaDiscoveryRequest>>) {
        let Some(permit) = permit else {
            // Nothing can be acknowledged on such a stream, whatever it still brings.
            let lost = self.link.lose(RpcStatus::unavailable("the control plane does not read any more"));
            self.on_event(lost);
            return;
        };
        if let Some(request) = self.client.poll() {
            permit.send(wire::request(request, &self.node));
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened(requests) => {
                tracing::info!("discovery stream opened");
                self.requests = Some(requests);
                self.client.on_connected();
                self.status.send_modify(|status| {
                    status.connected = true;
                    status.over("discovery: ");
                });
            }
            Event::Response(response) => {
                let Some(response) = wire::response(response) else { return };
                if let Err(error) = self.client.on_response(response) {
                    let lost = self.link.lose(RpcStatus::internal(error.to_string()));
                    self.on_event(lost);
                    return;
                }
                for (resource, reason) in self.client.refused() {
                    tracing::debug!(%resource, %reason, "resource refused");
                }
                self.publish();
            }
            Event::Lost(status) => {
                if self.requests.take().is_some() || self.status.borrow().trouble.is_empty() {
                    tracing::warn!(%status, "discovery stream lost: what is known serves on");
                }
                self.client.on_disconnected();
                let trouble = format!("discovery: {}", status.message()).into();
                self.status.send_modify(|now| (now.connected, now.trouble) = (false, trouble));
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Digests(reply) => drop(reply.send(self.digests())),
            Command::Resync(services) => {
                tracing::warn!(?services, "the control plane believes something else: syncing");
                for service in services {
                    self.client.resync(&service);
                }
            }
            Command::Store(store_id) => {
                if *self.store_id != *store_id {
                    if !self.store_id.is_empty() {
                        tracing::warn!(old = %self.store_id, new = %store_id, "the control plane has a new store");
                    }
                    self.store_id = Arc::clone(&store_id);
                    self.keep.dirty();
                }
                self.status.send_modify(|status| status.store_id = store_id);
            }
            Command::Dump(reply) => drop(reply.send(self.dump())),
        }
    }

    fn on_demand(&mut self, demand: Demand) {
        let name: Arc<str> = demand.service.to_string().into();
        match self.client.presence(&name) {
            Some(Presence::Closed) => answer(demand.reply, Demanded::Known),
            Some(Presence::Absent) => {
                self.usage.touch(&name, Instant::now());
                answer(demand.reply, Demanded::NoRoute);
            }
            Some(Presence::Unknown) => self.waiters.wait(&name, demand.reply),
            None if self.client.wanted().len() >= NAMES_MAX && !self.make_room() => {
                tracing::warn!(service = %name, limit = NAMES_MAX, "no more names are subscribed");
                answer(demand.reply, Demanded::Timeout);
            }
            None => {
                self.client.subscribe(&name);
                self.usage.touch(&name, Instant::now());
                self.waiters.wait(&name, demand.reply);
            }
        }
    }

    /// Drops the name that does not exist and was not dialled for longest, so that dials of made-up names
    /// don't shut out real ones.
    fn make_room(&mut self) -> bool {
        let absent = |name: &str| self.client.presence(name) != Some(Presence::Closed);
        let Some(name) = self.usage.oldest(absent) else { return false };
        self.drop_name(&name);
        true
    }

    fn sweep(&mut self, now: Instant) {
        self.waiters.forget_gone();
        if self.requests.is_none() {
            return;
        }
        let table = self.publisher.current();
        let mark = |name: &str| {
            let service = table.services.get(&name.parse::<ServiceName>().ok()?)?;
            Some(service.cell.last_used.load(Ordering::Relaxed))
        };
        let idle: BTreeSet<Arc<str>> = self.usage.idle(now, mark).into_iter().collect();
        let used = self.client.wanted().filter(|name| !idle.contains(*name));
        let reachable = self.said.reachable(used);
        let unused: Vec<&Arc<str>> = idle.iter().filter(|name| !reachable.contains(&***name)).collect();
        for name in unused.into_iter().cloned().collect::<Vec<_>>() {
            tracing::info!(service = %name, "no longer dialled: dropped");
            self.drop_name(&name);
        }
        self.publish();
    }

    fn drop_name(&mut self, name: &str) {
        self.client.unsubscribe(name);
        self.usage.forget(name);
        self.waiters.resolve(name, Demanded::Timeout);
    }

    /// Brings the table up to date, then answers who waited for it.
    fn publish(&mut self) {
        let changed = self.client.take_changed();
        if changed.is_empty() {
            return;
        }
        let states: Vec<(ServiceName, Option<ServiceState>)> = changed
            .iter()
            .filter_map(|name| Some((name.parse::<ServiceName>().ok()?, self.state(name))))
            .collect();
        self.publisher.update(states);
        for name in &changed {
            self.follow_routes(name);
        }
        self.keep.dirty();
        self.answer(&changed);
    }

    /// What the table is to show of a service; `None` while its set is open.
    fn state(&mut self, name: &Arc<str>) -> Option<ServiceState> {
        let items = self.client.traffic(name).into_iter().flatten().cloned().collect();
        let traffic = self.said.note(name, items);
        let endpoints = self.client.endpoints(name)?.cloned().collect();
        Some(ServiceState { endpoints, traffic })
    }

    /// Subscribes to the services that a service's routes send calls to, before the first call does.
    fn follow_routes(&mut self, service: &str) {
        let now = Instant::now();
        for backend in self.said.backends(service) {
            if self.client.presence(backend).is_some() {
                continue;
            }
            if self.client.wanted().len() >= NAMES_MAX {
                tracing::warn!(service = %backend, limit = NAMES_MAX, "no more names are subscribed");
                return;
            }
            self.client.subscribe(backend);
            self.usage.touch(backend, now);
        }
    }

    fn answer(&mut self, changed: &BTreeSet<Arc<str>>) {
        for name in changed {
            match self.client.presence(name) {
                Some(Presence::Closed) => self.waiters.resolve(name, Demanded::Known),
                Some(Presence::Absent) => self.waiters.resolve(name, Demanded::NoRoute),
                Some(Presence::Unknown) | None => {}
            }
        }
    }

    fn digests(&mut self) -> Heartbeat {
        let all = || self.client.wanted();
        let behind = |name: &&Arc<str>| self.digested.as_ref().is_none_or(|last| *name > last);
        let mut names: Vec<Arc<str>> = all().filter(behind).take(DIGESTS_MAX).cloned().collect();
        if names.len() < DIGESTS_MAX && self.digested.is_some() {
            let rest = DIGESTS_MAX - names.len();
            names.extend(all().filter(|name| !behind(name)).take(rest).cloned());
        }
        self.digested = names.last().cloned();
        let digests = names.iter().filter_map(|name| {
            let holding = self.client.holding(name)?;
            Some(ServiceDigest {
                service: name.to_string(),
                xor: holding.digest.to_bits(),
                endpoints: u32::try_from(holding.endpoints).unwrap_or(u32::MAX),
                traffic_xor: holding.traffic.to_bits(),
            })
        });
        Heartbeat {
            sequence: 0,
            digests: digests.collect(),
            endpoint_nonce: self.client.nonce(Kind::Endpoint).to_owned(),
            service_nonce: self.client.nonce(Kind::Service).to_owned(),
            traffic_nonce: self.client.nonce(Kind::Traffic).to_owned(),
        }
    }

    fn dump(&self) -> Dump {
        let services = self.client.wanted().map(|name| ServiceDump {
            name: name.to_string(),
            presence: match self.client.presence(name) {
                Some(Presence::Closed) => "closed",
                Some(Presence::Absent) => "absent",
                Some(Presence::Unknown) | None => "unknown",
            },
            endpoints: self.client.endpoints(name).map_or(0, Iterator::count),
            traffic: self.client.traffic(name).into_iter().flatten().map(resource).collect(),
        });
        let refused = self.client.refused();
        Dump {
            status: self.status.borrow().clone(),
            services: services.collect(),
            refused: refused.map(|(name, reason)| (name.to_string(), reason.to_string())).collect(),
        }
    }

    fn kept(&self) -> impl FnOnce() -> keeper::Kept + use<> {
        let (store_id, services) = (Arc::clone(&self.store_id), self.client.closed().collect());
        move || keeper::Kept { store_id, services }
    }
}

/// The resource that an item is of: `httproute.default.orders`.
fn resource(item: &Item) -> String {
    let origin = &item.origin;
    format!("{}.{}.{}", origin.kind.to_ascii_lowercase(), origin.namespace, origin.name)
}

/// Room for a request; never, when there is none to send.
async fn reserve(requests: Option<Requests>) -> Option<mpsc::OwnedPermit<proto::DeltaDiscoveryRequest>> {
    match requests {
        Some(requests) => requests.reserve_owned().await.ok(),
        None => std::future::pending().await,
    }
}
