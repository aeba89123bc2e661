//! What each error of the wire becomes, with RabbitMQ's words. Bytes are shown as Erlang would print them, because
//! RabbitMQ does.

use std::fmt::Write;

use crate::amqp::{
    content::ContentError,
    frame::{FrameError, FrameKind, Snippet},
    method::{DecodeError, connection},
    properties::PropertiesError,
    reply::{Refusal, ReplyCode},
    wire::WireError,
};

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge { kind, size, limit, .. } => {
                frame_error(kind, &Snippet::of(&[]), format_args!("{{frame_too_large,{size},{limit}}}"))
            }
            FrameError::BadEnd { kind, found, snippet, .. } => {
                frame_error(kind, &snippet, format_args!("{{invalid_frame_end_marker,{found}}}"))
            }
            FrameError::Unknown { kind, snippet, .. } => {
                frame_error(kind, &snippet, format_args!("unknown_frame"))
            }
            FrameError::HeartbeatOnChannel { .. } => Self::unexpected_frame(FrameKind::Heartbeat, &[]),
        }
    }
}

impl From<ContentError> for Refusal {
    fn from(error: ContentError) -> Self {
        let code = match error {
            ContentError::NoMethod
            | ContentError::NoHeader
            | ContentError::OtherClass { .. }
            | ContentError::NoBody => ReplyCode::UnexpectedFrame,
            ContentError::TooMuch | ContentError::Absurd { .. } => ReplyCode::FrameError,
            ContentError::TooLarge { .. } => ReplyCode::PreconditionFailed,
        };
        Self::new(code, error)
    }
}

impl From<PropertiesError> for Refusal {
    fn from(error: PropertiesError) -> Self {
        Self::new(ReplyCode::SyntaxError, error)
    }
}

impl Refusal {
    /// 505: a frame of this kind at a time when none may come.
    pub fn unexpected_frame(kind: FrameKind, payload: &[u8]) -> Self {
        let explanation = format!("type {}, {}", kind.octet(), shown(&Snippet::of(payload)));
        Self::new(ReplyCode::UnexpectedFrame, explanation)
    }

    /// 501: a frame whose payload is too short for its kind.
    pub fn unknown_frame(kind: FrameKind, payload: &[u8]) -> Self {
        frame_error(kind.octet(), &Snippet::of(payload), format_args!("unknown_frame"))
    }

    /// What the payload of a method frame becomes that is no method.
    pub fn undecodable(error: DecodeError, payload: &[u8]) -> Self {
        let fields = payload.get(4..).unwrap_or_default();
        match error {
            DecodeError::NoIds => Self::unknown_frame(FrameKind::Method, payload),
            DecodeError::Unknown { class, method } => {
                Self::new(ReplyCode::NotImplemented, format_args!("unknown method {{{class},{method}}}"))
            }
            DecodeError::Trailing { class, method }
            | DecodeError::Field { class, method, source: WireError::Truncated } => {
                Self::new(ReplyCode::FrameError, format_args!("cannot decode {}", numbers(fields)))
                    .by((class, method))
            }
            DecodeError::Field { class, method, source: source @ WireError::Text } => {
                let refusal = Self::new(ReplyCode::FrameError, source);
                // RabbitMQ names the method on channel 0 alone.
                if class == connection::CLASS { refusal.by((class, method)) } else { refusal }
            }
            DecodeError::Field { class, method, source: WireError::Table(source) } => {
                Self::new(ReplyCode::SyntaxError, source).by((class, method))
            }
        }
    }
}

fn frame_error(kind: u8, snippet: &Snippet, what: std::fmt::Arguments<'_>) -> Refusal {
    Refusal::new(ReplyCode::FrameError, format_args!("type {kind}, {}: {what}", shown(snippet)))
}

fn shown(snippet: &Snippet) -> String {
    let which = if snippet.is_whole() { "all" } else { "first 16" };
    format!("{which} octets = {}", printed(snippet.bytes()))
}

/// A binary as Erlang's `~p` prints it: as text where it is printable.
fn printed(bytes: &[u8]) -> String {
    let is_text = |octet: &u8| matches!(octet, 0x20..=0x7E | b'\n' | b'\r' | b'\t');
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(is_text) => {
            format!("<<\"{}\">>", text.escape_debug().to_string().replace("\\'", "'"))
        }
        _ => numbers(bytes),
    }
}

/// A binary as Erlang's `~w` prints it. No longer than a reply text can show.
fn numbers(bytes: &[u8]) -> String {
    let mut text = String::from("<<");
    for (at, octet) in bytes.iter().take(super::TEXT_MAX).enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{}{octet}", if at == 0 { "" } else { "," });
    }
    text.push_str(">>");
    text
}
