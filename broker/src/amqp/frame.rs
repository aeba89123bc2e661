//! Frames: where each stands in a buffer, and how one is written (AMQP 0-9-1, section 4.2.3). Owns the frame's limits;
//! knows nothing of what a payload says. First on the way in, last on the way out.
//!
//! ```text
//!  octet   short     long    size octets   octet
//! ┌──────┬─────────┬──────┬──────────────┬───────┐
//! │ kind │ channel │ size │   payload    │ 0xCE  │
//! └──────┴─────────┴──────┴──────────────┴───────┘
//! ```

use std::ops::Range;

use thiserror::Error;

use crate::amqp::wire::len_u32;

#[cfg(test)]
mod tests;

/// Octets before the payload.
pub const FRAME_HEAD: usize = 7;
/// Octets of a frame that are not payload: the head and the end octet.
pub const FRAME_OVERHEAD: usize = 8;
/// The last octet of each frame.
pub const FRAME_END: u8 = 0xCE;
/// The smallest `frame_max` that may be agreed on (AMQP 0-9-1, FRAME-MIN-SIZE).
pub const FRAME_MAX_LEAST: u32 = 4_096;
/// The limit until the limit is agreed on: RabbitMQ 4.1's `initial_frame_max`.
pub const FRAME_MAX_INITIAL: u32 = 8_192;
/// What a server offers: RabbitMQ's default.
pub const FRAME_MAX_DEFAULT: u32 = 131_072;
/// What counts where both sides agreed on no limit (0).
pub const FRAME_MAX_UNLIMITED: u32 = 16 * 1024 * 1024;
/// Octets by which a peer may pass the limit: clients are known to forget the overhead, and RabbitMQ lets them.
pub const FRAME_SIZE_GRACE: u32 = 8;
/// Octets of an offending payload that an error text shows, as RabbitMQ does.
pub const SNIPPET_MAX: usize = 16;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// 1: a method.
    Method,
    /// 2: a content header.
    Header,
    /// 3: a piece of a content body.
    Body,
    /// 8: nothing, on channel 0.
    Heartbeat,
}

impl FrameKind {
    /// The octet of the wire.
    pub const fn octet(self) -> u8 {
        match self {
            Self::Method => 1,
            Self::Header => 2,
            Self::Body => 3,
            Self::Heartbeat => 8,
        }
    }

    const fn of(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// One frame where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// What it carries.
    pub kind: FrameKind,
    /// Its channel.
    pub channel: u16,
    /// Where its payload stands in the buffer.
    pub payload: Range<usize>,
    /// Where the next frame begins.
    pub end: usize,
}

impl RawFrame {
    /// The payload, of the buffer that was scanned.
    #[inline]
    pub fn payload<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(self.payload.clone()).unwrap_or_default()
    }
}

/// The first octets of a payload, for an error text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snippet {
    bytes: [u8; SNIPPET_MAX],
    len: usize,
    whole: bool,
}

impl Snippet {
    /// Of this payload.
    pub fn of(payload: &[u8]) -> Self {
        let shown = payload.get(..SNIPPET_MAX).unwrap_or(payload);
        let mut bytes = [0; SNIPPET_MAX];
        bytes.iter_mut().zip(shown).for_each(|(to, from)| *to = *from);
        Self { bytes, len: shown.len(), whole: shown.len() == payload.len() }
    }

    /// The octets.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether they are all there were.
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// Why bytes are no frame. After any of these the peer's stream makes no sense any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// 501: the size is beyond what was agreed on.
    #[error("a frame of {size} octets where {limit} are the limit")]
    TooLarge {
        /// The kind's octet.
        kind: u8,
        /// The frame's channel.
        channel: u16,
        /// Octets of payload announced.
        size: u32,
        /// Octets of payload allowed.
        limit: u32,
    },
    /// 501: the last octet is not 0xCE.
    #[error("a frame that ends with {found:#04x}")]
    BadEnd {
        /// The kind's octet.
        kind: u8,
        /// The frame's channel.
        channel: u16,
        /// What stands in place of the end octet.
        found: u8,
        /// The start of its payload.
        snippet: Snippet,
    },
    /// 501: no such kind, or a heartbeat with a payload.
    #[error("a frame of unknown kind {kind}")]
    Unknown {
        /// The kind's octet.
        kind: u8,
        /// The frame's channel.
        channel: u16,
        /// The start of its payload.
        snippet: Snippet,
    },
    /// 505: a heartbeat that is not on channel 0.
    #[error("a heartbeat on channel {channel}")]
    HeartbeatOnChannel {
        /// The frame's channel.
        channel: u16,
    },
}

