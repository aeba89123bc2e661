//! The shared words of an endpoint, read and written: what is in flight, how fast it answers, whether it is
//! ejected. All relaxed: a choice made on a value that is a moment old is as good, and no two words have to
//! agree.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use weft_model::{
    balance::{Candidate, may_eject},
    ewma::PeakEwma,
    outlier::{Accrual, Failure, Gate},
    policy::OutlierPolicy,
};

use crate::{
    clock,
    data::thread::{LocalEndpoint, LocalService},
    table::{EndpointCell, TableEndpoint},
};

/// One request at an endpoint, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    endpoint: Rc<LocalEndpoint>,
    sent_at: u64,
    answered: bool,
}

impl InFlight {
    pub(crate) fn begin(endpoint: Rc<LocalEndpoint>) -> Self {
        let now = clock::now();
        let cell = &endpoint.shared.cell;
        cell.in_flight.fetch_add(1, Relaxed);
        if cell.unanswered.fetch_add(1, Relaxed) == 0 {
            cell.silent_since.store(now, Relaxed);
        }
        cell.asked_at.store(now, Relaxed);
        Self { endpoint, sent_at: now, answered: false }
    }

    /// The response head is here.
    pub(crate) fn answer(&mut self) {
        let now = clock::now();
        let cell = &self.endpoint.shared.cell;
        let ewma = read_ewma(cell).observe(Duration::from_nanos(now - self.sent_at), now);
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
    Candidate {
        callable: endpoint.endpoint.health.is_callable(),
        gate: read_accrual(cell).gate(now),
        ewma: read_ewma(cell).faded(now),
        in_flight: cell.in_flight.load(Relaxed),
        unanswered: cell.unanswered.load(Relaxed),
        silent_since: cell.silent_since.load(Relaxed),
        asked_at: cell.asked_at.load(Relaxed),
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
    let callable = service.endpoints.iter().filter(|other| other.shared.endpoint.health.is_callable());
    let (count, ejected) = callable.fold((0, 0), |(count, ejected), other| {
        let is_out = matches!(read_accrual(&other.shared.cell).gate(now), Gate::Ejected(_));
        (count + 1, ejected + usize::from(is_out))
    });
    if may_eject(count, ejected, failure == Failure::Hard, policy.percent_max) {
        write_accrual(cell, after);
        endpoint.metrics.ejections.fetch_add(1, Relaxed);
        tracing::info!(endpoint = %endpoint.label, failures = after.in_a_row(), "endpoint is ejected");
    } else {
        write_accrual(cell, before.failed_again());
    }
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
