//! Content: a method, then its header, then body frames until the announced size is there (AMQP 0-9-1, section 4.2.6).
//! One assembler a channel, bytes in and content out. Owns the order of frames and the limit of a body; knows neither
//! what the method was (it keeps whatever the caller gives it) nor what the content says.
//!
//! ```text
//!            begin              header, size > 0            body, not the last
//!  ┌──────┐ ──────▶ ┌────────┐ ─────────────────▶ ┌──────┐ ──┐
//!  │ idle │         │ header │                    │ body │ ◀─┘
//!  └──────┘ ◀────── └────────┘                    └──────┘
//!     ▲    size = 0: content                         │
//!     └──────────────────────────────────────────────┘ the last: content
//! ```

use thiserror::Error;

use crate::amqp::{
    frame::{FrameError, FrameKind, scan},
    method::basic::CLASS,
    properties::ContentHeader,
};

#[cfg(test)]
mod tests;

/// Octets of a body: RabbitMQ 4's `max_message_size`.
pub const BODY_OCTETS_MAX: u64 = 16 * 1024 * 1024;
/// Octets of a body that RabbitMQ takes for a broken frame rather than a large message.
pub const BODY_OCTETS_ABSURD: u64 = 512 * 1024 * 1024;
/// Octets reserved for a body when its header announces it; the rest is reserved as it comes.
pub const BODY_RESERVE_MAX: u64 = 1024 * 1024;

/// Why frames are no content. What is expected is named as in RabbitMQ's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ContentError {
    /// 505: content without a method before it.
    #[error("expected method frame, got non method frame instead")]
    NoMethod,
    /// 505: no header after a method with content.
    #[error("expected content header for class {CLASS}, got non content header frame instead")]
    NoHeader,
    /// 505: a header of another class than the method's.
    #[error("expected content header for class {CLASS}, got one for class {found} instead")]
    OtherClass {
        /// The header's class.
        found: u16,
    },
    /// 505: no body frame where there is more to come.
    #[error("expected content body, got non content body frame instead")]
    NoBody,
    /// 501: more octets than announced.
    #[error("content body frame exceeds remaining content size")]
    TooMuch,
    /// 501: a size that is no message's.
    #[error("content body size {size} exceeds maximum allowed size {BODY_OCTETS_ABSURD}")]
    Absurd {
        /// Octets announced.
        size: u64,
    },
    /// 406 on the channel: more than a message may have. The channel's further frames are to be passed over.
    #[error("message size {size} is larger than configured max size {limit}")]
    TooLarge {
        /// Octets announced.
        size: u64,
        /// Octets allowed.
        limit: u64,
    },
}

/// A body: in the frame that was passed in last, or gathered from several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// The payload of one frame, where it stands.
    Frame(&'a [u8]),
    /// The payloads of several.
    Gathered(Vec<u8>),
}

impl Body<'_> {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Frame(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }
}

/// What is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content<'a, M> {
    /// What [`begin`](Assembler::begin) was given.
    pub method: M,
    /// Flags and property list; not yet judged.
    pub properties: &'a [u8],
    /// The body.
    pub body: Body<'a>,
}

#[derive(Debug)]
enum State<M> {
    Idle,
    Header { method: M },
    Body { method: M, remaining: u64, gathered: Vec<u8> },
}

/// The content of one channel in the making. An error leaves it idle.
#[derive(Debug)]
pub struct Assembler<M> {
    state: State<M>,
    // Kept from message to message, so that a usual one allocates nothing here.
    properties: Vec<u8>,
    body_octets_max: u64,
}

impl<M> Assembler<M> {
    /// One that takes bodies of up to `body_octets_max`; [`BODY_OCTETS_MAX`] is the default.
    pub fn new(body_octets_max: u64) -> Self {
        Self { state: State::Idle, properties: Vec::new(), body_octets_max }
    }

