//! Where the body of each attempt of a call comes from. It knows no attempt: only what was kept, and for how many.

use http_body::Body;

use crate::{
    body::{Meter, RequestBody},
    replay::Replay,
    unread::CallerBody,
};

/// Where the body of each attempt comes from.
#[derive(Debug)]
pub(super) enum Source {
    Empty,
    Replay(Replay),
}

impl Source {
    pub(super) fn new(body: CallerBody, kept_max: usize, received: &Meter) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Replay(Replay::new(body, kept_max, received.clone()))
    }

    pub(super) fn can_replay(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Replay(replay) => replay.can_replay(),
        }
    }

    /// Whether two attempts can send it at once.
    pub(super) fn can_share(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Replay(replay) => replay.share(),
        }
    }

    pub(super) fn next_attempt(&self) -> RequestBody {
        match self {
            Self::Empty => RequestBody::Empty,
            Self::Replay(replay) => RequestBody::Replay(replay.next_attempt()),
        }
    }

    /// A copy of the whole body, where all of it came and was kept.
    pub(super) fn copy(&self) -> Option<RequestBody> {
        match self {
            Self::Empty => Some(RequestBody::Empty),
            Self::Replay(replay) => replay.whole().map(|whole| RequestBody::Kept(Box::new(whole))),
        }
    }
}
