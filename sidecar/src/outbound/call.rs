//! One call from its request to its response: target, decision, record and total timeout around the attempts.

use std::{net::IpAddr, pin::pin, rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use http::{HeaderMap, HeaderValue, Request, Response, Version, header, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use weft_model::{error_code::ErrorCode, outlier, policy::Policy};

use super::{
    attempts::{self, Last},
    decide::{Decision, Limit, decide, grpc_timeout},
    egress,
    fault::Fault,
    hops,
    mirror::Copies,
    source::Source,
    target::{Route, Target, resolve},
    tunnel,
    way::{self, Ruled, Way},
};
use crate::{
    answer::{Asker, give_up, pass_on, refuse},
    body::{Meter, ResponseBody},
    config::SidecarConfig,
    data::{
        caller::Caller,
        thread::{LocalEndpoint, LocalService, Thread},
    },
    forward::{
        self, GRPC_TIMEOUT, REQUEST_ID, WEFT_ATTEMPT, WEFT_DEADLINE, WEFT_ERROR, WEFT_HOPS, WEFT_RETRY,
    },
    forwarded, load,
    record::{Line, RecordGuard},
    upgrade::Asked,
};

/// How often the policy's timeout looks whether a request's body still moves: it is at most so large a part too late.
const BODY_LOOKS: u32 = 8;

/// All that the attempts of one call share.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) thread: Rc<Thread>,
    /// Who is called: its policy says how it is balanced, ejected and limited, and its budget is spent.
    pub(super) service: Rc<LocalService>,
    /// Timeouts, retries and hedging: of the service that is addressed, and of its rule.
    pub(super) policy: Rc<Policy>,
    pub(super) decision: Decision,
    /// What the caller speaks.
    version: Version,
    /// As it is sent.
    pub(super) head: Parts,
    pub(super) source: Source,
    pub(super) record: RecordGuard,
    asked: Option<Asked>,
    /// Where the last attempt went.
    pub(super) current: Option<Rc<LocalEndpoint>>,
    deadline: Option<Instant>,
    /// The hash of what its service is balanced by, where it has that.
    pub(super) key: Option<u64>,
    ruled: Option<Ruled>,
    /// For mirrors, as long as they are not sent.
    copies: Copies,
}

/// How a fault ends a call.
#[derive(Debug)]
enum Struck {
    TooLate,
    Aborted(u16),
}

/// Carries one request.
pub(super) async fn call(
    thread: Rc<Thread>,
    route: Route,
    caller: Rc<Caller>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    let inherited = hops::inherit(&thread.shared.traces, &mut head.headers);
    let came_with_id = ensure_request_id(&thread, &mut head.headers);
    let span = thread.begin_span(&mut head.headers);
    let line = thread.recorder.is_on().then(|| Line::of(&head));
    let mut record = RecordGuard::begin(&thread.recorder, &thread.unrouted, line);
    record.is_traced(span);
    let peer = Some(caller.peer.ip().to_canonical());
    record.came_on(caller, &body, &thread.config.limits);
    record.hops = hops::count(&head.headers, inherited.as_ref(), came_with_id);
    if inherited.is_some() {
        record.holds().inherited = inherited;
    }
    let received = record.received.clone();
    let version = head.version;
    let mut response = route_call(&thread, &route, peer, (head, body), record).await;
    if version < Version::HTTP_2 && (!received.is_whole() || forward::is_bad_request(&response)) {
        forward::say_close(&mut response);
    }
    response
}

async fn route_call(
    thread: &Rc<Thread>,
    route: &Route,
    peer: Option<IpAddr>,
    (head, body): (Parts, Incoming),
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    if let Some(code) = forward::refusal(&head, body.size_hint().lower(), &thread.config.limits) {
        return refuse(code, forward::is_grpc(&head.headers), record);
    }
    if forward::is_tunnel(&head) {
        return tunnel::carry(thread, route, peer, head, record).await;
    }
    match resolve(thread, route, &head).await {
        Ok(Target::Service(service)) => {
            record.belongs_to(&service.metrics);
            to_service(Rc::clone(thread), service, peer, (head, body), record).await
        }
        Ok(Target::Outside { host, port }) => {
            Box::pin(egress::carry(thread, (&host, port), (head, body), record)).await
        }
        Err(code) => refuse(code, forward::is_grpc(&head.headers), record),
    }
}

async fn to_service(
    thread: Rc<Thread>,
    service: Rc<LocalService>,
    peer: Option<IpAddr>,
    (mut head, body): (Parts, Incoming),
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let version = head.version;
    let asked = prepare(&thread.config, &mut head);
    let Way { service, policy, total, fault, ruled, copies } =
        match Way::find(&thread, service, (&mut head, peer)).await {
            Ok(way) => way.told(&mut record),
            Err(instead) => return instead.answer(forward::is_grpc(&head.headers), record),
        };
    let mut decision = decide(&head, &policy, total);
    match hops::limit(&record, decision.limit) {
        Ok(limit) => decision.limit = limit,
        Err(code) => return refuse(code, decision.grpc, record),
    }
    service.note_request();
    let source = Source::new(body, policy.retry.body_max, &record.received);
    let deadline = decision.limit.and_then(|limit| Instant::now().checked_add(limit.time));
    let mut call = Call {
        key: service.hash_by.of_request(&head, peer),
        thread,
        service,
        policy,
        decision,
        version,
        head,
        source,
        record,
        asked,
        current: None,
        deadline,
        ruled,
        copies,
    };
    if fault != Fault::default()
        && let Some(struck) = Box::pin(suffer(&mut call, fault)).await
    {
        return struck.answer(call);
    }
    match carry(&mut call).await {
        Some(last) => answer(call, last),
        None => too_late(call),
    }
}

/// What the attempts came to, or `None` when the limit was over first.
async fn carry(call: &mut Call) -> Option<Last> {
    if !call.copies.is_empty() && matches!(call.source, Source::Empty) {
        call.send_copies();
    }
    let (meter, limit) = (call.record.received.clone(), call.decision.limit);
    in_time(attempts::run(call), limit, &meter).await
}

/// Lets a call wait as a policy makes it, and says whether that is the end of it. The time it waits is not added
/// to what it has.
async fn suffer(call: &mut Call, fault: Fault) -> Option<Struck> {
    call.record.metrics().faults.fetch_add(1, Relaxed);
    if let Some(delay) = fault.delay {
        let left = call.decision.limit.map(|limit| limit.time);
        tokio::time::sleep(left.map_or(delay, |left| left.min(delay))).await;
        match &mut call.decision.limit {
            Some(limit) if limit.time <= delay => return Some(Struck::TooLate),
            Some(limit) => limit.time -= delay,
            None => {}
        }
    }
    fault.abort.map(Struck::Aborted)
}

/// What `work` came to, or `None` when the limit was over first. While the request's body still moves, the
/// policy's timeout waits: a slow upload is no slow answer.
pub(super) async fn in_time<T>(
    work: impl Future<Output = T>,
    limit: Option<Limit>,
    meter: &Meter,
) -> Option<T> {
    let Some(limit) = limit else { return Some(work.await) };
    let mut work = pin!(work);
    // One wait will do where nothing is to come, or nothing that comes would change it.
    let looks = if limit.is_deadline || meter.is_whole() { 1 } else { BODY_LOOKS };
    let (mut received, mut still) = (meter.get(), 0);
    while still < looks {
        if let Ok(done) = tokio::time::timeout(limit.time / looks, work.as_mut()).await {
            return Some(done);
        }
        let before = std::mem::replace(&mut received, meter.get());
        still = if limit.is_deadline || received == before { still + 1 } else { 0 };
    }
    None
}

fn answer(mut call: Call, last: Last) -> Response<ResponseBody> {
    let grpc = call.decision.grpc;
    if !call.copies.is_empty() {
        call.send_copies();
    }
    let mut record = call.record;
    if let Ok(reply) = &last.result {
        hops::note_retries(&record, reply.response.headers());
        if let Some(time) = call.policy.timeouts.idle {
            let received = record.received.clone();
            record.holds().idle = Some(call.thread.idle.watch(time, received));
        }
    }
    let mut response = match last.result {
        Ok(reply) => {
            let headers = &call.thread.config.headers;
            let asker = Asker { version: call.version, asked: call.asked, headers };
            let mut response = pass_on(reply, asker, record);
            if let Some(ruled) = call.ruled {
                ruled.edit_response(response.headers_mut());
            }
            response
        }
        Err(failure) => {
            record.attempts = record.attempts.max(1);
            give_up(failure, grpc, record)
        }
    };
    if last.is_budget_spent {
        response.headers_mut().insert(WEFT_RETRY, HeaderValue::from_static("budget-exhausted"));
    }
    response
}

fn too_late(call: Call) -> Response<ResponseBody> {
    let is_deadline = call.decision.limit.is_some_and(|limit| limit.is_deadline);
    // The policy's patience is a judgement on the endpoint; a caller in a hurry is not.
    if let (false, Some(endpoint)) = (is_deadline, &call.current) {
        let policy = &call.service.policy.outlier;
        let mut rng = call.thread.rng.borrow_mut();
        load::blame(&call.service, endpoint, outlier::Failure::Soft, policy, &mut rng);
    }
    let code = if is_deadline { ErrorCode::DeadlineExceeded } else { ErrorCode::UpstreamTimeout };
    refuse(code, call.decision.grpc, call.record)
}

/// Turns a request to us into one to the origin.
pub(super) fn prepare(config: &SidecarConfig, head: &mut Parts) -> Option<Asked> {
    let asked = Asked::take(head, &config.limits);
    forward::strip_hop_by_hop(&mut head.headers);
    for name in [&WEFT_ATTEMPT, &WEFT_ERROR, &header::PROXY_AUTHORIZATION] {
        head.headers.remove(name);
    }
    forwarded::tell_via(&mut head.headers, head.version, &config.headers);
    forward::settle_target(head);
    if let Some(asked) = &asked {
        asked.tell(&mut head.headers);
    }
    asked
}

/// Records of both sides are found by it; an application's own is kept. `true` = it had one.
fn ensure_request_id(thread: &Thread, headers: &mut HeaderMap) -> bool {
    if headers.contains_key(&REQUEST_ID) {
        return true;
    }
    let id = thread.rng.borrow_mut().u128(..).to_be_bytes();
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
    }
    if let Ok(id) = HeaderValue::from_bytes(&text) {
        headers.insert(REQUEST_ID, id);
    }
    false
}

