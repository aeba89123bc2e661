//! How many streams a shared connection carries, and since when it carries none.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{
    body::{BodyError, RequestBody},
    clock,
};

/// The streams of one connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    in_use: Cell<usize>,
    /// When the last of them began or ended, on the process's clock.
    used_at: Cell<u64>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct StreamSlot(Rc<Streams>);

/// An answer's hold of its stream, which is open until the answer and the request have ended.
#[derive(Debug)]
pub(super) struct Slot {
    /// While no body has it as well.
    alone: Option<StreamSlot>,
    shared: Option<Rc<StreamSlot>>,
}

/// What is sent on a stream.
#[derive(Debug)]
pub(super) struct StreamedBody {
    body: RequestBody,
    _slot: Option<Rc<StreamSlot>>,
}

impl Streams {
    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    pub(super) fn used_at(&self) -> u64 {
        self.used_at.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_use() == 0
    }
}

impl StreamSlot {
    fn take(streams: &Rc<Streams>, now: u64) -> Self {
        streams.in_use.set(streams.in_use.get() + 1);
        streams.used_at.set(now);
        Self(Rc::clone(streams))
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get().saturating_sub(1));
        if self.0.is_idle() {
            self.0.used_at.set(clock::now());
        }
    }
}

impl Slot {
    pub(super) fn take(streams: &Rc<Streams>, now: u64) -> Self {
        Self { alone: Some(StreamSlot::take(streams, now)), shared: None }
    }

    /// What is sent holds the stream as well, where there is something to be sent.
    pub(super) fn share_with(&mut self, body: RequestBody) -> StreamedBody {
        if body.is_end_stream() {
            return StreamedBody { body, _slot: None };
        }
        if let Some(slot) = self.alone.take() {
            self.shared = Some(Rc::new(slot));
        }
        StreamedBody { body, _slot: self.shared.clone() }
    }
}

impl StreamedBody {
    /// It is not sent on this stream.
    pub(super) fn into_inner(self) -> RequestBody {
        self.body
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
