//! Absolute URIs outside the mesh: forwarded plainly, once, with no hop header and no name of the mesh.

use std::{pin::pin, rc::Rc};

use http::{Request, Response, request::Parts};
use http_body::Body;
use weft_model::error_code::ErrorCode;

use super::{
    call::{in_time, prepare},
    decide::{decide, is_idempotent},
};
use crate::{
    answer::{Asker, Reply, give_up, pass_on, refuse},
    body::{RequestBody, ResponseBody},
    clock,
    data::thread::Thread,
    exchange::{Answered, exchange},
    fields::Fields,
    forward::{REQUEST_ID, WEFT_DEADLINE},
    pool::{Carrier, Wire},
    record::RecordGuard,
    unread::CallerBody,
};

/// Carries one request to `place`.
pub(super) async fn carry(
    thread: &Rc<Thread>,
    (host, port): (&str, u16),
    (mut head, fields, body): (Parts, Fields, CallerBody),
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let (config, version) = (&thread.config, head.version);
    let limit = decide(&head, fields, &config.policy, None).limit;
    let asked = prepare(config, &mut head, fields);
    head.headers.remove(&WEFT_DEADLINE);
    head.headers.remove(&REQUEST_ID);
    record.attempts = 1;
    record.endpoint = Some(format!("{host}:{port}").into());
    let idempotent = is_idempotent(&head.method);
    let body = if body.is_end_stream() {
        RequestBody::Empty
    } else {
        RequestBody::Once(body, record.received.clone())
    };
    let pool = thread.egress(host, port);
    let meter = record.received.clone();
    let mut request = Request::from_parts(head, body);
    let exchange = pin!(exchange(&pool, Wire::Http1, idempotent, clock::now(), &mut request));
    match in_time(exchange, limit, &thread.waiting, &meter).await {
        Some(Ok(Answered { response, fields, lease })) => {
            let carrier = Carrier { pool: Rc::clone(&pool), lease, in_flight: None };
            let asker = Asker { version, asked, headers: &config.headers };
            pass_on(Reply { response, fields, carrier, named: None }, asker, record)
        }
        Some(Err(failure)) => give_up(failure, false, record),
        None if limit.is_some_and(|limit| limit.is_deadline) => {
            refuse(ErrorCode::DeadlineExceeded, false, record)
        }
        None => refuse(ErrorCode::UpstreamTimeout, false, record),
    }
}
