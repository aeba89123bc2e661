//! Content on its way out: a method with content, its header and its body written at once, for the path on which most
//! bytes go. Properties are passed on as they came.

use crate::amqp::{
    frame::{FRAME_END, FRAME_OVERHEAD, FrameKind, body_wire_len, frame_head, write_body},
    method::{
        basic::{CLASS, Deliver, GetOk, Return},
        define::Fields,
        write_method_frame,
    },
    wire::{SHORT_STRING_MAX, len_u32},
};

/// Octets of a content header before its properties: class, weight, body size.
const HEADER_FIXED: usize = 12;
/// Octets that the frames of a method with content and of its header take at most, properties and body left out.
const HEAD_OCTETS_MAX: usize = 2 * FRAME_OVERHEAD + HEADER_FIXED + 4 * (SHORT_STRING_MAX + 1);

/// What stands before a body: which method, and for what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ContentMethod<'a> {
    /// To a consumer.
    Deliver(Deliver<'a>),
    /// To `basic.get`.
    GetOk(GetOk<'a>),
    /// Back to its publisher.
    Return(Return<'a>),
}

/// A message's properties and body as they are kept: flags and property list, then octets.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Flags and property list, of the content header's end.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// Writes the frames of a delivery: method, header, body split at `frame_max`.
#[inline]
pub fn encode_delivery(
    channel: u16,
    deliver: &Deliver<'_>,
    payload: Payload<'_>,
    frame_max: u32,
    out: &mut Vec<u8>,
) {
    let body = payload.body;
    out.reserve(HEAD_OCTETS_MAX + payload.properties.len() + body_wire_len(body.len(), frame_max));
    write_method_frame(channel, Deliver::IDS, out, |out| deliver.write(out));
    write_header(channel, payload.properties, body.len(), out);
    write_body(channel, body, frame_max, out);
}

/// The same for any of the server's methods with content.
pub fn encode_content(
    channel: u16,
    method: ContentMethod<'_>,
    payload: Payload<'_>,
    frame_max: u32,
    out: &mut Vec<u8>,
) {
    encode_content_head(channel, method, payload.properties, payload.body.len(), out);
    write_body(channel, payload.body, frame_max, out);
}

/// Writes all but the body, for a large one that is sent by reference: its pieces come from
/// [`body_pieces`](crate::amqp::frame::body_pieces).
pub fn encode_content_head(
    channel: u16,
    method: ContentMethod<'_>,
    properties: &[u8],
    body_size: usize,
    out: &mut Vec<u8>,
) {
    match method {
        ContentMethod::Deliver(deliver) => deliver.encode(channel, out),
        ContentMethod::GetOk(get_ok) => get_ok.encode(channel, out),
        ContentMethod::Return(returned) => returned.encode(channel, out),
    }
    write_header(channel, properties, body_size, out);
}

/// Writes a content header's frame.
#[inline]
pub fn write_header(channel: u16, properties: &[u8], body_size: usize, out: &mut Vec<u8>) {
    let size = len_u32(HEADER_FIXED + properties.len());
    let [c0, c1] = CLASS.to_be_bytes();
    let [b0, b1, b2, b3, b4, b5, b6, b7] = u64::try_from(body_size).unwrap_or(u64::MAX).to_be_bytes();
    let fixed: [u8; HEADER_FIXED] = [c0, c1, 0, 0, b0, b1, b2, b3, b4, b5, b6, b7];
    out.extend_from_slice(&frame_head(FrameKind::Header, channel, size));
    out.extend_from_slice(&fixed);
    out.extend_from_slice(properties);
    out.push(FRAME_END);
}
