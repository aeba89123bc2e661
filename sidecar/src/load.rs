//! The shared words of an endpoint, read and written: what is in flight, how fast it answers, whether it is
//! ejected. All relaxed: a choice made on a value that is a moment old is as good, and no two words have to
//! agree.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use weft_model::{
    balance::{Candidate, may_eject},
    ewma::PeakEwma,
    outlier::{Accrual, Failure, Gate},
    policy::{OutlierPolicy, SuccessRatePolicy},
    success_rate::{self, Tally, is_outlier},
};

use crate::{
    clock,
    data::thread::{LocalEndpoint, LocalService},
    metrics::Ejection,
    table::{EndpointCell, TableEndpoint},
};

/// For a place that the table does not have: never chosen.
pub(crate) const NOBODY: Candidate = Candidate {
    callable: false,
    is_tried: false,
    gate: Gate::Open,
    is_refused: false,
    ewma: 0.0,
    in_flight: 0,
    unanswered: 0,
    silent_since: 0,
    asked_at: 0,
    started_at: 0,
    weight: 1,
};

/// One request at an endpoint, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    endpoint: Rc<LocalEndpoint>,
    answered: bool,
}

impl InFlight {
    /// It begins `now`.
    pub(crate) fn begin(endpoint: Rc<LocalEndpoint>, now: u64) -> Self {
        let cell = &endpoint.shared.cell;
        cell.in_flight.fetch_add(1, Relaxed);
        if cell.unanswered.fetch_add(1, Relaxed) == 0 {
            cell.silent_since.store(now, Relaxed);
        }
        cell.asked_at.store(now, Relaxed);
        Self { endpoint, answered: false }
    }

    /// The response head is here, of a request that was sent at this time: making a connection is no part of how
    /// fast an endpoint answers, and would keep one away that has none yet.
    pub(crate) fn answer(&mut self, sent_at: u64, is_new_connection: bool) {
        let now = clock::now();
        let cell = &self.endpoint.shared.cell;
        let nanos = now.saturating_sub(sent_at);
        self.endpoint.metrics.latency.observe(nanos);
        let (rtt, before) = (Duration::from_nanos(nanos), read_ewma(cell));
        let ewma = if is_new_connection { before.observe_cold(rtt, now) } else { before.observe(rtt, now) };
        cell.ewma_bits.store(ewma.nanos.to_bits(), Relaxed);
        cell.ewma_at.store(ewma.at, Relaxed);
        cell.silent_since.store(now, Relaxed);
        self.settle();
    }

