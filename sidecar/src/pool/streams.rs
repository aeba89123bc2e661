//! How many streams a shared connection carries, and since when it waits for no answer.

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
    /// That the peer counts: their answers or their requests have not ended.
    open: Cell<usize>,
    /// That wait for their answers. A body that outlives its answer keeps no connection: its peer may never take it.
    unanswered: Cell<usize>,
    /// When the last answer was begun to be waited for, or had ended, on the process's clock.
    used_at: Cell<u64>,
}

/// An answer's hold of its stream, until the answer has ended.
#[derive(Debug)]
pub(super) struct Slot {
    streams: Rc<Streams>,
    /// Where there is a body, it and the answer keep the stream open together.
    with_body: Option<Rc<Open>>,
}

/// Keeps a stream open until it is dropped.
#[derive(Debug)]
struct Open(Rc<Streams>);

/// What is sent on a stream.
#[derive(Debug)]
pub(super) struct StreamedBody {
    body: RequestBody,
    _open: Option<Rc<Open>>,
}

impl Streams {
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    pub(super) fn used_at(&self) -> u64 {
        self.used_at.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.unanswered.get() == 0
    }

    fn end(&self) {
        self.open.set(self.open.get().saturating_sub(1));
    }
}

impl Slot {
    pub(super) fn take(streams: &Rc<Streams>, now: u64) -> Self {
        streams.open.set(streams.open.get() + 1);
        streams.unanswered.set(streams.unanswered.get() + 1);
        streams.used_at.set(now);
        Self { streams: Rc::clone(streams), with_body: None }
    }

    /// What is sent keeps the stream open as well, where there is something to be sent. It lets go when its last piece
    /// is handed over, which may be a moment before the peer has taken it.
    pub(super) fn share_with(&mut self, body: RequestBody) -> StreamedBody {
        if body.is_end_stream() {
            return StreamedBody { body, _open: None };
        }
        let open = self.with_body.get_or_insert_with(|| Rc::new(Open(Rc::clone(&self.streams))));
        StreamedBody { body, _open: Some(Rc::clone(open)) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.with_body.is_none() {
            self.streams.end();
        }
        self.streams.unanswered.set(self.streams.unanswered.get().saturating_sub(1));
        if self.streams.is_idle() {
            self.streams.used_at.set(clock::now());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end();
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
