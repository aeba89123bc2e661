//! One inbound call: limits, deadline, the application, and what its answer looks like from outside.

use std::{net::IpAddr, pin::pin, rc::Rc};

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, Version, request::Parts};
use http_body::Body;
use tokio::time::timeout;
use weft_model::error_code::ErrorCode;

use crate::{
    answer::{Asker, Reply, give_up, pass_on, refuse},
    body::{RequestBody, ResponseBody},
    clock,
    concurrency::{Full, Limiter},
    config::SidecarConfig,
    data::{caller::Caller, thread::Thread},
    exchange::{Answered, Failure, Side, exchange},
    fields::{Field, Fields},
    forward::{self, REQUEST_ID, WEFT_ATTEMPT, WEFT_ERROR, WEFT_HOPS, WEFT_RETRIED},
    forwarded, local_error,
    outbound::{deadline, is_idempotent},
    pool::{Carrier, Pool, Wire},
    record::{Line, RecordGuard},
    trace::{Bequest, OpenTrace},
    unread::CallerBody,
    upgrade::Asked,
};

/// Calls under way on one thread, at most; one more is answered `overloaded`, which is safe to retry elsewhere.
const CALLS_MAX: usize = 10_000;

/// Whether the call is for the application here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Here,
    Elsewhere,
}

/// Carries one request to the application.
pub(super) async fn call(
    thread: Rc<Thread>,
    wire: Wire,
    host: Host,
    caller: Rc<Caller>,
    request: Request<CallerBody>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    let (version, mut fields) = (head.version, Fields::of(&head.headers));
    let is_head = head.method == Method::HEAD;
    let unread = (!body.is_end_stream()).then(|| Rc::clone(&caller));
    let span = thread.begin_span(&mut head.headers, &mut fields);
    let line = thread.recorder.is_on().then(|| Line::of(&head, fields));
    let metrics = thread.inbound.metrics.as_ref().unwrap_or(&thread.unrouted);
    let mut record = RecordGuard::begin(&thread.recorder, metrics, line);
    record.is_traced(span);
    record.active = Some(thread.inbound.begin());
    let peer = caller.peer.ip();
    record.came_on(caller, &body, &thread.config.limits);
    let received = record.received.clone();
    let length = body.size_hint().lower();
    let mut response = match admit(&thread, (wire, host), (&head, fields), length) {
        Err(code) => refuse(code, forward::is_grpc(&head.headers), record),
        Ok(pool) => carry(&thread, (pool, wire), peer, (head, fields, body), record).await,
    };
    if version < Version::HTTP_2
        && (thread.inbound.is_draining.get() || !received.is_whole() || forward::is_bad_request(&response))
    {
        forward::say_close(&mut response);
        unread.iter().filter(|_| !received.is_whole()).for_each(|caller| caller.is_answered_early());
    }
    if is_head {
        local_error::leave_body_out(&mut response);
    }
    response
}

fn admit<'a>(
    thread: &'a Thread,
    (wire, host): (Wire, Host),
    (head, fields): (&Parts, Fields),
    length: u64,
) -> Result<&'a Rc<Pool>, ErrorCode> {
    if let Some(code) = forward::refusal(head, fields, length, &thread.config.limits) {
        return Err(code);
    }
    // A tunnel would lead past the application; other sidecars never ask for one.
    if forward::is_tunnel(head) {
        return Err(ErrorCode::BadRequest);
    }
    if host == Host::Elsewhere {
        return Err(ErrorCode::WrongEndpoint);
    }
    let instance = thread.config.instance.as_ref();
    if instance.is_some_and(|instance| !wire.is_spoken_at(instance.protocol)) {
        return Err(ErrorCode::ProtocolError);
    }
    if thread.inbound.active.get() > CALLS_MAX {
        return Err(ErrorCode::Overloaded);
    }
    thread.inbound.pool.as_ref().ok_or(ErrorCode::WrongEndpoint)
}