    /// Whether a method may come.
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Judges that a method may come now: each method frame of the channel asks this first.
    #[inline]
    pub fn expect_method(&mut self) -> Result<(), ContentError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => Ok(()),
            State::Header { .. } => Err(ContentError::NoHeader),
            State::Body { .. } => Err(ContentError::NoBody),
        }
    }

    /// A method with content has come.
    pub fn begin(&mut self, method: M) -> Result<(), ContentError> {
        self.expect_method()?;
        self.state = State::Header { method };
        Ok(())
    }

    /// A header frame has come; content where the body is empty.
    pub fn header<'a>(&'a mut self, payload: &[u8]) -> Result<Option<Content<'a, M>>, ContentError> {
        let method = match std::mem::replace(&mut self.state, State::Idle) {
            State::Header { method } => method,
            State::Idle => return Err(ContentError::NoMethod),
            State::Body { .. } => return Err(ContentError::NoBody),
        };
        let header = judge(payload, self.body_octets_max)?;
        self.properties.clear();
        self.properties.extend_from_slice(header.properties);
        if header.body_size == 0 {
            return Ok(Some(Content { method, properties: &self.properties, body: Body::Frame(&[]) }));
        }
        self.state = State::Body { method, remaining: header.body_size, gathered: Vec::new() };
        Ok(None)
    }

    /// A body frame has come; content where it was the last. A body of one frame is not copied.
    pub fn body<'a>(&'a mut self, payload: &'a [u8]) -> Result<Option<Content<'a, M>>, ContentError> {
        let (method, remaining, mut gathered) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Body { method, remaining, gathered } => (method, remaining, gathered),
            State::Idle => return Err(ContentError::NoMethod),
            State::Header { .. } => return Err(ContentError::NoHeader),
        };
        let remaining = u64::try_from(payload.len())
            .ok()
            .and_then(|len| remaining.checked_sub(len))
            .ok_or(ContentError::TooMuch)?;
        if remaining == 0 && gathered.is_empty() {
            return Ok(Some(Content { method, properties: &self.properties, body: Body::Frame(payload) }));
        }
        gather(&mut gathered, payload, remaining);
        if remaining == 0 {
            let body = Body::Gathered(gathered);
            return Ok(Some(Content { method, properties: &self.properties, body }));
        }
        self.state = State::Body { method, remaining, gathered };
        Ok(None)
    }
}

/// Judges a header frame.
fn judge(payload: &[u8], body_octets_max: u64) -> Result<ContentHeader<'_>, ContentError> {
    let header = ContentHeader::decode(payload).ok_or(ContentError::NoHeader)?;
    match header {
        // RabbitMQ does not take a header with a weight for one.
        ContentHeader { weight: 1.., .. } => Err(ContentError::NoHeader),
        ContentHeader { class, .. } if class != CLASS => Err(ContentError::OtherClass { found: class }),
        ContentHeader { body_size: size, .. } if size > BODY_OCTETS_ABSURD => {
            Err(ContentError::Absurd { size })
        }
        ContentHeader { body_size: size, .. } if size > body_octets_max => {
            Err(ContentError::TooLarge { size, limit: body_octets_max })
        }
        header => Ok(header),
    }
}

fn gather(gathered: &mut Vec<u8>, payload: &[u8], remaining: u64) {
    if gathered.capacity() == 0 {
        let ahead = usize::try_from(remaining.min(BODY_RESERVE_MAX)).unwrap_or_default();
        gathered.reserve_exact(payload.len().saturating_add(ahead));
    }
    gathered.extend_from_slice(payload);
}

/// A header and a body of at most one frame that stand whole in a buffer: what most messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPlace<'a> {
    /// Flags and property list; not yet judged.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Where the next frame begins, from the start of the buffer.
    pub end: usize,
}

/// The content that follows a method frame of `channel`, where `buf` begins after that frame and holds all of it in one
/// body frame at most. `None` is no error: the frames go the long way, through an [`Assembler`].
#[inline]
pub fn in_place(
    buf: &[u8],
    channel: u16,
    frame_max: u32,
    body_octets_max: u64,
) -> Result<Option<InPlace<'_>>, FrameError> {
    let Some(header) = scan(buf, frame_max)? else { return Ok(None) };
    if header.kind != FrameKind::Header || header.channel != channel {
        return Ok(None);
    }
    let Ok(ContentHeader { body_size, properties, .. }) = judge(header.payload(buf), body_octets_max) else {
        return Ok(None);
    };
    if body_size == 0 {
        return Ok(Some(InPlace { properties, body: &[], end: header.end }));
    }
    let rest = buf.get(header.end..).unwrap_or_default();
    let Some(frame) = scan(rest, frame_max)? else { return Ok(None) };
    let body = frame.payload(rest);
    let is_whole = u64::try_from(body.len()).is_ok_and(|len| len == body_size);
    if frame.kind != FrameKind::Body || frame.channel != channel || !is_whole {
        return Ok(None);
    }
    Ok(Some(InPlace { properties, body, end: header.end + frame.end }))
}
