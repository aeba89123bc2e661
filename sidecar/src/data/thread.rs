//! What one data thread owns: its view of the table, its pools, its metric cells, its randomness. Held by `Rc`;
//! nothing of it is shared with another thread.

mod hash_by;
mod service;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use http::HeaderMap;
use smallvec::SmallVec;
use tokio::sync::watch;
use weft_model::name::ServiceName;

pub(crate) use self::service::{LocalEndpoint, LocalService};
use super::{Phase, Shared, caller::Callers, waiting::Waiting};
use crate::{
    clock,
    config::SidecarConfig,
    fields::{Field, Fields},
    idle::Watches,
    metrics::{ConnectionMetrics, DataMetrics, Direction, OwnMetrics},
    pool::{Dial, Pool, Target},
    record::{RecordQueue, Recorder},
    table::{Directory, Table},
    trace::{Span, Tracer},
};

/// Host names whose service is remembered, at most; names come from the application, so they are bounded.
const HOSTS_MAX: usize = 1_024;
/// Places outside the mesh whose connections are pooled, at most.
const EGRESS_MAX: usize = 256;

type Map<K, V> = RefCell<HashMap<K, V, foldhash::fast::RandomState>>;
/// A service's ports that are called; hardly ever more than one.
type Ports = SmallVec<[Rc<LocalService>; 1]>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) config: Arc<SidecarConfig>,
    pub(crate) directory: Directory,
    pub(crate) recorder: Rc<Recorder>,
    /// None where nothing is traced.
    tracer: Option<Tracer>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) rng: RefCell<fastrand::Rng>,
    pub(crate) inbound: InboundState,
    /// The clients of this thread.
    pub(crate) callers: Callers,
    /// What is shared with the other threads.
    pub(crate) shared: Shared,
    /// Calls that wait for an answer.
    pub(crate) waiting: Rc<Waiting>,
    /// Bodies that may not stand still for long.
    pub(crate) idle: Rc<Watches>,
    /// Copies of requests under way to mirrors.
    pub(crate) copies: Rc<Cell<usize>>,
    pub(crate) outbound_connections: Arc<ConnectionMetrics>,
    pub(crate) inbound_connections: Arc<ConnectionMetrics>,
    /// Calls that found no service.
    pub(crate) unrouted: Rc<OwnMetrics>,
    metrics: Arc<DataMetrics>,
    upstream_connections: Arc<ConnectionMetrics>,
    source: String,
    table: RefCell<Arc<Table>>,
    services: Map<ServiceName, Ports>,
    hosts: Map<Box<str>, Rc<LocalService>>,
    egress: Map<(Box<str>, u16), Rc<Pool>>,
}

/// What a draining thread looks at.
#[derive(Debug)]
pub(crate) struct InboundState {
    /// Callers are asked to go elsewhere: set once, so that a call need not look at what threads share.
    pub(crate) is_draining: Cell<bool>,
    /// Calls under way.
    pub(crate) active: Rc<Cell<usize>>,
    /// When the last one came.
    pub(crate) last_call: Cell<u64>,
    /// The service hosted here.
    pub(crate) metrics: Option<Rc<OwnMetrics>>,
    /// To the application.
    pub(crate) pool: Option<Rc<Pool>>,
}

/// One inbound call or connection under way.
#[derive(Debug)]
pub(crate) struct ActiveGuard(Rc<Cell<usize>>);

impl Thread {
    pub(crate) fn new(
        config: &Arc<SidecarConfig>,
        directory: Directory,
        metrics: Arc<DataMetrics>,
        records: RecordQueue,
        phase: watch::Receiver<Phase>,
        shared: Shared,
    ) -> Self {
        let upstream_connections = metrics.connections("upstream");
        let hosted = config.instance.as_ref();
        let source = hosted.map_or_else(String::new, |instance| {
            format!("{}/{}/{}", instance.service.namespace, instance.service.name, instance.id)
        });
        let inbound = InboundState::new(config, &metrics, &upstream_connections);
        Self {
            config: Arc::clone(config),
            recorder: Rc::new(Recorder::new(records)),
            tracer: config.records.tracing.as_ref().map(|policy| Tracer::new(policy.share)),
            phase,
            rng: RefCell::new(fastrand::Rng::new()),
            inbound,
            callers: Callers::default(),
            shared,
            waiting: Rc::default(),
            idle: Rc::default(),
            copies: Rc::default(),
            outbound_connections: metrics.connections("outbound"),
            inbound_connections: metrics.connections("inbound"),
            unrouted: metrics.service(Direction::Outbound, &"".into()),
            upstream_connections,
            source,
            table: RefCell::new(directory.load()),
            directory,
            metrics,
            services: RefCell::default(),
            hosts: RefCell::default(),
            egress: RefCell::default(),
        }
    }

    /// The span of a call with these headers, where it is traced; they tell of it from then on.
    pub(crate) fn begin_span(&self, headers: &mut HeaderMap, fields: &mut Fields) -> Option<Box<Span>> {
        let tracer = self.tracer?;
        fields.add(Field::TRACE);
        tracer.begin(headers, &mut self.rng.borrow_mut())
    }

