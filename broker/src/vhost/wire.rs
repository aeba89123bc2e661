//! What goes to clients: methods, deliveries, returns; written into a connection's outbox.

use std::borrow::Cow;

use super::session::Session;
use crate::{
    amqp::{
        frame::{FRAME_END, FrameKind, body_pieces, frame_head},
        method::{
            basic::{Deliver, GetOk, Return},
            delivery::{ContentMethod, Payload, encode_content, encode_content_head, encode_delivery},
        },
        properties,
        value::FieldValue,
    },
    message::Message,
    policy::{kind::QueueKind, queue_settings::QueueSettings},
    queue::Entry,
};

/// A header that the broker adds to what it delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtraHeader {
    /// `x-delivery-count`: how often it came back to a quorum queue.
    DeliveryCount(u32),
    /// `x-stream-offset`.
    StreamOffset(u64),
}

/// How a message is handed to a consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handover {
    pub(super) channel: u16,
    pub(super) delivery_tag: u64,
    pub(super) redelivered: bool,
    pub(super) extra: Option<ExtraHeader>,
}

/// The header that a queue's kind adds to this entry.
pub(super) fn extra_header(settings: &QueueSettings, entry: &Entry) -> Option<ExtraHeader> {
    match settings.kind {
        QueueKind::Stream => Some(ExtraHeader::StreamOffset(entry.seq)),
        QueueKind::Quorum if entry.delivery_count > 0 => {
            Some(ExtraHeader::DeliveryCount(entry.delivery_count))
        }
        QueueKind::Quorum | QueueKind::Classic => None,
    }
}

/// `basic.deliver`.
pub(super) fn delivery(session: &mut Session, consumer_tag: &str, handover: Handover, message: &Message) {
    let deliver = Deliver {
        consumer_tag,
        delivery_tag: handover.delivery_tag,
        redelivered: handover.redelivered,
        exchange: message.exchange(),
        routing_key: message.routing_key(),
    };
    let properties = with_extra(message.properties(), handover.extra);
    if message.shared_body().is_some() {
        return content(session, handover.channel, ContentMethod::Deliver(deliver), &properties, message);
    }
    let payload = Payload { properties: &properties, body: message.body() };
    let frame_max = session.info.frame_max;
    encode_delivery(handover.channel, &deliver, payload, frame_max, session.outbox.buffer());
}

/// `basic.get-ok`.
pub(super) fn got(session: &mut Session, handover: Handover, message_count: u32, message: &Message) {
    let got = GetOk {
        delivery_tag: handover.delivery_tag,
        redelivered: handover.redelivered,
        exchange: message.exchange(),
        routing_key: message.routing_key(),
        message_count,
    };
    let properties = with_extra(message.properties(), handover.extra);
    content(session, handover.channel, ContentMethod::GetOk(got), &properties, message);
}

/// `basic.return`.
pub(super) fn returned(session: &mut Session, channel: u16, (code, text): (u16, &str), message: &Message) {
    let returned = Return {
        reply_code: code,
        reply_text: text,
        exchange: message.exchange(),
        routing_key: message.routing_key(),
    };
    content(session, channel, ContentMethod::Return(returned), message.properties(), message);
}

/// A method with content; a large body goes by reference.
fn content(
    session: &mut Session,
    channel: u16,
    method: ContentMethod<'_>,
    properties: &[u8],
    message: &Message,
) {
    let frame_max = session.info.frame_max;
    let Some(body) = message.shared_body() else {
        let payload = Payload { properties, body: message.body() };
        return encode_content(channel, method, payload, frame_max, session.outbox.buffer());
    };
    encode_content_head(channel, method, properties, body.len(), session.outbox.buffer());
    for piece in body_pieces(body, frame_max) {
        let head = frame_head(FrameKind::Body, channel, u32::try_from(piece.len()).unwrap_or(u32::MAX));
        session.outbox.buffer().extend_from_slice(&head);
        session.outbox.push_shared(body.slice_ref(piece));
        session.outbox.buffer().push(FRAME_END);
    }
}

/// Properties with the broker's header among the message's own.
fn with_extra(raw: &[u8], extra: Option<ExtraHeader>) -> Cow<'_, [u8]> {
    let Some(extra) = extra else { return Cow::Borrowed(raw) };
    let (name, value) = match extra {
        ExtraHeader::DeliveryCount(count) => ("x-delivery-count", i64::from(count)),
        ExtraHeader::StreamOffset(offset) => ("x-stream-offset", i64::try_from(offset).unwrap_or(i64::MAX)),
    };
    let rewritten = properties::rewrite(raw, |properties| {
        properties.headers.get_or_insert_default().set(name, FieldValue::I64(value));
    });
    rewritten.map_or(Cow::Borrowed(raw), Cow::Owned)
}
