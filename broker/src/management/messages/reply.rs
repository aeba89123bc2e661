//! What a visitor was answered: frames in, one message out. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::properties;
use crate::{
    amqp::{
        content::{Assembler, Body},
        frame::{FRAME_MAX_UNLIMITED, FrameKind, scan},
        method::{Basic, Method as Amqp, basic},
        properties::PropertiesView,
    },
    management::answer::Failure,
};

/// One message that was taken.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) tag: u64,
    redelivered: bool,
    exchange: String,
    routing_key: String,
    left: u32,
    properties: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// An answer to `basic.get`.
#[derive(Debug)]
pub(super) enum Reply {
    Empty,
    Message(Box<Got>),
}

/// What `basic.get` was answered; none as long as it is not whole.
pub(super) fn read(replies: &[u8]) -> Result<Option<Reply>, Failure> {
    let broken = |error: String| Failure::Internal(format!("a reply cannot be read: {error}"));
    let mut assembler: Assembler<()> = Assembler::new(u64::MAX);
    let (mut at, mut got) = (0, None);
    while let Some(rest) = replies.get(at..)
        && let Some(frame) = scan(rest, FRAME_MAX_UNLIMITED).map_err(|error| broken(error.to_string()))?
    {
        at += frame.end;
        let payload = frame.payload(rest);
        let whole = match frame.kind {
            FrameKind::Method => {
                match Amqp::decode(payload).map_err(|error| broken(error.to_string()))? {
                    Amqp::Basic(Basic::GetEmpty(_)) => return Ok(Some(Reply::Empty)),
                    Amqp::Basic(Basic::GetOk(ok)) => got = Some(begin(&ok)),
                    _ => continue,
                }
                assembler.begin(()).map_err(|error| broken(error.to_string()))?;
                continue;
            }
            FrameKind::Header => assembler.header(payload),
            FrameKind::Body => assembler.body(payload),
            FrameKind::Heartbeat => continue,
        };
        let Some(content) = whole.map_err(|error| broken(error.to_string()))? else { continue };
        let Some(mut got) = got.take() else { continue };
        got.properties = content.properties.to_vec();
        got.body = match content.body {
            Body::Gathered(bytes) => bytes,
            Body::Frame(bytes) => bytes.to_vec(),
        };
        return Ok(Some(Reply::Message(Box::new(got))));
    }
    Ok(None)
}

fn begin(ok: &basic::GetOk<'_>) -> Got {
    Got {
        tag: ok.delivery_tag,
        redelivered: ok.redelivered,
        exchange: ok.exchange.to_owned(),
        routing_key: ok.routing_key.to_owned(),
        left: ok.message_count,
        properties: Vec::new(),
        body: Vec::new(),
    }
}

impl Got {
    /// As RabbitMQ shows it, cut to so many bytes.
    pub(super) fn show(&self, is_base64: bool, cut: Option<usize>) -> Result<Value, Failure> {
        let view = PropertiesView::parse(&self.properties);
        let view = view.map_err(|error| Failure::Internal(error.to_string()))?;
        let end = cut.unwrap_or(usize::MAX).min(self.body.len());
        let shown = self.body.get(..end).unwrap_or_default();
        let text = std::str::from_utf8(shown).ok().filter(|_| !is_base64);
        let (payload, encoding) = match text {
            Some(text) => (text.to_owned(), "string"),
            None => (STANDARD.encode(shown), "base64"),
        };
        Ok(json!({
            "payload_bytes": self.body.len(),
            "redelivered": self.redelivered,
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "message_count": self.left,
            "properties": properties::show(&view)?,
            "payload": payload,
            "payload_encoding": encoding,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::method::delivery::{ContentMethod, Payload, encode_content};

    #[test]
    fn a_reply_is_read_when_it_is_whole() {
        let mut replies = Vec::new();
        let ok = basic::GetOk {
            delivery_tag: 3,
            redelivered: true,
            exchange: "x",
            routing_key: "k",
            message_count: 4,
        };
        let payload = Payload { properties: &[0, 0], body: b"hello" };
        let method = ContentMethod::GetOk(ok);
        encode_content(1, method, payload, FRAME_MAX_UNLIMITED, &mut replies);
        for end in 0..replies.len() {
            assert!(read(&replies[..end]).unwrap().is_none());
        }
        let Some(Reply::Message(got)) = read(&replies).unwrap() else { panic!("no message") };
        assert_eq!((got.tag, got.left, got.redelivered, &got.body[..]), (3, 4, true, &b"hello"[..]));
        let shown = got.show(false, Some(2)).unwrap();
        assert_eq!((&shown["payload"], &shown["payload_bytes"]), (&json!("he"), &json!(5)));
    }
}
