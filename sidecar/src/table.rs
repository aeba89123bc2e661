//! The endpoint table: what this sidecar knows of the services its application dials. The control side
//! publishes a whole new [`Table`]; data threads keep a pointer each and renew it when the version changes,
//! so a request takes no lock and counts no shared reference.
//!
//! What outlives a table stands in cells ([`EndpointCell`]): one cache line of relaxed atomics an endpoint,
//! taken over by the new table for endpoints that stay.

mod limits;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use weft_model::{
    balance::Plan,
    endpoint::Endpoint,
    name::{InstanceKey, ServiceName},
    policy::Policy,
    traffic::Traffic,
};

pub use self::limits::LimitCell;
use crate::{clock, concurrency::Limiter, config::SidecarConfig};

/// First dials waiting for the control plane at once, at most; one more is answered `discovery-timeout`.
pub const DEMANDS_WAITING_MAX: usize = 1_024;
/// How long a first dial waits for the control plane.
pub const DEMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// What a table is made for: the sidecar that calls.
#[derive(Debug, Clone, Default)]
pub struct Home {
    /// For every service that nothing is said about.
    pub policy: Arc<Policy>,
    /// Where it stands; empty = unknown.
    pub zone: Arc<str>,
}

/// All that is known at one moment.
#[derive(Debug, Default)]
pub struct Table {
    /// One more a change.
    pub version: u64,
    /// Services whose set is closed.
    pub services: HashMap<ServiceName, Arc<ServiceTable>, foldhash::fast::RandomState>,
}

/// One service: its endpoints and what is counted of it.
#[derive(Debug)]
pub struct ServiceTable {
    /// Its name.
    pub name: ServiceName,
    /// In the order of their keys; critical ones included.
    pub endpoints: Vec<Arc<TableEndpoint>>,
    /// What resources say about its calls; the same pointer as long as they say the same.
    pub traffic: Arc<Traffic>,
    /// The buckets of its rate limits, in their order; outlive tables.
    pub limits: Arc<[LimitCell]>,
    /// The sidecar's own policy, and what a ServicePolicy says over it.
    pub policy: Arc<Policy>,
    /// How an endpoint is chosen.
    pub plan: Plan,
    /// Outlives tables.
    pub cell: Arc<ServiceCell>,
}

/// What discovery knows of one service.
#[derive(Debug, Default)]
pub struct ServiceState {
    /// In any order; critical ones included.
    pub endpoints: Vec<Endpoint>,
    /// What resources say about its calls.
    pub traffic: Arc<Traffic>,
}

impl From<Vec<Endpoint>> for ServiceState {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints, traffic: Arc::default() }
    }
}

/// One endpoint with its shared words.
#[derive(Debug)]
pub struct TableEndpoint {
    /// What discovery says.
    pub endpoint: Endpoint,
    /// When it came into service, in nanoseconds since the process's epoch; 0 = before we knew of it.
    pub started_at: u64,
    /// Outlives tables while the instance and its address stay.
    pub cell: Arc<EndpointCell>,
}

/// The shared words of one endpoint, one cache line, all relaxed.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct EndpointCell {
    /// Requests without a finished response.
    pub in_flight: AtomicU32,
    /// Failures in a row.
    pub failures: AtomicU32,
    /// Bits of the peak-EWMA, an `f64` in nanoseconds.
    pub ewma_bits: AtomicU64,
    /// When it was last updated, in nanoseconds since the process's epoch.
    pub ewma_at: AtomicU64,
    /// Not chosen before this time, in nanoseconds since the process's epoch; 0 = never ejected.
    pub ejected_until: AtomicU64,
    /// How often it was ejected lately: each time is longer.
    pub ejections: AtomicU32,
    /// Bumped when discovery says it turned critical: pending idempotent attempts go elsewhere.
    pub critical_epoch: AtomicU32,
    /// Requests without a response head.
    pub unanswered: AtomicU32,
    /// Since when nothing came back although something is unanswered, in nanoseconds.
    pub silent_since: AtomicU64,
    /// When it was last given a request, in nanoseconds.
    pub asked_at: AtomicU64,
    /// What it answered in this interval (see `weft_model::success_rate::Tally`).
    pub tally: AtomicU32,
}

const _: () = assert!(size_of::<EndpointCell>() == 64, "one cache line");

/// The shared words of one service.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServiceCell {
    /// The retry budget's balance (see `weft_model::budget`).
    pub budget: AtomicU64,
    /// When it was last dialled, in seconds since the process's epoch; unused names are dropped.
    pub last_used: AtomicU32,
    /// Round robin's place.
    pub round_robin: AtomicU32,
    /// When success rates were last compared, in nanoseconds; 0 = never.
    pub compared_at: AtomicU64,
    /// Requests under way, where they are limited.
    pub limiter: Arc<Limiter>,
}

/// What became of a first dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demanded {
    /// The table has the service now.
    Known,
    /// The control plane says there is none: `no-route`.
    NoRoute,
    /// No answer in time, or too many waiting: `discovery-timeout`.
    Timeout,
}

/// A first dial on its way to the discovery client.
#[derive(Debug)]
pub struct Demand {
    /// What was dialled.
    pub service: ServiceName,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Demanded>,
}

/// The reading side: shared by data threads.
#[derive(Debug, Clone)]
pub struct Directory {
    shared: Arc<Shared>,
    demands: mpsc::Sender<Demand>,
}

