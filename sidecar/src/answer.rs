//! How a call is answered, on every way through the sidecar: the other side's response made ours, or a named
//! failure in its place. It knows neither where the response comes from nor why it was chosen.

use http::{Response, Version};
use hyper::body::Incoming;
use weft_model::error_code::ErrorCode;

use crate::{
    body::ResponseBody,
    exchange::{Failure, Side},
    fields::Fields,
    forward, forwarded,
    limits::HeaderPolicy,
    local_error,
    pool::Carrier,
    record::RecordGuard,
    upgrade::{Agreed, Asked},
};

/// A response head, and the connection that its body comes on.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    /// What its head has, as it came.
    pub(crate) fields: Fields,
    pub(crate) carrier: Carrier,
    /// The failure that the other sidecar named in it.
    pub(crate) named: Option<ErrorCode>,
}

/// Who waits for a response.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    /// What it speaks.
    pub(crate) version: Version,
    /// The change of protocols that it wishes for.
    pub(crate) asked: Option<Asked>,
    pub(crate) headers: &'a HeaderPolicy,
}

/// Passes a response on, or the change of protocols that it agrees to.
pub(crate) fn pass_on(reply: Reply, asker: Asker<'_>, mut record: RecordGuard) -> Response<ResponseBody> {
    let Reply { mut response, fields, carrier, named } = reply;
    let Asker { version, asked, headers } = asker;
    let Ok(agreed) = Agreed::take(asked, &mut response) else {
        return refuse(ErrorCode::ProtocolError, false, record);
    };
    let (mut head, body) = response.into_parts();
    forward::clean_response(&mut head.headers, fields, named);
    forwarded::tell_via(&mut head.headers, head.version, headers);
    // An older client is known to the server, which says what it needs to keep its connection.
    head.version = version.max(Version::HTTP_11);
    record.status = head.status.as_u16();
    record.attempts = record.attempts.max(1);
    if let Some(code) = named {
        record.fail(code);
    }
    let body = match agreed {
        Some(agreed) => agreed.carry(&mut head.headers, carrier, record),
        None => ResponseBody::stream(body, carrier, record),
    };
    Response::from_parts(head, body)
}

/// Answers for a failed exchange.
pub(crate) fn give_up(failure: Failure, grpc: bool, mut record: RecordGuard) -> Response<ResponseBody> {
    if failure.side == Side::Downstream && !record.received.is_over() {
        record.break_off();
    }
    // However the exchange failed, this is why.
    let code = if record.received.is_over() { ErrorCode::BodyTooLarge } else { failure.code };
    refuse(code, grpc, record)
}

/// Answers in the application's place.
pub(crate) fn refuse(code: ErrorCode, grpc: bool, record: RecordGuard) -> Response<ResponseBody> {
    refuse_saying(code, local_error::detail(code), grpc, record)
}

/// The same, where there is more to say than the code does.
pub(crate) fn refuse_saying(
    code: ErrorCode,
    detail: &'static str,
    grpc: bool,
    mut record: RecordGuard,
) -> Response<ResponseBody> {
    let response = local_error::response(code, grpc, detail);
    record.status = response.status().as_u16();
    record.fail(code);
    response
}
