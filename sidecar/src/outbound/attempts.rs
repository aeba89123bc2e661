//! The attempts of one call: a place below the limit, then choose an endpoint, exchange, judge, and try elsewhere
//! where `weft_model::retry` wants to and the budget pays.
//!
//! ```text
//!  place ─▶ choose ─▶ attempt (or a race of attempts, where there is hedging) ─▶ judge ─▶ retry? ─▶ answer
//!             ▲                                                                     │ budget
//!             └───────────────────────────── wait ◀─────────────────────────────────┘
//! ```

mod discard;
mod hedge;

use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::Poll,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, Request, header};
use smallvec::SmallVec;
use weft_model::{
    error_code::ErrorCode,
    retry::{self, Reason, Situation, Verdict},
};

use super::{call::Call, decide::Decision, kept::KeptHeaders, outcome::Outcome};
use crate::{
    answer::Reply,
    body::RequestBody,
    clock,
    concurrency::{Full, Limiter},
    data::thread::LocalEndpoint,
    exchange::{Answered, Failure, Side, exchange},
    fields::Field,
    forward::{self, WEFT_RETRIED},
    load::{self, InFlight},
    metrics,
    pool::{Carrier, Pool, Wire},
    record::{self, Why},
};

/// What is no wait yet, in nanoseconds.
const SHORT_NANOS: u64 = 1_000_000;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What the last attempt came to.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) result: Result<Reply, Failure>,
    /// It would have been retried, had the budget allowed it.
    pub(super) is_budget_spent: bool,
}

/// What an attempt needs to know beside its request.
#[derive(Debug, Clone, Copy)]
struct Terms {
    wire: Wire,
    idempotent: bool,
    per_try: Option<Duration>,
    /// When it begins.
    now: u64,
}

/// Endpoints that this call has tried.
type Tried = SmallVec<[Rc<Pool>; 4]>;

/// Tries until there is an answer, or no reason to try again.
pub(super) async fn run(call: &mut Call) -> Last {
    call.record.story.terms = Some(call.terms_told());
    if let Err(code) = enter(call).await {
        return Last::local(code);
    }
    let mut tried = Tried::new();
    loop {
        let endpoint = match next_endpoint(call, &tried) {
            Ok(endpoint) => endpoint,
            Err(code) => return Last::local(code),
        };
        let terms = call.terms();
        let (endpoint, result) = match call.policy.hedge {
            Some(policy) if terms.idempotent => {
                Box::pin(hedge::race(call, policy, endpoint, &mut tried)).await
            }
            _ => {
                let mut request = call.begin_attempt(&endpoint, false);
                let result = attempt(&endpoint, terms, &mut request).await;
                (endpoint, result)
            }
        };
        let outcome = call.outcome(&result);
        call.judge(&endpoint, outcome);
        let Some((reason, wait)) = call.wants_retry(&result, outcome, &tried, &endpoint) else {
            return Last { result, is_budget_spent: false };
        };
        if !call.service.withdraw_retry() {
            call.record.metrics().budget_exhausted.fetch_add(1, Relaxed);
            call.record.story.is_budget_spent = true;
            return Last { result, is_budget_spent: true };
        }
        call.note_retry(reason, outcome);
        tried.push(Rc::clone(&endpoint.pool));
        discard::discard(result);
        if !wait.is_zero() {
            Box::pin(tokio::time::sleep(wait)).await;
        }
        call.go_on_from(clock::now());
    }
}

/// Waits for a place below the service's limit; held until the response has ended.
async fn enter(call: &mut Call) -> Result<(), ErrorCode> {
    let limits = &call.service.policy.limits;
    let limiter = &call.service.table.cell.limiter;
    match Limiter::enter(limiter, limits, &call.record.metrics().resilience).await {
        Ok(None) => Ok(()),
        Ok(place) => {
            call.record.holds().place = place;
            call.record.was_limited();
            // It may have waited, and what was known before the wait is no more.
            let now = clock::now();
            if now.saturating_sub(call.now) > SHORT_NANOS {
                call.go_on_from(now);
            }
            Ok(())
        }
        Err(Full) => {
            call.record.was_limited();
            Err(ErrorCode::Overloaded)
        }
    }
}

