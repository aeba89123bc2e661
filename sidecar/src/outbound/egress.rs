//! Absolute URIs outside the mesh: forwarded plainly, once, with no hop header and no name of the mesh.

use std::rc::Rc;

use http::{Request, Response, request::Parts};
use http_body::Body;
use hyper::body::Incoming;

use super::{call::prepare, decide::is_idempotent};
use crate::{
    answer::{Reply, give_up, pass_on},
    body::{RequestBody, ResponseBody},
    data::thread::Thread,
    exchange::exchange,
    forward::{REQUEST_ID, WEFT_DEADLINE},
    pool::{Carrier, Wire},
    record::RecordGuard,
};

/// Carries one request to `place`.
pub(super) async fn carry(
    thread: &Rc<Thread>,
    (host, port): (&str, u16),
    (mut head, body): (Parts, Incoming),
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let asked = prepare(&mut head);
    head.headers.remove(&WEFT_DEADLINE);
    head.headers.remove(&REQUEST_ID);
    record.attempts = 1;
    record.endpoint = Some(format!("{host}:{port}").into());
    let version = head.version;
    let idempotent = is_idempotent(&head.method);
    let body = if body.is_end_stream() {
        RequestBody::Empty
    } else {
        RequestBody::Once(body, record.received.clone())
    };
    let pool = thread.egress(host, port);
    match exchange(&pool, Wire::Http1, idempotent, Request::from_parts(head, body)).await {
        Ok((response, lease)) => {
            let carrier = Carrier { pool, lease, in_flight: None };
            pass_on(Reply { response, carrier, named: None }, version, asked, record)
        }
        Err(failure) => give_up(failure, false, record),
    }
}
