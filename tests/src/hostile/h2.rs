//! The HTTP/2 cases: requests that two servers could read differently, and, as a conformance client, what RFC 9113 and
//! RFC 7541 say must become of each frame and header block. Frames are written here byte by byte: no library stands
//! between a case and the wire.

pub mod backend;
pub mod client;
pub mod conformance;
pub mod frame;
pub mod hpack;
mod huffman;
pub mod outcome;
pub mod requests;

use super::{Part, Sees};

/// One script, and what is to become of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Short and unique, in words with hyphens.
    pub name: &'static str,
    /// Where the rule stands: RFC and section.
    pub rfc: &'static str,
    /// What the client sends, in order.
    pub script: &'static [Step],
    /// What is to become of it.
    pub expect: Expect,
    /// Why Weft does otherwise than each of its peers; empty where it does as one of them.
    pub why: &'static str,
}

/// A piece of a script.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// The preface and empty SETTINGS: how nearly all begin.
    Begin,
    /// Bytes as they are.
    Raw(&'static [u8]),
    /// A frame: type, flags, stream, payload.
    Frame(u8, u8, u32, &'static [u8]),
    /// The same, with a length field that says something else.
    Claiming(u32, u8, u8, u32, &'static [u8]),
    /// A frame whose payload is made of parts.
    Long(u8, u8, u32, &'static [Part]),
    /// A frame, so many times.
    Flood(usize, u8, u8, u32, &'static [u8]),
    /// HEADERS with these fields as literals: flags, stream, fields.
    Head(u8, u32, &'static [(&'static str, &'static str)]),
    /// So many requests on odd streams from this one on, each reset at once.
    Resets(u32, u32),
    /// Waits until the stream has ended.
    Ended(u32),
}

/// What is to become of a script.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    /// The connection ends with one of these codes in GOAWAY, or without a word (RFC 9113 section 5.4.1 allows it).
    Connection(&'static [u32]),
    /// The stream ends with one of these codes in RST_STREAM; the whole connection may go in its place.
    Stream(u32, &'static [u32]),
    /// The request on this stream is malformed: it is reset, or answered 4xx, and the backend sees nothing whole.
    Refused(u32),
    /// The request on this stream is answered with 200, once the backend has seen these in it.
    Forwarded(u32, &'static [Sees]),
    /// The connection goes on: it answers a PING, and nothing is reset.
    Alive,
    /// The server defends itself: the connection ends, or goes on answering; the program lives.
    Bounded,
}

impl Case {
    /// A case.
    pub const fn new(name: &'static str, rfc: &'static str, script: &'static [Step], expect: Expect) -> Self {
        Self { name, rfc, script, expect, why: "" }
    }

    /// With the reason for a difference from all peers.
    pub const fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }
}

/// A plain request.
pub const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/g"), (":authority", "orders")];
/// A plain request with a body to come.
pub const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/p"), (":authority", "orders")];
/// Both flags of a request in one frame.
pub const WHOLE: u8 = frame::END_STREAM | frame::END_HEADERS;
/// The flag of a request whose body follows.
pub const OPEN: u8 = frame::END_HEADERS;

/// Error codes (RFC 9113 section 7).
pub mod code {
    /// PROTOCOL_ERROR.
    pub const PROTOCOL: u32 = 1;
    /// FLOW_CONTROL_ERROR.
    pub const FLOW: u32 = 3;
    /// STREAM_CLOSED.
    pub const CLOSED: u32 = 5;
    /// FRAME_SIZE_ERROR.
    pub const SIZE: u32 = 6;
    /// COMPRESSION_ERROR.
    pub const COMPRESSION: u32 = 9;
    /// ENHANCE_YOUR_CALM.
    pub const CALM: u32 = 11;
}