const fn hex_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value - 10),
    }
}

impl Call {
    /// Takes over what discovery has said since the last attempt.
    pub(super) fn renew_service(&mut self) {
        let newest = self.thread.service(&self.service.table.name, &self.service.port_name);
        if let Some(newest) = newest {
            self.service = newest;
        }
    }

    /// Sends the copies; those of a body that was not kept are dropped.
    fn send_copies(&mut self) {
        let copies = std::mem::take(&mut self.copies);
        copies.send(&self.thread, self.record.metrics(), || self.source.copy());
    }

    /// Tells the other side how much time is left, where the caller set a deadline. A bare endpoint hears it in
    /// gRPC's words only: what is dialled plainly is sent nothing of the mesh.
    pub(super) fn stamp(&self, headers: &mut HeaderMap, has_sidecar: bool) {
        let left = self.time_left();
        if let (Some(left), true) = (left, headers.contains_key(&GRPC_TIMEOUT)) {
            headers.insert(GRPC_TIMEOUT, grpc_timeout(left));
        }
        if !has_sidecar {
            headers.remove(&WEFT_DEADLINE);
            if self.record.hops > 0 {
                headers.remove(&WEFT_HOPS);
            }
            return;
        }
        if let Some(left) = left {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            headers.insert(WEFT_DEADLINE, HeaderValue::from(left));
        }
        // Tries of the call that this one is made for count: a retry further up is one here.
        let before = self.record.inherited().map_or(0, |inherited| inherited.from.attempt.saturating_sub(1));
        let attempt = self.record.attempts.saturating_add(before);
        if attempt > 1 {
            headers.insert(WEFT_ATTEMPT, HeaderValue::from(attempt));
        }
        if self.record.hops > 0 {
            headers.insert(WEFT_HOPS, HeaderValue::from(self.record.hops));
        }
    }