fn next_endpoint(call: &mut Call, tried: &Tried) -> Result<Rc<LocalEndpoint>, ErrorCode> {
    let chosen = call.choose(tried);
    let Some(endpoint) = chosen else {
        let is_out =
            |other: &Rc<LocalEndpoint>| other.shared.endpoint.health.is_callable() && load::is_shut(other);
        let is_shut =
            call.service.policy.balance.panic_percent == 0 && call.service.endpoints.iter().any(is_out);
        return Err(if is_shut { ErrorCode::CircuitOpen } else { ErrorCode::NoHealthyEndpoint });
    };
    // Where ejection is never disregarded, the last resort of the choice is none.
    if call.service.policy.balance.panic_percent == 0 && load::is_shut(&endpoint) {
        return Err(ErrorCode::CircuitOpen);
    }
    if !call.decision.wire.is_spoken_at(endpoint.protocol) {
        // Found before anything is sent, and no other replica would be different.
        return Err(ErrorCode::ProtocolError);
    }
    Ok(endpoint)
}

/// One exchange with one endpoint. Its task has to be woken when an endpoint turns critical: see
/// [`Waiting`](crate::data::waiting::Waiting).
async fn attempt(
    endpoint: &Rc<LocalEndpoint>,
    terms: Terms,
    request: &mut Request<RequestBody>,
) -> Result<Reply, Failure> {
    let pool = &endpoint.pool;
    let epoch = pool.critical_epoch.get();
    let mut in_flight = InFlight::begin(Rc::clone(endpoint), terms.now);
    let mut exchange = pin!(exchange(pool, terms.wire, terms.idempotent, terms.now, request));
    let answered = poll_fn(|cx| match exchange.as_mut().poll(cx) {
        // An answer that is there counts, whatever became of the endpoint meanwhile.
        Poll::Ready(answered) => Poll::Ready(answered),
        Poll::Pending if terms.idempotent && pool.critical_epoch.get() != epoch => {
            Poll::Ready(Err(Failure { code: ErrorCode::UpstreamReset, reached: true, side: Side::Local }))
        }
        Poll::Pending => Poll::Pending,
    });
    let Answered { response, fields, lease } = match terms.per_try {
        None => answered.await?,
        // On the heap, as it is rare and a timer is large.
        Some(time) => Box::pin(within(time, answered)).await?,
    };
    in_flight.answer(lease.taken_at(), !lease.is_reused());
    let is_told = endpoint.has_sidecar && fields.has(Field::MESH);
    let named = if is_told { forward::weft_error(response.headers()) } else { None };
    let carrier = Carrier { pool: Rc::clone(pool), lease, in_flight: Some(in_flight) };
    Ok(Reply { response, fields, carrier, named })
}

async fn within<T>(time: Duration, answered: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = Failure { code: ErrorCode::UpstreamTimeout, reached: true, side: Side::Upstream };
    tokio::time::timeout(time, answered).await.unwrap_or(Err(late))
}

impl Last {
    fn local(code: ErrorCode) -> Self {
        let failure = Failure { code, reached: false, side: Side::Local };
        Self { result: Err(failure), is_budget_spent: false }
    }
}

impl Call {
    fn terms(&self) -> Terms {
        let Self { decision, now, .. } = self;
        let Decision { wire, idempotent, per_try, .. } = *decision;
        Terms { wire, idempotent, per_try, now: *now }
    }

    fn terms_told(&self) -> record::Terms {
        let Decision { limit, per_try, retries_max, idempotent, .. } = self.decision;
        record::Terms {
            table_version: self.thread.directory.version(),
            timeout: limit.map(|limit| limit.time),
            is_deadline: limit.is_some_and(|limit| limit.is_deadline),
            per_try,
            retries_max,
            idempotent,
        }
    }

    /// The endpoint for the next attempt.
    fn choose(&self, tried: &Tried) -> Option<Rc<LocalEndpoint>> {
        self.service.choose(&self.thread, tried, self.decision.idempotent, self.key, self.now)
    }

    /// Counts one more attempt, and makes its request.
    fn begin_attempt(&mut self, endpoint: &Rc<LocalEndpoint>, may_race: bool) -> Request<RequestBody> {
        self.record.begin_attempt(&endpoint.label);
        self.current = Some(Rc::clone(endpoint));
        metrics::count(&endpoint.metrics.requests, 1);
        if let Some(place) = self.record.place() {
            place.begin();
        }
        let mut request = Request::new(self.source.next_attempt());
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.version_mut() = self.head.version;
        // All of it is small and rare: the protocol of an extended CONNECT (RFC 8441).
        if !self.head.extensions.is_empty()
            && let Some(protocol) = self.head.extensions.get::<hyper::ext::Protocol>()
        {
            request.extensions_mut().insert(protocol.clone());
        }
        *request.headers_mut() = self.next_headers(may_race);
        self.stamp(request.headers_mut(), endpoint.has_sidecar);
        request
    }

