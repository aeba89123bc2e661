//! The bodies that the data path carries: concrete types, streamed, never collected.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use weft_model::error_code::ErrorCode;

use crate::{
    clock,
    expect::Gate,
    pool::Carrier,
    record::RecordGuard,
    replay::{KeptBody, ReplayBody},
    strict,
    unread::CallerBody,
};

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The side that it comes from failed.
    #[error("body could not be read")]
    Read(#[from] hyper::Error),
    /// It is longer than the settings allow.
    #[error("body is over the limit")]
    TooLong,
    /// No byte passed either way for the idle timeout.
    #[error("exchange stood still for too long")]
    Idle,
    /// Another attempt sends it now.
    #[error("request is sent by a later attempt")]
    Superseded,
}

/// How much of a request body came from the caller so far; shared by its attempts. By default there is no body, which
/// is whole at once and takes no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Option<Rc<Progress>>);

#[derive(Debug, Default)]
struct Progress {
    bytes: Cell<u64>,
    /// What it may have; 0 = anything.
    bytes_max: Cell<u64>,
    is_whole: Cell<bool>,
}

impl Meter {
    /// For a body that has yet to come, of so many bytes at most.
    pub(crate) fn new(bytes_max: Option<u64>) -> Self {
        let progress = Progress::default();
        progress.bytes_max.set(bytes_max.unwrap_or_default());
        Self(Some(Rc::new(progress)))
    }

    /// Whether there is no body.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn add(&self, bytes: usize) {
        if let Some(progress) = &self.0 {
            progress.bytes.set(progress.bytes.get().saturating_add(bytes as u64));
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.as_ref().map_or(0, |progress| progress.bytes.get())
    }

    /// Whether more came than is allowed.
    pub(crate) fn is_over(&self) -> bool {
        let most = self.0.as_ref().map_or(0, |progress| progress.bytes_max.get());
        most > 0 && self.get() > most
    }

    /// Looks whether `body` has come to its end.
    pub(crate) fn check_end(&self, body: &CallerBody) {
        if body.is_end_stream() {
            self.end();
        }
    }

    /// All of it came.
    pub(crate) fn end(&self) {
        if let Some(progress) = &self.0 {
            progress.is_whole.set(true);
        }
    }

    /// Whether all of it came. An answer before that ends an HTTP/1 connection, and has to say so: a caller that
    /// sends its next request meanwhile would lose it.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|progress| progress.is_whole.get())
    }
}

/// What is sent upstream.
#[derive(Debug, Default)]
pub(crate) enum RequestBody {
    #[default]
    Empty,
    Once(CallerBody, Meter),
    /// Not before it is asked for.
    Held(Gate, Box<RequestBody>),
    Replay(ReplayBody),
    /// A copy for a mirror.
    Kept(Box<KeptBody>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Once(incoming, meter) => {
                let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => meter.add(frame.data_ref().map_or(0, Bytes::len)),
                    Some(Err(_)) => {}
                    None => meter.end(),
                }
                if meter.is_over() {
                    return Poll::Ready(Some(Err(BodyError::TooLong)));
                }
                meter.check_end(incoming);
                Poll::Ready(frame.map(settled))
            }
            Self::Held(gate, body) => {
                std::task::ready!(gate.poll(cx));
                let body = std::mem::replace(&mut **body, Self::Empty);
                *self = body;
                self.as_mut().poll_frame(cx)
            }
            Self::Replay(body) => body.poll(cx),
            Self::Kept(body) => Poll::Ready(body.next().map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(incoming, _) => incoming.is_end_stream(),
            Self::Held(_, body) => body.is_end_stream(),
            Self::Replay(body) => body.is_end(),
            Self::Kept(body) => body.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Once(incoming, _) => incoming.size_hint(),
            Self::Held(_, body) => body.size_hint(),
            Self::Replay(body) => body.size_hint(),
            Self::Kept(body) => body.size_hint(),
        }
    }
}

/// A frame that may go on: trailers only with what may stand there.
pub(crate) fn settled(frame: Result<Frame<Bytes>, hyper::Error>) -> Result<Frame<Bytes>, BodyError> {
    let mut frame = frame?;
    if let Some(trailers) = frame.trailers_mut() {
        strict::settle_trailers(trailers);
    }
    Ok(frame)
}

/// What is sent back to the caller.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// Nothing.
    Empty,
    /// A line from us.
    Text(Option<Bytes>),
    /// The upstream's.
    Stream(StreamBody),
}

/// An upstream's body, with what has to happen when it ends: the connection goes back to its pool, the record
/// is written. Dropped earlier, the connection is closed and the record says so.
#[derive(Debug)]
pub(crate) struct StreamBody {
    incoming: Incoming,
    finish: Option<(Carrier, RecordGuard)>,
}

impl ResponseBody {
    pub(crate) fn stream(incoming: Incoming, carrier: Carrier, mut record: RecordGuard) -> Self {
        if incoming.is_end_stream() {
            let now = clock::now();
            record.complete(now);
            carrier.give_back(now);
            return Self::Empty;
        }
        Self::Stream(StreamBody { incoming, finish: Some((carrier, record)) })
    }
}

impl StreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.stand_still(cx);
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some((_, record)) = &mut self.finish {
                    if let Some(watch) = record.idle() {
                        watch.moved();
                    }
                    record.add_sent(frame.data_ref().map_or(0, Bytes::len));
                }
                // An end that shows with the last frame is taken then: a caller that knows the length does
                // not ask again.
                if self.incoming.is_end_stream() {
                    self.complete();
                }
            }
            None => self.complete(),
            Some(Err(_)) => {
                if let Some((_, record)) = &mut self.finish {
                    record.fail(ErrorCode::UpstreamReset);
                }
                self.finish = None;
            }
        }
        Poll::Ready(frame.map(settled))
    }

    /// Nothing is there: it waits, or has waited for too long.
    fn stand_still(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some((_, record)) = &mut self.finish else { return Poll::Pending };
        match record.idle() {
            None => Poll::Pending,
            Some(watch) if !watch.is_over() => {
                watch.wakes(cx.waker());
                Poll::Pending
            }
            Some(_) => {
                record.metrics().resilience.idle_timeouts.fetch_add(1, Relaxed);
                record.fail(ErrorCode::UpstreamTimeout);
                self.finish = None;
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }

    fn complete(&mut self) {
        if let Some((carrier, mut record)) = self.finish.take() {
            let now = clock::now();
            record.complete(now);
            carrier.give_back(now);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Stream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Text(None) => true,
            Self::Text(Some(_)) => false,
            Self::Stream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(body) => body.incoming.size_hint(),
        }
    }
}