    /// Of the caller's deadline, or of the policy's patience.
    pub(super) fn total_left(&self) -> Option<Duration> {
        Some(self.deadline?.saturating_duration_since(Instant::now()))
    }

    /// Of the caller's deadline; at least a millisecond, since the call is still under way.
    fn time_left(&self) -> Option<Duration> {
        let deadline =
            self.deadline.filter(|_| self.decision.limit.is_some_and(|limit| limit.is_deadline))?;
        Some(deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }
}

impl Struck {
    fn answer(self, call: Call) -> Response<ResponseBody> {
        match self {
            Self::TooLate => too_late(call),
            Self::Aborted(status) => way::abort(status, call.decision.grpc, call.record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_came_at_once_does_not_double_the_policys_timeout() {
        let (begun, second, meter) = (Instant::now(), Duration::from_secs(1), Meter::default());
        let upload = async {
            tokio::time::sleep(second / 100).await;
            meter.add(1);
            std::future::pending::<()>().await;
        };
        let limit = Some(Limit { time: second, is_deadline: false });
        assert_eq!(in_time(upload, limit, &meter).await, None);
        assert!(begun.elapsed() < second * 5 / 4, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_policys_timeout_waits_while_the_body_moves_and_a_deadline_does_not() {
        let second = Duration::from_secs(1);
        for (is_deadline, finishes) in [(false, true), (true, false)] {
            let meter = Meter::default();
            let upload = async {
                for _ in 0..10 {
                    tokio::time::sleep(second / 2).await;
                    meter.add(1);
                }
            };
            let limit = Some(Limit { time: second, is_deadline });
            assert_eq!(in_time(upload, limit, &meter).await.is_some(), finishes);
        }
    }
}
