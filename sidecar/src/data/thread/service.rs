//! One service as one thread sees it: the table's record, and the thread's pools and cells beside it.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use weft_model::{
    balance::{Candidate, Choice, Counts, choose},
    budget,
    endpoint::{HopTarget, Protocol},
    policy::Policy,
};

use super::{super::waiting::Waiting, Thread, hash_by::HashBy};
use crate::{
    clock, load,
    metrics::{Direction, EndpointMetrics, OwnMetrics},
    outbound::route::{RouteCounts, Routes},
    pool::{Dial, HopBase, Pool, Target},
    table::{ServiceTable, TableEndpoint},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct LocalService {
    pub(crate) table: Arc<ServiceTable>,
    pub(crate) port_name: Box<str>,
    pub(crate) endpoints: Vec<Rc<LocalEndpoint>>,
    /// The sidecar's own, and what a ServicePolicy says over it.
    pub(crate) policy: Rc<Policy>,
    /// Rules, limits and faults; most services have none.
    pub(crate) routes: Option<Rc<Routes>>,
    /// What its requests are balanced by.
    pub(crate) hash_by: HashBy,
    pub(crate) metrics: Rc<OwnMetrics>,
    counts: Counts,
}

/// One endpoint of it.
#[derive(Debug)]
pub(crate) struct LocalEndpoint {
    pub(crate) shared: Arc<TableEndpoint>,
    pub(crate) pool: Rc<Pool>,
    /// `<node>/<id>`.
    pub(crate) label: Arc<str>,
    pub(crate) metrics: Arc<EndpointMetrics>,
    /// Between sidecars a named failure in a response is the other sidecar's; a bare endpoint's is nothing.
    pub(crate) has_sidecar: bool,
    /// What is spoken at the port.
    pub(crate) protocol: Protocol,
}

impl LocalService {
    pub(super) fn new(
        thread: &Thread,
        table: Arc<ServiceTable>,
        port_name: &str,
        before: Option<&Rc<Self>>,
    ) -> Self {
        let metrics = match before {
            Some(before) => Rc::clone(&before.metrics),
            None => thread.metrics.service(Direction::Outbound, &table.name.to_string().into()),
        };
        let unchanged = before.filter(|before| Arc::ptr_eq(&before.table.traffic, &table.traffic));
        let policy = match unchanged {
            Some(before) => Rc::clone(&before.policy),
            // A copy of its own, so that a request counts no reference that threads share.
            None => Rc::new(Policy::clone(&table.policy)),
        };
        let routes = match unchanged {
            // Which ports a route is for may change with the endpoints.
            Some(before) if !table.traffic.has_ports() => before.routes.clone(),
            _ => {
                let before = before.and_then(|before| before.routes.as_deref());
                let counts = RouteCounts { all: &thread.metrics, service: &metrics.service, before };
                Routes::of(&table, port_name, &thread.config.namespace, &policy, counts).map(Rc::new)
            }
        };
        let known = before.map_or(&[][..], |before| &before.endpoints);
        let endpoints = table
            .endpoints
            .iter()
            .map(|shared| {
                let kept = known.iter().find(|known| Arc::ptr_eq(&known.shared.cell, &shared.cell));
                let endpoint = match kept {
                    Some(kept) => kept.succeed(shared, &thread.waiting),
                    None => LocalEndpoint::new(thread, &metrics.service, shared, port_name, &policy),
                };
                endpoint.pool.follow(&policy);
                Rc::new(endpoint)
            })
            .collect();
        let (hash_by, counts) = (HashBy::new(table.plan.hash_key()), Counts::default());
        Self { table, port_name: port_name.into(), endpoints, policy, routes, hash_by, metrics, counts }
    }

    /// The endpoint for the next attempt of a request with this key; it is `now`.
    pub(crate) fn choose(
        &self,
        thread: &Thread,
        tried: &[Rc<Pool>],
        may_probe: bool,
        key: Option<u64>,
        now: u64,
    ) -> Option<Rc<LocalEndpoint>> {
        let plan = &self.table.plan;
        let turn = if plan.takes_turns() { self.table.cell.round_robin.fetch_add(1, Relaxed) } else { 0 };
        let choice = Choice { plan, counts: &self.counts, key, may_probe, now, turn };
        let place = choose(&choice, &mut thread.rng.borrow_mut(), |place| {
            let Some(endpoint) = self.table.endpoints.get(place) else { return load::NOBODY };
            let is_tried = !tried.is_empty() && self.is_tried(place, tried);
            Candidate { is_tried, ..load::candidate(endpoint, now) }
        })?;
        self.endpoints.get(place).map(Rc::clone)
    }

    fn is_tried(&self, place: usize, tried: &[Rc<Pool>]) -> bool {
        let endpoint = self.endpoints.get(place);
        endpoint.is_some_and(|endpoint| tried.iter().any(|pool| Rc::ptr_eq(pool, &endpoint.pool)))
    }

    /// The name is in use.
    pub(crate) fn note_use(&self) {
        self.table.cell.last_used.store(clock::secs(clock::now()), Relaxed);
    }

    /// One request came `now`: the name is in use, and the budget grows.
    pub(crate) fn note_request(&self, now: u64) {
        let cell = &self.table.cell;
        cell.last_used.store(clock::secs(now), Relaxed);
        let deposit = |word| Some(budget::deposit(word, &self.policy.retry.budget));
        let _ = cell.budget.fetch_update(Relaxed, Relaxed, deposit);
    }

    /// Whether the budget allows one more attempt; it is then taken.
    pub(crate) fn withdraw_retry(&self) -> bool {
        let now = clock::ms(clock::now());
        let withdraw = |word| budget::withdraw(word, now, &self.policy.retry.budget);
        self.table.cell.budget.fetch_update(Relaxed, Relaxed, withdraw).is_ok()
    }
}

impl LocalEndpoint {
    fn new(
        thread: &Thread,
        service: &Arc<str>,
        shared: &Arc<TableEndpoint>,
        port_name: &str,
        policy: &Policy,
    ) -> Self {
        let endpoint = &shared.endpoint;
        let (target, hop) = match &endpoint.hop {
            HopTarget::Sidecar { address, .. } => {
                let hop = HopBase {
                    service: endpoint.key.service.clone(),
                    port_name: port_name.to_owned(),
                    source: thread.source.clone(),
                };
                (Target::Address(*address), Some(hop))
            }
            HopTarget::Direct => {
                let port = endpoint.port(port_name).map_or(0, |port| port.port);
                let target = match endpoint.address.parse() {
                    Ok(ip) => Target::Address(std::net::SocketAddr::new(ip, port)),
                    Err(_) => Target::Name(endpoint.address.clone(), port),
                };
                (target, None)
            }
        };
        let has_sidecar = hop.is_some();
        let dial = Dial { target, hop, timeout: Cell::new(policy.timeouts.connect) };
        let epoch = shared.cell.critical_epoch.load(Relaxed);
        let label: Arc<str> = format!("{}/{}", endpoint.key.node, endpoint.key.id).into();
        Self {
            shared: Arc::clone(shared),
            pool: Rc::new(
                Pool::new(dial, epoch, Arc::clone(&thread.upstream_connections))
                    .limited(policy.limits.connections_per_endpoint),
            ),
            metrics: thread.metrics.endpoint(service, &label),
            label,
            has_sidecar,
            protocol: endpoint.port(port_name).map_or(Protocol::Auto, |port| port.protocol),
        }
    }

    /// The same endpoint in a newer table. If it turned critical in between, its pending attempts hear of it.
    fn succeed(&self, shared: &Arc<TableEndpoint>, waiting: &Waiting) -> Self {
        let epoch = shared.cell.critical_epoch.load(Relaxed);
        if self.pool.critical_epoch.replace(epoch) != epoch {
            waiting.wake_all();
        }
        Self {
            shared: Arc::clone(shared),
            pool: Rc::clone(&self.pool),
            label: Arc::clone(&self.label),
            metrics: Arc::clone(&self.metrics),
            has_sidecar: self.has_sidecar,
            protocol: self.protocol,
        }
    }
}
