//! Absolute URIs outside the mesh: forwarded plainly, once, with no hop header and no name of the mesh.

use std::rc::Rc;

use http::{Request, Response, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use weft_model::error_code::ErrorCode;

use super::{
    call::{give_up, prepare, refuse},
    decide::is_idempotent,
};
use crate::{
    body::{RequestBody, ResponseBody},
    data::thread::Thread,
    exchange::exchange,
    forward::{self, REQUEST_ID, WEFT_DEADLINE},
    pool::{Carrier, Wire},
    record::RecordGuard,
    upgrade::Agreed,
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
        Ok((mut response, lease)) => {
            let Ok(agreed) = Agreed::take(asked, &mut response) else {
                return refuse(ErrorCode::ProtocolError, false, record);
            };
            let (mut head, body) = response.into_parts();
            forward::clean_response(&mut head.headers, None);
            head.version = version;
            record.status = head.status.as_u16();
            let carrier = Carrier { pool, lease, in_flight: None };
            let body = match agreed {
                Some(agreed) => agreed.carry(&mut head.headers, carrier, record),
                None => ResponseBody::stream(body, carrier, record),
            };
            Response::from_parts(head, body)
        }
        Err(failure) => give_up(failure, false, record),
    }
}
