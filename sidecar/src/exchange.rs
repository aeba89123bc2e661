//! One request over one connection of a pool, up to the response head. What it says of a failure is what a
//! retry depends on: whether the application may have seen the request.

use std::{error::Error, mem, rc::Rc, time::Duration};

use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use weft_model::error_code::ErrorCode;

use crate::{
    body::{BodyError, RequestBody},
    clock, expect,
    fields::Fields,
    pool::{Lease, Pool, SendError, Wire},
    strict,
};

/// Connections that turn out to be closed when they are used, before a new one is made for sure.
const STALE_MAX: usize = 3;
/// An unsafe request uses no connection that was idle for longer: the peer may be about to close it, and a
/// request that is lost in that moment must not be sent twice.
const UNSAFE_IDLE_MAX: Duration = Duration::from_secs(1);

/// Why there is no response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    /// The application may have seen the request.
    pub(crate) reached: bool,
    /// Who failed.
    pub(crate) side: Side,
}

/// Who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The caller's own body broke off.
    Downstream,
    /// The endpoint.
    Upstream,
    /// We gave it up.
    Local,
}

/// A response head, and the connection that its body comes on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// What its head has, as it came.
    pub(crate) fields: Fields,
    pub(crate) lease: Lease,
}

/// Sends `request`, and leaves an empty one in its place; a connection that was closed while it was idle is replaced
/// without anyone hearing of it. It is `began`, on the process's clock. The request stays where the caller has it, for a future that is small.
pub(crate) async fn exchange(
    pool: &Rc<Pool>,
    wire: Wire,
    idempotent: bool,
    began: u64,
    request: &mut Request<RequestBody>,
) -> Result<Answered, Failure> {
    let mut idle_max = if idempotent { crate::pool::IDLE_MAX } else { UNSAFE_IDLE_MAX };
    if wire == Wire::Http1 && !request.body().is_end_stream() && expect::is_expected(request.headers()) {
        *request = expect::hold_back(mem::take(request));
    }
    for stale in 0.. {
        if stale == STALE_MAX {
            idle_max = Duration::ZERO;
        }
        let now = if stale == 0 { began } else { clock::now() };
        let mut lease = pool.acquire(wire, idle_max, now).await.map_err(|error| {
            tracing::debug!(%error, "upstream connection failed");
            Failure { code: error.code(), reached: false, side: Side::Upstream }
        })?;
        frame(request, wire);
        let error = match lease.send(request).await {
            Ok(response) => return settle(response, lease),
            Err(error) => error,
        };
        let SendError { unsent, error } = *error;
        match unsent {
            Some(unsent) if lease.is_reused() && stale < STALE_MAX => *request = unsent,
            unsent => return Err(classify(&error, unsent.is_some())),
        }
    }
    Err(Failure { code: ErrorCode::ConnectFailed, reached: false, side: Side::Upstream })
}

/// A body of unknown length is sent in chunks, with any method; the library would drop it where few expect one.
fn frame(request: &mut Request<RequestBody>, wire: Wire) {
    if wire == Wire::Http1
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.body().is_end_stream()
        && !request.headers().contains_key(header::CONTENT_LENGTH)
    {
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// A response whose end not all readers find in the same place is none: its connection goes with it.
fn settle(mut response: Response<Incoming>, lease: Lease) -> Result<Answered, Failure> {
    let fields = Fields::of(response.headers());
    if strict::settle_response(response.headers_mut(), fields) {
        return Ok(Answered { response, fields, lease });
    }
    tracing::debug!(status = %response.status(), "upstream response of doubtful length");
    Err(Failure { code: ErrorCode::ProtocolError, reached: true, side: Side::Upstream })
}

fn classify(error: &hyper::Error, unsent: bool) -> Failure {
    tracing::debug!(%error, unsent, "upstream exchange failed");
    let h2 = source::<h2::Error>(error);
    // A refused stream, and one above the last that a peer going away names, was not processed (RFC 9113
    // section 8.7 and 6.8).
    let refused = h2.is_some_and(|h2| {
        h2.reason() == Some(h2::Reason::REFUSED_STREAM) || (h2.is_go_away() && h2.is_remote())
    });
    let side = if source::<BodyError>(error).is_some() { Side::Downstream } else { Side::Upstream };
    let broken = error.is_parse() || h2.is_some_and(|h2| h2.reason() == Some(h2::Reason::PROTOCOL_ERROR));
    let code = match (side, broken) {
        // Its body ended before it was whole, or was none that can be read.
        (Side::Downstream, _) => ErrorCode::BadRequest,
        (_, true) => ErrorCode::ProtocolError,
        _ => ErrorCode::UpstreamReset,
    };
    Failure { code, reached: !(unsent || refused || error.is_canceled()), side }
}

fn source<T: Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