    /// The service that `host` (without a port) names, if this thread's table has it.
    pub(crate) fn service_of_host(&self, host: &str) -> Option<Rc<LocalService>> {
        self.renew();
        if let Some(known) = self.hosts.borrow().get(host) {
            return Some(Rc::clone(known));
        }
        let name = ServiceName::from_host(host, &self.config.namespace).ok()?;
        let service = self.service(&name, "")?;
        let mut hosts = self.hosts.borrow_mut();
        if hosts.len() >= HOSTS_MAX {
            hosts.clear();
        }
        hosts.insert(host.into(), Rc::clone(&service));
        Some(service)
    }

    /// The service and port, if this thread's table has the service.
    pub(crate) fn service(&self, name: &ServiceName, port_name: &str) -> Option<Rc<LocalService>> {
        self.renew();
        if let Some(known) = self.services.borrow().get(name) {
            let known = known.iter().find(|known| *known.port_name == *port_name);
            if let Some(known) = known {
                return Some(Rc::clone(known));
            }
        }
        let table = Arc::clone(self.table.borrow().services.get(name)?);
        let service = Rc::new(LocalService::new(self, table, port_name, None));
        self.services.borrow_mut().entry(name.clone()).or_default().push(Rc::clone(&service));
        Some(service)
    }

    /// The version of this thread's table, which is the newest.
    pub(crate) fn table_version(&self) -> u64 {
        self.renew();
        self.table.borrow().version
    }

    /// The name of the port with this number, at whichever endpoint of the service has one.
    pub(crate) fn port_name(&self, service: &ServiceName, number: u16) -> Option<Box<str>> {
        let table = self.table.borrow();
        let endpoints = &table.services.get(service)?.endpoints;
        let mut ports = endpoints.iter().flat_map(|shared| &shared.endpoint.ports);
        ports.find(|port| port.port == number).map(|port| port.name.as_str().into())
    }

    /// Takes the newest table over, if there is a newer one. What this thread has dialled is carried on:
    /// endpoints that stay keep their connections.
    pub(crate) fn renew(&self) {
        if self.directory.version() == self.table.borrow().version {
            return;
        }
        let table = self.directory.load();
        self.hosts.borrow_mut().clear();
        self.services.borrow_mut().retain(|name, ports| {
            let Some(newest) = table.services.get(name) else { return false };
            for local in ports.iter_mut().filter(|local| !Arc::ptr_eq(newest, &local.table)) {
                *local = Rc::new(LocalService::new(self, Arc::clone(newest), &local.port_name, Some(local)));
            }
            true
        });
        *self.table.borrow_mut() = table;
    }

    /// Follows the table even when nothing is called: pending attempts have to hear that an endpoint turned
    /// critical.
    pub(crate) async fn follow(self: Rc<Self>) {
        let mut changes = self.directory.changes();
        while changes.changed().await.is_ok() {
            self.renew();
        }
    }

    /// The pool of a place outside the mesh.
    pub(crate) fn egress(&self, host: &str, port: u16) -> Rc<Pool> {
        let mut egress = self.egress.borrow_mut();
        if egress.len() >= EGRESS_MAX {
            egress.clear();
        }
        let pool = egress.entry((host.into(), port)).or_insert_with(|| {
            let target = Target::Name(host.to_owned(), port);
            let dial = Dial { target, hop: None, timeout: Cell::new(self.config.policy.timeouts.connect) };
            let pool = Pool::new(dial, 0, Arc::clone(&self.upstream_connections));
            // A name is resolved anew with each connection.
            pool.follow(&self.config.policy);
            Rc::new(pool)
        });
        Rc::clone(pool)
    }

    /// Closes connections that nobody used for long.
    pub(crate) fn sweep(&self) {
        for service in self.services.borrow().values().flatten() {
            service.endpoints.iter().for_each(|endpoint| endpoint.pool.sweep());
        }
        self.egress.borrow().values().for_each(|pool| pool.sweep());
        self.inbound.pool.iter().for_each(|pool| pool.sweep());
    }
}

impl InboundState {
    fn new(config: &SidecarConfig, metrics: &DataMetrics, connections: &Arc<ConnectionMetrics>) -> Self {
        let hosted = config.instance.as_ref();
        let dial = |app| Dial {
            target: Target::Address(app),
            hop: None,
            timeout: Cell::new(config.policy.timeouts.connect),
        };
        Self {
            is_draining: Cell::new(false),
            active: Rc::default(),
            last_call: Cell::new(clock::now()),
            metrics: hosted
                .map(|instance| metrics.service(Direction::Inbound, &instance.service.to_string().into())),
            pool: hosted.map(|instance| Rc::new(Pool::new(dial(instance.app), 0, Arc::clone(connections)))),
        }
    }

    pub(crate) fn begin(&self) -> ActiveGuard {
        self.last_call.set(clock::now());
        self.active.set(self.active.get() + 1);
        ActiveGuard(Rc::clone(&self.active))
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
