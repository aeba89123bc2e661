//! What the data path counts. Each thread has cells of its own for each service it carries: plain relaxed
//! atomics that only it writes, found once and kept by the service's local record. The collector sums them
//! when it is scraped.

mod codes;
mod endpoints;
mod latency;
mod outcomes;
mod render;
mod resilience;
mod routes;

use std::{
    ops::Deref,
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use weft_model::error_code::ErrorCode;

pub use self::{
    codes::Codes, endpoints::TableMetrics, latency::Latency, outcomes::Outcomes,
    resilience::ResilienceMetrics, routes::RouteMetrics,
};
use crate::data::caller::Reason;
pub use crate::trace::SpanMetrics;

/// Upper bounds of the latency histogram, in seconds; one more bucket holds what is slower.
pub const LATENCY_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Which way a call goes through this sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the application.
    Outbound,
    /// To the application.
    Inbound,
}

impl Direction {
    /// The word in records and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

impl Ejection {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Consecutive, Self::Unreachable, Self::SuccessRate];

    /// The word in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::Unreachable => "unreachable",
            Self::SuccessRate => "success-rate",
        }
    }
}

/// All cells of all threads. Register it as a collector.
#[derive(Debug, Default)]
pub struct DataMetrics {
    services: Mutex<Vec<Arc<ServiceMetrics>>>,
    endpoints: Mutex<Vec<Weak<EndpointMetrics>>>,
    routes: Mutex<Vec<Weak<RouteMetrics>>>,
    connections: Mutex<Vec<Arc<ConnectionMetrics>>>,
    /// Access records that found their queue full.
    pub records_dropped: Arc<AtomicU64>,
    /// Spans for the collector.
    pub spans: Arc<SpanMetrics>,
}

/// One thread's counts of one service in one direction.
#[derive(Debug)]
pub struct ServiceMetrics {
    /// Which way.
    pub direction: Direction,
    /// The service, or where an absolute URI outside the mesh went.
    pub service: Arc<str>,
    outcomes: Outcomes,
    codes: Codes,
    /// What retries, hedges and limits did.
    pub resilience: ResilienceMetrics,
    /// Retries that the budget did not allow.
    pub budget_exhausted: AtomicU64,
    /// Copies that mirrors were sent.
    pub mirrored: AtomicU64,
    /// Copies that were not sent: too many at once, or a body that was not kept.
    pub mirrors_dropped: AtomicU64,
    /// Requests that a policy made wait or fail.
    pub faults: AtomicU64,
    /// Requests that their caller gave up.
    pub cancelled: AtomicU64,
    /// Body bytes from the caller.
    pub received: AtomicU64,
    /// Body bytes to the caller.
    pub sent: AtomicU64,
}

/// A thread's hold on its counts of one service, which a call takes part in without a reference count that threads
/// share.
#[derive(Debug)]
pub(crate) struct OwnMetrics(Arc<ServiceMetrics>);

/// One thread's counts of one endpoint; gone with the endpoint.
#[derive(Debug)]
pub struct EndpointMetrics {
    /// The service.
    pub service: Arc<str>,
    /// `<node>/<id>`.
    pub endpoint: Arc<str>,
    /// Attempts that were sent there.
    pub requests: AtomicU64,
    /// Attempts that failed there, as outlier ejection counts.
    pub failures: AtomicU64,
    /// From an attempt to the head of its answer.
    pub latency: Latency,
    /// Times it was ejected, by [`Ejection`].
    pub ejections: [AtomicU64; Ejection::ALL.len()],
}

/// Why an endpoint was ejected; a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ejection {
    /// Failures in a row.
    Consecutive,
    /// Nobody is there, or the wrong one.
    Unreachable,
    /// It fails much more than the others.
    SuccessRate,
}

/// One thread's connections of one kind.
#[derive(Debug)]
pub struct ConnectionMetrics {
    /// `outbound` and `inbound` were accepted, `upstream` were made.
    pub kind: &'static str,
    /// How many were opened.
    pub opened: AtomicU64,
    /// How many of them are closed.
    pub closed: AtomicU64,
    /// Those that were closed for being slow, by reason.
    pub slow: [AtomicU64; Reason::ALL.len()],
    /// Answers before the answer that were dropped: 102, 103 and the like.
    pub informational: AtomicU64,
    /// How often new connections were kept waiting, because those that were there were not served in time.
    pub held: AtomicU64,
}

/// An open connection, counted as closed when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<ConnectionMetrics>);

impl DataMetrics {
    /// A cell for the calling thread. One that a thread has let go is used again, so that a service that comes
    /// and goes does not add cells for ever.
    pub(crate) fn service(&self, direction: Direction, service: &Arc<str>) -> Rc<OwnMetrics> {
        let mut services = self.services.lock();
        let free = services.iter().find(|cell| {
            cell.direction == direction && cell.service == *service && Arc::strong_count(cell) == 1
        });
        if let Some(free) = free {
            return Rc::new(OwnMetrics(Arc::clone(free)));
        }
        let cell = Arc::new(ServiceMetrics::new(direction, Arc::clone(service)));
        services.push(Arc::clone(&cell));
        Rc::new(OwnMetrics(cell))
    }

    pub(crate) fn endpoint(&self, service: &Arc<str>, endpoint: &Arc<str>) -> Arc<EndpointMetrics> {
        let cell = Arc::new(EndpointMetrics {
            service: Arc::clone(service),
            endpoint: Arc::clone(endpoint),
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            latency: Latency::default(),
            ejections: Default::default(),
        });
        let mut endpoints = self.endpoints.lock();
        endpoints.retain(|cell| cell.strong_count() > 0);
        endpoints.push(Arc::downgrade(&cell));
        cell
    }

    pub(crate) fn connections(&self, kind: &'static str) -> Arc<ConnectionMetrics> {
        let cell = Arc::new(ConnectionMetrics::new(kind));
        self.connections.lock().push(Arc::clone(&cell));
        cell
    }
}

impl ServiceMetrics {
    fn new(direction: Direction, service: Arc<str>) -> Self {
        Self {
            direction,
            service,
            outcomes: Outcomes::default(),
            codes: Codes::default(),
            resilience: ResilienceMetrics::default(),
            budget_exhausted: AtomicU64::default(),
            mirrored: AtomicU64::default(),
            mirrors_dropped: AtomicU64::default(),
            faults: AtomicU64::default(),
            cancelled: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
        }
    }

    /// Counts one request.
    pub(crate) fn observe(&self, status: u16, error: Option<ErrorCode>, nanos: u64) {
        self.outcomes.observe(status, error, nanos);
        self.codes.count(status);
    }
}

/// Adds to a cell that only the calling thread writes: no locked instruction is needed for that.
pub(crate) fn count(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Deref for OwnMetrics {
    type Target = ServiceMetrics;

    fn deref(&self) -> &ServiceMetrics {
        &self.0
    }
}

impl ConnectionMetrics {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            opened: AtomicU64::default(),
            closed: AtomicU64::default(),
            slow: Default::default(),
            informational: AtomicU64::default(),
            held: AtomicU64::default(),
        }
    }

    pub(crate) fn count_slow(&self, reason: Reason) {
        if let Some(cell) = self.slow.get(reason as usize) {
            cell.fetch_add(1, Relaxed);
        }
    }
}

impl EndpointMetrics {
    pub(crate) fn eject(&self, kind: Ejection) {
        if let Some(count) = self.ejections.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl OpenConnection {
    pub(crate) fn new(metrics: &Arc<ConnectionMetrics>) -> Self {
        metrics.opened.fetch_add(1, Relaxed);
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Relaxed);
    }
}
