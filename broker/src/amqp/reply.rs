//! Replies: the codes of AMQP 0-9-1 with RabbitMQ's names and texts, and the value that becomes `connection.close` or
//! `channel.close`. The one place where errors of this room turn into what the peer reads. Knows no state.

use std::fmt::Display;

use crate::amqp::method::{channel, connection};

mod errors;

#[cfg(test)]
mod tests;

/// Octets of a reply text, and where RabbitMQ cuts a longer one to put three dots.
const TEXT_MAX: usize = 255;
const TEXT_CUT: usize = 252;

/// A reply code (AMQP 0-9-1, section 1.1, with the additions of RabbitMQ).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ReplyCode {
    /// 200: all is well.
    Success = 200,
    /// 311: the content is too large to be taken now.
    ContentTooLarge = 311,
    /// 312: no queue for a mandatory message.
    NoRoute = 312,
    /// 313: no consumer for an immediate one.
    NoConsumers = 313,
    /// 320: an operator closes the connection.
    ConnectionForced = 320,
    /// 402: no such virtual host, in the specification; RabbitMQ says 530.
    InvalidPath = 402,
    /// 403: the user may not.
    AccessRefused = 403,
    /// 404: no such exchange or queue.
    NotFound = 404,
    /// 405: another connection's.
    ResourceLocked = 405,
    /// 406: it is there, and otherwise.
    PreconditionFailed = 406,
    /// 501: a broken frame.
    FrameError = 501,
    /// 502: a field that cannot be read.
    SyntaxError = 502,
    /// 503: a method out of order.
    CommandInvalid = 503,
    /// 504: a channel that is not open, or open already.
    ChannelError = 504,
    /// 505: a frame that was not expected.
    UnexpectedFrame = 505,
    /// 506: no resources.
    ResourceError = 506,
    /// 530: not in this way.
    NotAllowed = 530,
    /// 540: nobody knows how.
    NotImplemented = 540,
    /// 541: our fault.
    InternalError = 541,
}

impl ReplyCode {
    /// All of them, by number.
    pub const ALL: [Self; 19] = [
        Self::Success,
        Self::ContentTooLarge,
        Self::NoRoute,
        Self::NoConsumers,
        Self::ConnectionForced,
        Self::InvalidPath,
        Self::AccessRefused,
        Self::NotFound,
        Self::ResourceLocked,
        Self::PreconditionFailed,
        Self::FrameError,
        Self::SyntaxError,
        Self::CommandInvalid,
        Self::ChannelError,
        Self::UnexpectedFrame,
        Self::ResourceError,
        Self::NotAllowed,
        Self::NotImplemented,
        Self::InternalError,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        // The enum's numbers are the protocol's.
        self as u16
    }

    /// That of a number.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The name that begins each text; alone it is the text of a `basic.return`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "REPLY_SUCCESS",
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::NoConsumers => "NO_CONSUMERS",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether it ends the connection, rather than the channel alone.
    pub const fn is_hard(self) -> bool {
        matches!(self.number(), 320 | 402 | 500..)
    }
}

/// Why something is refused, as the peer will read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({text})", code.number())]
pub struct Refusal {
    code: ReplyCode,
    text: String,
    class: u16,
    method: u16,
}

/// What a refusal has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The whole connection: `connection.close` on channel 0.
    Connection,
    /// One channel.
    Channel(u16),
}

impl Refusal {
    /// `CODE_NAME - explanation`, of no method.
    pub fn new(code: ReplyCode, explanation: impl Display) -> Self {
        let mut text = format!("{} - {explanation}", code.name());
        if text.len() > TEXT_MAX {
            text.truncate(text.floor_char_boundary(TEXT_CUT));
            text.push_str("...");
        }
        Self { code, text, class: 0, method: 0 }
    }

    /// Of the method with these ids.
    #[must_use]
    pub fn by(self, (class, method): (u16, u16)) -> Self {
        Self { class, method, ..self }
    }

    /// Of the method with these ids, unless it names one already.
    #[must_use]
    pub fn or_by(self, ids: (u16, u16)) -> Self {
        if self.ids() == (0, 0) { self.by(ids) } else { self }
    }

    /// The code.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The text, within the 255 octets of a short string.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Class id and method id, 0 and 0 for none.
    pub fn ids(&self) -> (u16, u16) {
        (self.class, self.method)
    }

    /// What it ends when `channel` is refused: channel 0 is the connection itself.
    pub fn ends(&self, channel: u16) -> Ended {
        if channel == 0 || self.code.is_hard() { Ended::Connection } else { Ended::Channel(channel) }
    }

    /// The `connection.close` it becomes.
    pub fn connection_close(&self) -> connection::Close<'_> {
        connection::Close {
            reply_code: self.code.number(),
            reply_text: &self.text,
            class_id: self.class,
            method_id: self.method,
        }
    }

    /// The `channel.close` it becomes.
    pub fn channel_close(&self) -> channel::Close<'_> {
        channel::Close {
            reply_code: self.code.number(),
            reply_text: &self.text,
            class_id: self.class,
            method_id: self.method,
        }
    }

    /// Writes the close that it becomes when `channel` is refused, and says which.
    pub fn write(&self, channel: u16, out: &mut Vec<u8>) -> Ended {
        let ended = self.ends(channel);
        match ended {
            Ended::Connection => self.connection_close().encode(0, out),
            Ended::Channel(channel) => self.channel_close().encode(channel, out),
        }
        ended
    }
}