    fn settle(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.endpoint.shared.cell.unanswered.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.settle();
        self.endpoint.shared.cell.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What the balancer sees.
pub(crate) fn candidate(endpoint: &TableEndpoint, now: u64) -> Candidate {
    let cell = &endpoint.cell;
    let accrual = read_accrual(cell);
    Candidate {
        callable: endpoint.endpoint.health.is_callable(),
        is_tried: false,
        gate: accrual.gate(now),
        is_refused: accrual.is_refused(),
        ewma: read_ewma(cell).faded(now),
        in_flight: cell.in_flight.load(Relaxed),
        unanswered: cell.unanswered.load(Relaxed),
        silent_since: cell.silent_since.load(Relaxed),
        asked_at: cell.asked_at.load(Relaxed),
        started_at: endpoint.started_at,
        weight: endpoint.endpoint.weight,
    }
}

/// An answer that is no failure.
pub(crate) fn praise(endpoint: &LocalEndpoint) {
    let cell = &endpoint.shared.cell;
    if cell.failures.load(Relaxed) != 0 {
        write_accrual(cell, read_accrual(cell).succeeded());
    }
}

/// A failure that is the endpoint's.
pub(crate) fn blame(
    service: &LocalService,
    endpoint: &LocalEndpoint,
    failure: Failure,
    policy: &OutlierPolicy,
    rng: &mut fastrand::Rng,
) {
    let now = clock::now();
    let cell = &endpoint.shared.cell;
    endpoint.metrics.failures.fetch_add(1, Relaxed);
    let before = read_accrual(cell);
    let (after, ejects) = before.failed(failure, now, policy, rng);
    if !ejects {
        return write_accrual(cell, after);
    }
    let is_hard = failure == Failure::Hard;
    if !has_room(service, policy, is_hard, now) {
        return write_accrual(cell, before.failed_again());
    }
    write_accrual(cell, after);
    endpoint.metrics.eject(if is_hard { Ejection::Unreachable } else { Ejection::Consecutive });
    tracing::info!(endpoint = %endpoint.label, failures = after.in_a_row(), "endpoint is ejected");
}

/// One more answer of it, good or bad; and when the interval is over, those whose rate is far below the others'
/// are ejected, by whichever thread comes first.
pub(crate) fn count_answer(
    service: &LocalService,
    endpoint: &LocalEndpoint,
    has_failed: bool,
    policy: &SuccessRatePolicy,
    rng: &mut fastrand::Rng,
) {
    let count = |word| Some(Tally::count(word, has_failed));
    let _ = endpoint.shared.cell.tally.fetch_update(Relaxed, Relaxed, count);
    let (now, compared_at) = (clock::now(), &service.table.cell.compared_at);
    let last = compared_at.load(Relaxed);
    let is_due = last == 0 || Duration::from_nanos(now.saturating_sub(last)) >= policy.interval;
    if !is_due || compared_at.compare_exchange(last, now, Relaxed, Relaxed).is_err() || last == 0 {
        return;
    }
    let tallies: Vec<Tally> = service
        .endpoints
        .iter()
        .map(|endpoint| Tally::unpack(endpoint.shared.cell.tally.swap(0, Relaxed)))
        .collect();
    let Some(threshold) = success_rate::threshold(tallies.iter().copied(), policy) else { return };
    let outlier = &service.policy.outlier;
    for (endpoint, tally) in service.endpoints.iter().zip(tallies) {
        let is_out = || matches!(read_accrual(&endpoint.shared.cell).gate(now), Gate::Ejected(_));
        if !is_outlier(tally, threshold, policy) || is_out() || !has_room(service, outlier, false, now) {
            continue;
        }
        let cell = &endpoint.shared.cell;
        write_accrual(cell, read_accrual(cell).ejected(now, outlier, rng));
        endpoint.metrics.eject(Ejection::SuccessRate);
        tracing::info!(
            endpoint = %endpoint.label, requests = tally.total, failed = tally.failed, threshold,
            "endpoint is ejected by its success rate"
        );
    }
}

/// Whether nothing may be sent there, where ejection is never disregarded.
pub(crate) fn is_shut(endpoint: &LocalEndpoint) -> bool {
    let cell = &endpoint.shared.cell;
    match read_accrual(cell).gate(clock::now()) {
        Gate::Open => false,
        // The probe is under way.
        Gate::HalfOpen => cell.unanswered.load(Relaxed) > 0,
        Gate::Ejected(_) => true,
    }
}

/// Whether one more endpoint may be ejected. Where ejection is never disregarded and all may be out, even the
/// last one: that is a circuit breaker.
fn has_room(service: &LocalService, policy: &OutlierPolicy, is_hard: bool, now: u64) -> bool {
    if service.policy.balance.panic_percent == 0 && policy.percent_max >= 100 {
        return true;
    }
    let table = &service.table;
    // Of those that it would be ejected from: an endpoint outside the subset does no work for it.
    let callable = table.plan.places().filter_map(|place| table.endpoints.get(place));
    let (count, ejected) = callable.fold((0, 0), |(count, ejected), other| {
        let is_out = matches!(read_accrual(&other.cell).gate(now), Gate::Ejected(_));
        (count + 1, ejected + usize::from(is_out))
    });
    may_eject(count, ejected, is_hard, policy.percent_max)
}

fn read_ewma(cell: &EndpointCell) -> PeakEwma {
    PeakEwma { nanos: f64::from_bits(cell.ewma_bits.load(Relaxed)), at: cell.ewma_at.load(Relaxed) }
}

fn read_accrual(cell: &EndpointCell) -> Accrual {
    Accrual {
        failures: cell.failures.load(Relaxed),
        ejections: cell.ejections.load(Relaxed),
        ejected_until: cell.ejected_until.load(Relaxed),
    }
}

fn write_accrual(cell: &EndpointCell, accrual: Accrual) {
    cell.failures.store(accrual.failures, Relaxed);
    cell.ejections.store(accrual.ejections, Relaxed);
    cell.ejected_until.store(accrual.ejected_until, Relaxed);
}