    /// As they came. Kept only where another attempt may follow.
    fn next_headers(&mut self, may_race: bool) -> HeaderMap {
        let is_last = !may_race && self.record.attempts > self.decision.retries_max;
        if let Some(kept) = &self.kept {
            return kept.restore();
        }
        if !is_last {
            self.kept = Some(KeptHeaders::of(&self.head.headers, self.fields.bytes()));
        }
        std::mem::take(&mut self.head.headers)
    }

    fn outcome(&self, result: &Result<Reply, Failure>) -> Outcome {
        match result {
            Ok(Reply { named: Some(code), .. }) => Outcome::Named(*code),
            Ok(Reply { response, .. }) => {
                let is_asked = self.decision.grpc
                    && (!self.policy.retry.on.grpc_codes.is_empty()
                        || self.service.policy.outlier.success_rate.is_some());
                let code = || response.headers().get(GRPC_STATUS)?.to_str().ok()?.parse().ok();
                Outcome::Answer { status: response.status(), grpc: if is_asked { code() } else { None } }
            }
            Err(failure) => Outcome::Failed(*failure),
        }
    }

    /// What follows for the endpoint, and for the limit.
    fn judge(&mut self, endpoint: &LocalEndpoint, outcome: Outcome) {
        if let Some(place) = self.record.place() {
            match outcome {
                Outcome::Answer { .. } => place.answered(),
                Outcome::Failed(Failure { code: ErrorCode::UpstreamTimeout, .. }) => place.answered(),
                Outcome::Named(_) | Outcome::Failed(_) => place.failed(),
            }
        }
        let policy = &self.service.policy.outlier;
        match outcome.fault() {
            // What the caller sent too much of is nobody else's fault.
            Some(_) if self.record.received.is_over() => {}
            Some(fault) => {
                load::blame(&self.service, endpoint, fault, policy, &mut self.thread.rng.borrow_mut());
            }
            None if matches!(outcome, Outcome::Answer { .. }) => load::praise(endpoint),
            None => {}
        }
        if let (Some(rates), Some(has_failed)) = (&policy.success_rate, outcome.has_failed())
            && !self.record.received.is_over()
        {
            let mut rng = self.thread.rng.borrow_mut();
            load::count_answer(&self.service, endpoint, has_failed, rates, &mut rng);
        }
    }

    /// Why there is another attempt, and how long to wait for it.
    fn wants_retry(
        &self,
        result: &Result<Reply, Failure>,
        outcome: Outcome,
        tried: &Tried,
        endpoint: &Rc<LocalEndpoint>,
    ) -> Option<(Reason, Duration)> {
        let policy = &self.policy.retry;
        let ended = outcome.ended();
        if !retry::is_wanted(policy, ended) {
            return None;
        }
        let headers = result.as_ref().ok().map(|reply| reply.response.headers());
        let text = |name| headers.and_then(|headers| headers.get(name)?.to_str().ok());
        let situation = Situation {
            ended,
            idempotent: self.decision.idempotent,
            replayable: self.source.can_replay(),
            attempts: self.record.attempts,
            retry_after: text(header::RETRY_AFTER)
                .and_then(|text| retry::after::parse(text, SystemTime::now())),
            time_left: self.total_left(),
            is_spent_below: endpoint.has_sidecar
                && headers.is_some_and(|headers| headers.contains_key(&WEFT_RETRIED)),
        };
        match retry::decide(policy, &situation, &mut self.thread.rng.borrow_mut()) {
            Verdict::Retry { elsewhere: true, .. } if !self.has_untried(tried, endpoint) => None,
            Verdict::Retry { reason, wait, .. } => Some((reason, wait)),
            Verdict::Stop(why) => {
                tracing::debug!(?why, attempts = self.record.attempts, "no other attempt");
                None
            }
        }
    }

    fn has_untried(&self, tried: &Tried, last: &Rc<LocalEndpoint>) -> bool {
        self.service.endpoints.iter().any(|other| {
            let is_tried =
                Rc::ptr_eq(&other.pool, &last.pool) || tried.iter().any(|pool| Rc::ptr_eq(pool, &other.pool));
            !is_tried && other.shared.endpoint.health.is_callable()
        })
    }

    fn note_retry(&mut self, reason: Reason, outcome: Outcome) {
        self.record.note_try(Why::Retried(reason), outcome.told());
        self.record.metrics().resilience.retry(reason);
        if let Some(inherited) = self.record.inherited() {
            inherited.note_retries(1);
        }
    }
}