async fn carry(
    thread: &Thread,
    (pool, wire): (&Rc<Pool>, Wire),
    peer: IpAddr,
    (mut head, fields, body): (Parts, Fields, CallerBody),
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let (config, grpc, version) = (&*thread.config, forward::is_grpc(&head.headers), head.version);
    if let Err(code) = enter(thread, &head.headers, fields, &mut record).await {
        return refuse(code, grpc, record);
    }
    forwarded::tell_caller(&mut head, peer, &config.headers);
    let asked = prepare(config, &mut head, fields);
    let body = if body.is_end_stream() {
        RequestBody::Empty
    } else {
        RequestBody::Once(body, record.received.clone())
    };
    let result = to_application(pool, wire, fields, Request::from_parts(head, body)).await;
    if let Some(place) = record.place() {
        match &result {
            Ok(_) | Err(Failure { code: ErrorCode::DeadlineExceeded, .. }) => place.answered(),
            Err(_) => place.failed(),
        }
    }
    let retries = record.trace().map_or(0, OpenTrace::retries);
    let mut response = match result {
        Ok(Answered { response, fields, lease }) => {
            let carrier = Carrier { pool: Rc::clone(pool), lease, in_flight: None };
            let asker = Asker { version, asked, headers: &config.headers };
            pass_on(Reply { response, fields, carrier, named: None }, asker, record)
        }
        Err(failure) => give_up(failure, grpc, record),
    };
    if retries > 0 {
        response.headers_mut().insert(WEFT_RETRIED, HeaderValue::from(retries));
    }
    response
}

/// Waits for a place below the limit that protects the application, and remembers the call for those that the
/// application makes for it.
async fn enter(
    thread: &Thread,
    headers: &HeaderMap,
    fields: Fields,
    record: &mut RecordGuard,
) -> Result<(), ErrorCode> {
    let (limiter, limits) = (&thread.shared.inbound, &thread.config.concurrency);
    let place = Limiter::enter(limiter, limits, &record.metrics().resilience).await;
    if !matches!(place, Ok(None)) {
        record.was_limited();
    }
    if let Some(mut place) = place.map_err(|Full| ErrorCode::Overloaded)? {
        place.begin();
        record.holds().place = Some(place);
    }
    let bequest = || Bequest {
        deadline: deadline(headers, fields).map(clock::after),
        attempt: forward::number(headers, &WEFT_ATTEMPT).unwrap_or(1),
        hops: forward::number(headers, &WEFT_HOPS).unwrap_or(0),
        request_id: headers.get(&REQUEST_ID).cloned(),
    };
    if fields.has(Field::TRACE)
        && let Some(id) = record.trace_id(headers)
        && let Some(trace) = thread.shared.traces.open(id, bequest)
    {
        record.holds().trace = Some(trace);
    }
    Ok(())
}

async fn to_application(
    pool: &Rc<Pool>,
    wire: Wire,
    fields: Fields,
    mut request: Request<RequestBody>,
) -> Result<Answered, Failure> {
    let idempotent = is_idempotent(request.method());
    let deadline = deadline(request.headers(), fields);
    let exchange = pin!(exchange(pool, wire, idempotent, clock::now(), &mut request));
    let Some(time) = deadline else { return exchange.await };
    let late = Failure { code: ErrorCode::DeadlineExceeded, reached: true, side: Side::Local };
    Box::pin(timeout(time, exchange)).await.unwrap_or(Err(late))
}

fn prepare(config: &SidecarConfig, head: &mut Parts, fields: Fields) -> Option<Asked> {
    let asked = Asked::take(head, &config.limits);
    forward::strip_hop_by_hop(&mut head.headers, fields);
    if fields.has(Field::MESH) {
        head.headers.remove(&WEFT_ERROR);
    }
    forwarded::tell_via(&mut head.headers, head.version, &config.headers);
    forward::settle_target(head, fields);
    if let Some(asked) = &asked {
        asked.tell(&mut head.headers);
    }
    asked
}
