//! The attempts of one call: choose an endpoint, exchange, judge, try elsewhere where that is safe and the
//! budget allows.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::Request;
use smallvec::SmallVec;
use weft_model::error_code::ErrorCode;

use super::{call::Call, outcome::Outcome};
use crate::{
    answer::Reply,
    data::thread::LocalEndpoint,
    exchange::{Failure, Side, exchange},
    forward,
    load::{self, InFlight},
    pool::{Carrier, Pool},
};

/// What the last attempt came to.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) result: Result<Reply, Failure>,
    /// It would have been retried, had the budget allowed it.
    pub(super) is_budget_spent: bool,
}

/// Tries until there is an answer, or no reason to try again.
pub(super) async fn run(call: &mut Call) -> Last {
    let mut tried: SmallVec<[Rc<Pool>; 4]> = SmallVec::new();
    loop {
        call.record.attempts += 1;
        let chosen = call.service.choose(&call.thread, &tried, call.decision.idempotent);
        let Some(endpoint) = chosen else {
            let failure = Failure { code: ErrorCode::NoHealthyEndpoint, reached: false, side: Side::Local };
            return Last { result: Err(failure), is_budget_spent: false };
        };
        if !call.decision.wire.is_spoken_at(endpoint.protocol) {
            // Found before anything is sent, and no other replica would be different.
            let failure = Failure { code: ErrorCode::ProtocolError, reached: false, side: Side::Local };
            return Last { result: Err(failure), is_budget_spent: false };
        }
        call.record.endpoint = Some(Arc::clone(&endpoint.label));
        call.current = Some(Rc::clone(&endpoint));
        let result = attempt(call, &endpoint).await;
        let outcome = outcome(&result);
        judge(call, &endpoint, outcome);
        let may_retry = outcome.wants_retry(call.decision.idempotent) && call.source.can_replay();
        if !may_retry || call.record.attempts > call.decision.retries_max {
            return Last { result, is_budget_spent: false };
        }
        if !call.service.withdraw_retry() {
            call.record.metrics().budget_exhausted.fetch_add(1, Relaxed);
            return Last { result, is_budget_spent: true };
        }
        call.record.metrics().retries.fetch_add(1, Relaxed);
        tried.push(Rc::clone(&endpoint.pool));
        drop(result);
        back_off(call).await;
        call.renew_service();
    }
}

/// The first retry goes at once, elsewhere; later ones wait.
async fn back_off(call: &Call) {
    if let Some(step) = call.record.attempts.checked_sub(2) {
        let wait = call.service.policy.retry.backoff.delay(step, &mut call.thread.rng.borrow_mut());
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(call: &mut Call, endpoint: &Rc<LocalEndpoint>) -> Result<Reply, Failure> {
    endpoint.metrics.requests.fetch_add(1, Relaxed);
    let request = request(call, endpoint);
    // Made before anything is awaited, so that no ring is missed.
    let critical = endpoint.pool.critical.notified();
    let mut in_flight = InFlight::begin(Rc::clone(endpoint));
    let exchange = exchange(&endpoint.pool, call.decision.wire, call.decision.idempotent, request);
    let (response, lease) = tokio::select! {
        // An answer that is there counts, whatever became of the endpoint meanwhile.
        biased;
        answer = within(call, exchange) => answer?,
        () = critical, if call.decision.idempotent => {
            return Err(Failure { code: ErrorCode::UpstreamReset, reached: true, side: Side::Local });
        }
    };
    in_flight.answer();
    let named = if endpoint.has_sidecar { forward::weft_error(response.headers()) } else { None };
    let carrier = Carrier { pool: Rc::clone(&endpoint.pool), lease, in_flight: Some(in_flight) };
    Ok(Reply { response, carrier, named })
}

async fn within<T>(call: &Call, exchange: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let Some(time) = call.decision.per_try else { return exchange.await };
    let late = Failure { code: ErrorCode::UpstreamTimeout, reached: true, side: Side::Upstream };
    tokio::time::timeout(time, exchange).await.unwrap_or(Err(late))
}

fn request(call: &mut Call, endpoint: &LocalEndpoint) -> Request<crate::body::RequestBody> {
    let mut request = Request::new(call.source.next_attempt());
    *request.method_mut() = call.head.method.clone();
    *request.uri_mut() = call.head.uri.clone();
    *request.version_mut() = call.head.version;
    // All of it is small and rare: the protocol of an extended CONNECT (RFC 8441).
    if let Some(protocol) = call.head.extensions.get::<hyper::ext::Protocol>() {
        request.extensions_mut().insert(protocol.clone());
    }
    // Kept only where another attempt may follow.
    *request.headers_mut() = if call.record.attempts > call.decision.retries_max {
        std::mem::take(&mut call.head.headers)
    } else {
        call.head.headers.clone()
    };
    call.stamp(request.headers_mut(), endpoint.has_sidecar);
    request
}

fn outcome(result: &Result<Reply, Failure>) -> Outcome {
    match result {
        Ok(Reply { named: Some(code), .. }) => Outcome::Named(*code),
        Ok(Reply { response, .. }) => Outcome::Answer(response.status()),
        Err(failure) => Outcome::Failed(*failure),
    }
}

fn judge(call: &Call, endpoint: &LocalEndpoint, outcome: Outcome) {
    match outcome.fault() {
        Some(fault) => {
            let policy = &call.service.policy.outlier;
            load::blame(&call.service, endpoint, fault, policy, &mut call.thread.rng.borrow_mut());
        }
        None if matches!(outcome, Outcome::Answer(_)) => load::praise(endpoint),
        None => {}
    }
}
