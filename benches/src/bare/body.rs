//! An answer's body, which gives its connection back when it has been read.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};

use super::pool::Pool;

/// See the module.
pub(super) struct Returning {
    body: Incoming,
    held: Option<(http1::SendRequest<Incoming>, Rc<Pool>)>,
}

impl Returning {
    pub(super) fn new(body: Incoming, sender: http1::SendRequest<Incoming>, pool: Rc<Pool>) -> Self {
        let mut returning = Self { body, held: Some((sender, pool)) };
        returning.give_back_at_end();
        returning
    }

    fn give_back_at_end(&mut self) {
        if !self.body.is_end_stream() {
            return;
        }
        if let Some((sender, pool)) = self.held.take() {
            pool.give_back(sender);
        }
    }
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.give_back_at_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
