//! What the HTTP API counts. Labels are bounded: routes as they are written down, never paths as they came.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::registry::Catalog;

/// Upper bounds of the request time's buckets, in seconds.
const SECONDS_BUCKETS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Counters of the HTTP API. Clones share.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    blocking: Gauge,
    blocking_refused: Counter,
    panics: Counter,
    connections: Gauge,
    connections_refused: Counter,
    instances: Family<HealthLabel, Gauge>,
    revision: Gauge,
    sidecars: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HealthLabel {
    health: String,
}

/// Counts one up as long as it is held.
pub(crate) struct Held(Gauge);

impl Metrics {
    /// Registers them all.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Histogram::new(SECONDS_BUCKETS),
            blocking: Gauge::default(),
            blocking_refused: Counter::default(),
            panics: Counter::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            instances: Family::default(),
            revision: Gauge::default(),
            sidecars: Gauge::default(),
        };
        let http = registry.sub_registry_with_prefix("weft_http");
        http.register("requests", "Answered requests", metrics.requests.clone());
        http.register(
            "request_seconds",
            "Time to answer requests that do not block",
            metrics.seconds.clone(),
        );
        http.register("blocking_queries", "Blocking queries that wait now", metrics.blocking.clone());
        http.register(
            "blocking_queries_refused",
            "Blocking queries over their limit, answered with 429",
            metrics.blocking_refused.clone(),
        );
        http.register("panics", "Handlers that panicked: a bug", metrics.panics.clone());
        http.register("connections", "Open connections", metrics.connections.clone());
        http.register(
            "connections_refused",
            "Connections over the limit, answered with 503",
            metrics.connections_refused.clone(),
        );
        let control = registry.sub_registry_with_prefix("weft");
        control.register("registry_instances", "Registered instances by health", metrics.instances.clone());
        control.register("store_revision", "Revision of the store", metrics.revision.clone());
        control.register("sidecars", "Attached sidecars", metrics.sidecars.clone());
        metrics
    }

    /// A request was answered. `seconds` is absent for those that may block.
    pub(crate) fn request(&self, route: &str, method: &http::Method, status: u16, seconds: Option<f64>) {
        let labels = RequestLabels { route: route.into(), method: method.to_string(), status };
        self.requests.get_or_create(&labels).inc();
        if let Some(seconds) = seconds {
            self.seconds.observe(seconds);
        }
    }

    /// A blocking query waits as long as the value is held. `None`: `limit` of them wait already.
    pub(crate) fn blocking_query(&self, limit: usize) -> Option<Held> {
        let held = Held::new(&self.blocking);
        // Counted first, so that of two that come at once not both are the last.
        if self.blocking.get() > clamped(limit as u64) {
            self.blocking_refused.inc();
            return None;
        }
        Some(held)
    }

    /// A connection is open as long as the value is held.
    pub(crate) fn connection(&self) -> Held {
        Held::new(&self.connections)
    }

    /// A connection was over the limit.
    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// A handler panicked.
    pub(crate) fn panic(&self) {
        self.panics.inc();
    }

    /// Sets what is read off the catalog at a scrape.
    pub(crate) fn observe(&self, catalog: &Catalog, revision: u64, sidecars: usize) {
        use weft_model::endpoint::Health;
        for health in [Health::Passing, Health::Warning, Health::Critical] {
            let instances = catalog.services.values().flat_map(|service| &service.instances);
            let count = instances.filter(|instance| instance.health == health).count();
            let label = HealthLabel { health: health.to_string() };
            self.instances.get_or_create(&label).set(clamped(count as u64));
        }
        self.revision.set(clamped(revision));
        self.sidecars.set(clamped(sidecars as u64));
    }
}

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn clamped(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
