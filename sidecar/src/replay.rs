//! A request body that can be sent again. What passes is kept up to a limit; beyond it the body streams on
//! and can no longer be replayed. Only the newest attempt may read: an older one that is still being torn down
//! gets an error, so that it cannot end its message as if it were whole.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::{
    body::{BodyError, Meter, settled},
    unread::CallerBody,
};

/// The kept part and the source, shared by the attempts of one request.
#[derive(Debug, Clone)]
pub(crate) struct Replay(Rc<RefCell<State>>);

/// One attempt's view.
#[derive(Debug)]
pub(crate) struct ReplayBody {
    shared: Replay,
    /// Chunks of the kept part that this attempt has sent.
    position: usize,
    sent_trailers: bool,
    attempt: u32,
}

/// A copy of a whole body, which shares its bytes.
#[derive(Debug)]
pub(crate) struct KeptBody {
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
struct State {
    source: CallerBody,
    meter: Meter,
    kept: Vec<Bytes>,
    kept_length: usize,
    kept_max: usize,
    trailers: Option<HeaderMap>,
    phase: Phase,
    attempt: u32,
    /// Attempts race: all of them may read what is kept.
    is_shared: bool,
    /// Of the attempt that waits for more: the source wakes only who asked it last.
    waiting: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All that came is kept.
    Keeping,
    /// Too long: what came is gone.
    Streaming,
    /// The source has ended, and all of it is kept.
    Whole,
    /// The source failed.
    Broken,
}

impl Replay {
    pub(crate) fn new(source: CallerBody, kept_max: usize, meter: Meter) -> Self {
        // A body that says it is too long is not even begun to be kept.
        let too_long = source.size_hint().lower() > kept_max as u64;
        let phase = if too_long { Phase::Streaming } else { Phase::Keeping };
        Self(Rc::new(RefCell::new(State {
            source,
            meter,
            kept: Vec::new(),
            kept_length: 0,
            kept_max,
            trailers: None,
            phase,
            attempt: 0,
            is_shared: false,
            waiting: None,
        })))
    }

    /// Whether another attempt could send the whole body.
    pub(crate) fn can_replay(&self) -> bool {
        let state = self.0.borrow();
        match state.phase {
            Phase::Keeping | Phase::Whole => true,
            Phase::Streaming => state.meter.get() == 0,
            Phase::Broken => false,
        }
    }

    /// Whether two attempts can send the body at once: all of it is kept. From then on they may.
    pub(crate) fn share(&self) -> bool {
        let mut state = self.0.borrow_mut();
        state.is_shared |= state.phase == Phase::Whole;
        state.is_shared
    }

    /// All of the body, where all of it came and was kept.
    pub(crate) fn whole(&self) -> Option<KeptBody> {
        let state = self.0.borrow();
        let is_whole = state.phase == Phase::Whole;
        is_whole.then(|| KeptBody { chunks: state.kept.clone().into(), trailers: state.trailers.clone() })
    }

    /// The body for the next attempt; earlier ones can read no more.
    pub(crate) fn next_attempt(&self) -> ReplayBody {
        let mut state = self.0.borrow_mut();
        state.attempt += 1;
        let attempt = state.attempt;
        if let Some(earlier) = state.waiting.take() {
            earlier.wake();
        }
        ReplayBody { shared: self.clone(), position: 0, sent_trailers: false, attempt }
    }
}

impl State {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.source).poll_frame(cx) else {
            self.waits(cx.waker());
            return Poll::Pending;
        };
        let frame = match frame.map(settled) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.phase = Phase::Broken;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                self.meter.end();
                if self.phase == Phase::Keeping {
                    self.phase = Phase::Whole;
                }
                return Poll::Ready(None);
            }
        };
        if let Some(data) = frame.data_ref() {
            self.meter.add(data.len());
            if self.meter.is_over() {
                self.phase = Phase::Broken;
                return Poll::Ready(Some(Err(BodyError::TooLong)));
            }
            self.keep(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        }
        self.meter.check_end(&self.source);
        if self.phase == Phase::Keeping && self.source.is_end_stream() {
            self.phase = Phase::Whole;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn waits(&mut self, waker: &Waker) {
        if !self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
            self.waiting = Some(waker.clone());
        }
    }

    fn keep(&mut self, data: &Bytes) {
        if self.phase != Phase::Keeping {
            return;
        }
        self.kept_length += data.len();
        if self.kept_length > self.kept_max {
            self.kept = Vec::new();
            self.phase = Phase::Streaming;
        } else {
            self.kept.push(data.clone());
        }
    }
}

impl KeptBody {
    pub(crate) fn next(&mut self) -> Option<Frame<Bytes>> {
        let chunk = self.chunks.pop_front().map(Frame::data);
        chunk.or_else(|| self.trailers.take().map(Frame::trailers))
    }

    pub(crate) fn is_end(&self) -> bool {
        self.chunks.is_empty() && self.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

impl ReplayBody {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.shared.0.borrow_mut();
        if state.attempt != self.attempt && !state.is_shared {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(chunk) = state.kept.get(self.position) {
            self.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        if state.phase == Phase::Whole {
            let trailers = if self.sent_trailers { None } else { state.trailers.clone() };
            self.sent_trailers = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = state.poll_source(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            // Once the body is too long nothing is kept, so the position stays past the end.
            self.position += usize::from(frame.is_data());
            self.sent_trailers |= frame.is_trailers();
        }
        frame
    }

    pub(crate) fn is_end(&self) -> bool {
        let state = self.shared.0.borrow();
        let sent_all = self.position >= state.kept.len();
        let sent_trailers = state.trailers.is_none() || self.sent_trailers;
        match state.phase {
            Phase::Whole => sent_all && sent_trailers,
            Phase::Streaming => state.source.is_end_stream(),
            Phase::Keeping | Phase::Broken => false,
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let state = self.shared.0.borrow();
        let ahead: usize = state.kept.iter().skip(self.position).map(Bytes::len).sum();
        let mut hint = state.source.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + ahead as u64);
        }
        hint.set_lower(hint.lower() + ahead as u64);
        hint
    }
}