/// The writing side: owned by the discovery client, or by the static table of a sidecar that runs alone.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    home: Home,
}

#[derive(Debug)]
struct Shared {
    version: AtomicU64,
    table: ArcSwap<Table>,
    changes: watch::Sender<u64>,
}

impl From<&SidecarConfig> for Home {
    fn from(config: &SidecarConfig) -> Self {
        Self { policy: Arc::new(config.policy.clone()), zone: config.zone.as_str().into() }
    }
}

/// Makes the two sides, and the queue of first dials for the writer.
pub fn directory(home: Home) -> (Directory, Publisher, mpsc::Receiver<Demand>) {
    let shared = Arc::new(Shared {
        version: AtomicU64::new(0),
        table: ArcSwap::from_pointee(Table::default()),
        changes: watch::Sender::new(0),
    });
    let (demands, waiting) = mpsc::channel(DEMANDS_WAITING_MAX);
    (Directory { shared: shared.clone(), demands }, Publisher { shared, home }, waiting)
}

impl Directory {
    /// Wakes whoever waits for the next version: once a data thread, never once a request.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// To compare with that of the table at hand: one load, no lock.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// The newest table; for when [`Directory::version`] has changed.
    pub fn load(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    /// Asks the control plane for a name that the table lacks; at most [`DEMAND_TIMEOUT`].
    pub async fn demand(&self, service: ServiceName) -> Demanded {
        let (reply, answer) = oneshot::channel();
        if self.demands.try_send(Demand { service, reply }).is_err() {
            return Demanded::Timeout;
        }
        match tokio::time::timeout(DEMAND_TIMEOUT, answer).await {
            Ok(Ok(demanded)) => demanded,
            _ => Demanded::Timeout,
        }
    }
}

impl Publisher {
    /// Replaces one or more services (`None` removes) and publishes the result. Cells of endpoints that stay
    /// are taken over.
    pub fn update<S: Into<ServiceState>>(&self, changes: impl IntoIterator<Item = (ServiceName, Option<S>)>) {
        let old = self.shared.table.load_full();
        let mut services = old.services.clone();
        for (name, state) in changes {
            match state {
                Some(state) => {
                    let before = services.get(&name).map(Arc::as_ref);
                    let table = ServiceTable::succeed(before, name.clone(), state.into(), &self.home);
                    services.insert(name, Arc::new(table));
                }
                None => {
                    services.remove(&name);
                }
            }
        }
        let version = old.version + 1;
        self.shared.table.store(Arc::new(Table { version, services }));
        self.shared.version.store(version, Ordering::Release);
        self.shared.changes.send_replace(version);
    }

    /// The table that was published last.
    pub fn current(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }
}

impl ServiceTable {
    fn succeed(old: Option<&Self>, name: ServiceName, state: ServiceState, home: &Home) -> Self {
        let ServiceState { mut endpoints, traffic } = state;
        endpoints.sort_by(|a, b| a.key.cmp(&b.key));
        let kept: HashMap<&InstanceKey, &Arc<TableEndpoint>> = old
            .into_iter()
            .flat_map(|old| &old.endpoints)
            .map(|known| (&known.endpoint.key, known))
            .collect();
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .map(|endpoint| match kept.get(&endpoint.key) {
                Some(known) if known.endpoint == endpoint => Arc::clone(known),
                known => Arc::new(TableEndpoint::succeed(known.copied(), endpoint, old.is_some())),
            })
            .collect();
        let cell = old.map(|old| Arc::clone(&old.cell)).unwrap_or_default();
        let (traffic, limits) = match old {
            Some(old) if old.traffic == traffic => (Arc::clone(&old.traffic), Arc::clone(&old.limits)),
            old => {
                let limits = LimitCell::all(&traffic, old.map_or(&[], |old| &old.limits));
                (traffic, limits)
            }
        };
        let policy = match (old, traffic.policy()) {
            (Some(old), _) if Arc::ptr_eq(&old.traffic, &traffic) => Arc::clone(&old.policy),
            (_, Some(patch)) => Arc::new(patch.over(&home.policy)),
            (_, None) => Arc::clone(&home.policy),
        };
        let members = endpoints.iter().map(|known| &known.endpoint);
        let plan = Plan::new(&policy.balance, &home.zone, members, old.map(|old| &old.plan));
        Self { name, endpoints, traffic, policy, plan, limits, cell }
    }
}

impl TableEndpoint {
    /// The same endpoint with news, or another one. Slow start is for those that come into service while others
    /// are: where the service itself is new to us, nothing is known of any.
    fn succeed(known: Option<&Arc<Self>>, endpoint: Endpoint, is_service_known: bool) -> Self {
        let known = known.filter(|known| same_place(&known.endpoint, &endpoint));
        let was_callable = known.is_some_and(|known| known.endpoint.health.is_callable());
        let is_callable = endpoint.health.is_callable();
        let cell = known.map(|known| Arc::clone(&known.cell)).unwrap_or_default();
        if was_callable && !is_callable {
            cell.critical_epoch.fetch_add(1, Ordering::Relaxed);
        }
        let started_at = match known {
            _ if is_service_known && !was_callable && is_callable => clock::now(),
            Some(known) => known.started_at,
            None => 0,
        };
        Self { endpoint, started_at, cell }
    }
}

/// Whether what was learnt about one holds for the other.
fn same_place(a: &Endpoint, b: &Endpoint) -> bool {
    a.address == b.address && a.ports == b.ports && a.hop == b.hop
}
