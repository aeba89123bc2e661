//! One inbound call: limits, deadline, the application, and what its answer looks like from outside.

use std::rc::Rc;

use ::http::{HeaderValue, Request, Response, Version, header, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;
use weft_model::error_code::ErrorCode;

use crate::{
    body::{RequestBody, ResponseBody},
    data::thread::Thread,
    exchange::{Failure, Side, exchange},
    forward::{self, REQUEST_ID, WEFT_DEADLINE, WEFT_ERROR, WEFT_RETRY},
    local_error,
    outbound::{deadline, is_idempotent},
    pool::{Carrier, Lease, Pool, Wire},
    record::{Line, RecordGuard},
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
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    let grpc = forward::is_grpc(&head.headers);
    let version = head.version;
    let line = thread.recorder.is_on().then(|| Line {
        method: head.method.clone(),
        uri: head.uri.clone(),
        request_id: head.headers.get(&REQUEST_ID).cloned(),
    });
    let metrics = thread.inbound.metrics.as_ref().unwrap_or(&thread.unrouted);
    let mut record = RecordGuard::begin(&thread.recorder, metrics, line);
    record.active = Some(thread.inbound.begin());
    let admitted = admit(&thread, host);
    let mut response = match admitted {
        Err(code) => refuse(code, grpc, record),
        Ok(pool) => {
            prepare(&mut head);
            let body = if body.is_end_stream() {
                RequestBody::Empty
            } else {
                RequestBody::Once(body, record.received.clone())
            };
            match to_application(pool, wire, Request::from_parts(head, body)).await {
                Ok((response, lease)) => pass_on(response, (Rc::clone(pool), lease), version, record),
                Err(failure) => refuse(failure.code, grpc, record),
            }
        }
    };
    if version < Version::HTTP_2 && thread.inbound.is_draining.get() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn admit(thread: &Thread, host: Host) -> Result<&Rc<Pool>, ErrorCode> {
    if host == Host::Elsewhere {
        return Err(ErrorCode::WrongEndpoint);
    }
    if thread.inbound.active.get() > CALLS_MAX {
        return Err(ErrorCode::Overloaded);
    }
    thread.inbound.pool.as_ref().ok_or(ErrorCode::WrongEndpoint)
}

async fn to_application(
    pool: &Rc<Pool>,
    wire: Wire,
    request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let idempotent = is_idempotent(request.method());
    let deadline = deadline(request.headers());
    let exchange = exchange(pool, wire, idempotent, request);
    let Some(time) = deadline else { return exchange.await };
    let late = Failure { code: ErrorCode::DeadlineExceeded, reached: true, side: Side::Local };
    timeout(time, exchange).await.unwrap_or(Err(late))
}

fn prepare(head: &mut Parts) {
    forward::strip_hop_by_hop(&mut head.headers);
    head.headers.remove(&WEFT_ERROR);
    if head.version != Version::HTTP_2 {
        head.version = Version::HTTP_11;
        if head.uri.authority().is_some() {
            head.uri = forward::origin_form(&head.uri);
        }
    }
}

fn pass_on(
    response: Response<Incoming>,
    (pool, lease): (Rc<Pool>, Lease),
    version: Version,
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    forward::strip_hop_by_hop(&mut head.headers);
    for name in [&WEFT_ERROR, &WEFT_RETRY, &WEFT_DEADLINE] {
        head.headers.remove(name);
    }
    head.version = version;
    record.status = head.status.as_u16();
    record.attempts = 1;
    let carrier = Carrier { pool, lease, in_flight: None };
    Response::from_parts(head, ResponseBody::stream(body, carrier, record))
}

fn refuse(code: ErrorCode, grpc: bool, mut record: RecordGuard) -> Response<ResponseBody> {
    let response = local_error::response(code, grpc, local_error::detail(code));
    record.status = response.status().as_u16();
    record.fail(code);
    response
}