/// The first frame of `buf`, `None` while it is not whole. The size is judged before the payload is waited for. A
/// `frame_max` of 0 is no limit agreed on: [`FRAME_MAX_UNLIMITED`] counts then.
#[inline]
pub fn scan(buf: &[u8], frame_max: u32) -> Result<Option<RawFrame>, FrameError> {
    let Some(&[kind, c0, c1, s0, s1, s2, s3]) = buf.first_chunk::<FRAME_HEAD>() else {
        return Ok(None);
    };
    let channel = u16::from_be_bytes([c0, c1]);
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    let limit = payload_max(frame_max);
    if size > limit.saturating_add(FRAME_SIZE_GRACE) {
        return Err(FrameError::TooLarge { kind, channel, size, limit });
    }
    let Some(end) = usize::try_from(size).ok().and_then(|size| size.checked_add(FRAME_HEAD)) else {
        return Err(FrameError::TooLarge { kind, channel, size, limit });
    };
    let Some(&last) = buf.get(end) else { return Ok(None) };
    let payload = FRAME_HEAD..end;
    if last == FRAME_END
        && let Some(known) = FrameKind::of(kind)
        && known != FrameKind::Heartbeat
    {
        return Ok(Some(RawFrame { kind: known, channel, payload, end: end + 1 }));
    }
    unusual(buf, [kind, last], channel, payload)
}

/// A heartbeat, or what is wrong.
#[cold]
fn unusual(
    buf: &[u8],
    [kind, last]: [u8; 2],
    channel: u16,
    payload: Range<usize>,
) -> Result<Option<RawFrame>, FrameError> {
    let bytes = buf.get(payload.clone()).unwrap_or_default();
    if last != FRAME_END {
        return Err(FrameError::BadEnd { kind, channel, found: last, snippet: Snippet::of(bytes) });
    }
    if FrameKind::of(kind) != Some(FrameKind::Heartbeat) || !bytes.is_empty() {
        return Err(FrameError::Unknown { kind, channel, snippet: Snippet::of(bytes) });
    }
    if channel != 0 {
        return Err(FrameError::HeartbeatOnChannel { channel });
    }
    let end = payload.end + 1;
    Ok(Some(RawFrame { kind: FrameKind::Heartbeat, channel, payload, end }))
}

/// Octets of payload that a frame holds at most.
#[inline]
pub fn payload_max(frame_max: u32) -> u32 {
    let frame_max = if frame_max == 0 { FRAME_MAX_UNLIMITED } else { frame_max };
    // No smaller than one octet, or a body would never be through.
    frame_max.saturating_sub(8).max(1)
}

/// The head of a frame whose payload is `size` octets.
#[inline]
pub fn frame_head(kind: FrameKind, channel: u16, size: u32) -> [u8; FRAME_HEAD] {
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = size.to_be_bytes();
    [kind.octet(), c0, c1, s0, s1, s2, s3]
}

/// Writes the head of a frame whose payload is `size` octets.
#[inline]
pub fn write_frame_head(kind: FrameKind, channel: u16, size: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&frame_head(kind, channel, size));
}

/// A heartbeat, whole.
pub const HEARTBEAT: [u8; FRAME_OVERHEAD] = [8, 0, 0, 0, 0, 0, 0, FRAME_END];

/// Writes `body` as body frames, each within `frame_max`; no frame for an empty body.
#[inline]
pub fn write_body(channel: u16, body: &[u8], frame_max: u32, out: &mut Vec<u8>) {
    for piece in body_pieces(body, frame_max) {
        write_frame_head(FrameKind::Body, channel, len_u32(piece.len()), out);
        out.extend_from_slice(piece);
        out.push(FRAME_END);
    }
}

/// The pieces of a body, one a frame: for who sends them by reference, each between [`frame_head`] and [`FRAME_END`].
#[inline]
pub fn body_pieces(body: &[u8], frame_max: u32) -> std::slice::Chunks<'_, u8> {
    body.chunks(usize::try_from(payload_max(frame_max)).unwrap_or(usize::MAX))
}

/// Octets on the wire of a body of `len` octets, frames included.
#[inline]
pub fn body_wire_len(len: usize, frame_max: u32) -> usize {
    let piece = usize::try_from(payload_max(frame_max)).unwrap_or(usize::MAX);
    len.saturating_add(len.div_ceil(piece).saturating_mul(FRAME_OVERHEAD))
}
