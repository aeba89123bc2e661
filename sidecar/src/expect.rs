//! `Expect: 100-continue` from end to end (RFC 9110 section 10.1.1): the body is held back until the other side
//! says `100`, so that the caller hears that from the application and not from us; an answer of another kind
//! passes without the body ever being sent.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, StatusCode, header};
use tokio::sync::Notify;

use crate::{body::RequestBody, forward};

/// A server that knows nothing of expectations says nothing: then the body is sent (RFC 9110 says not to wait for
/// ever; a second is curl's patience).
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Opens when the other side wants the body, or has been silent for too long.
pub(crate) struct Gate(Pin<Box<dyn Future<Output = ()>>>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// Whether the sender waits for a `100` before it sends its body.
pub(crate) fn is_expected(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expect| forward::contains_token(expect, "100-continue"))
}

/// Holds the body of `request` back until its `100`. HTTP/1 only: in HTTP/2 the library tells nobody of it.
pub(crate) fn hold_back(request: Request<RequestBody>) -> Request<RequestBody> {
    let wanted = Arc::new(Notify::new());
    let opened = Arc::clone(&wanted);
    let gate = Box::pin(async move {
        // Silence for too long opens it as well.
        let _ = tokio::time::timeout(WAIT_MAX, opened.notified()).await;
    });
    let mut request = request.map(|body| RequestBody::Held(Gate(gate), Box::new(body)));
    hyper::ext::on_informational(&mut request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            wanted.notify_one();
        }
    });
    request
}
