//! The body of a request as its caller sends it, and the rest of one that was answered before all of it had come.
//!
//! HTTP/1 reads such a rest when its connection ends (see `data::serve`). In HTTP/2 the connection goes on: a stream
//! that nobody reads is reset (RFC 9113 section 8.1), and what its caller has sent meanwhile finds no stream. The
//! library counts such frames as the caller's errors, and ends the connection after some, though each was sent in
//! good faith: a short body leaves right behind its head, and an application may answer the head. So what may be under
//! way is read and thrown away, and only then is the stream reset.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Timeout;

/// For how long a request that has its answer is still read.
pub(crate) const REST_TIME_MAX: Duration = Duration::from_secs(1);

/// A request's body, as it comes.
#[derive(Debug)]
pub(crate) struct CallerBody {
    /// Nothing only while it is dropped.
    incoming: Option<Incoming>,
    /// Who reads on when it is dropped before its end.
    unread: Option<Rc<Unread>>,
}

/// The rests of one connection of HTTP/2, read by its task.
#[derive(Debug)]
pub(crate) struct Unread {
    connection: Waker,
    /// What is read of each.
    bytes_max: u64,
    /// Dropped since the connection looked.
    dropped: RefCell<Vec<Incoming>>,
    /// Nothing where there are none: most connections never have one.
    rests: RefCell<Option<FuturesUnordered<Timeout<Rest>>>>,
}

/// What still comes of a body that nobody wants, read and thrown away: to its end, or until it is enough. Whether that
/// was its end.
#[derive(Debug)]
pub(crate) struct Rest {
    incoming: Incoming,
    bytes_left: u64,
}

impl CallerBody {
    /// Of HTTP/1.
    pub(crate) fn serial(incoming: Incoming) -> Self {
        Self { incoming: Some(incoming), unread: None }
    }

    /// Of a stream among others.
    pub(crate) fn on_stream(incoming: Incoming, unread: &Rc<Unread>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| Rc::clone(unread));
        Self { incoming: Some(incoming), unread }
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = Pin::new(incoming).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.unread = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        let Some(unread) = self.unread.take() else { return };
        if let Some(rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) {
            unread.take(rest);
        }
    }
}

impl Unread {
    /// Read by the task of this waker, which calls [`Unread::poll`] whenever it is woken; of each as much as may be
    /// under way on a stream, in bytes.
    pub(crate) fn new(connection: Waker, bytes_max: u64) -> Self {
        Self { connection, bytes_max, dropped: RefCell::default(), rests: RefCell::default() }
    }

    fn take(&self, incoming: Incoming) {
        // The caller of one that says it is longer has yet to send some of it, and had better stop at once.
        if incoming.size_hint().lower() <= self.bytes_max {
            self.dropped.borrow_mut().push(incoming);
            self.connection.wake_by_ref();
        }
    }

    /// Reads what is there.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) {
        let mut rests = self.rests.borrow_mut();
        for incoming in self.dropped.borrow_mut().drain(..) {
            let rest = tokio::time::timeout(REST_TIME_MAX, Rest::new(incoming, self.bytes_max));
            rests.get_or_insert_default().push(rest);
        }
        while let Some(Poll::Ready(read)) = rests.as_mut().map(|rests| rests.poll_next_unpin(cx)) {
            if read.is_none() {
                *rests = None;
            }
        }
    }
}

impl Rest {
    pub(crate) fn new(incoming: Incoming, bytes_max: u64) -> Self {
        Self { incoming, bytes_left: bytes_max }
    }
}

impl Future for Rest {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            let length = match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => return Poll::Ready(true),
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            };
            let Some(left) = self.bytes_left.checked_sub(length as u64) else { return Poll::Ready(false) };
            self.bytes_left = left;
        }
    }
}
