//! Methods: everything that AMQP 0-9-1 and RabbitMQ's extensions can ask and answer, decoded over the payload they
//! stand in and encoded as whole frames. Owns ids, names and the order of fields, one file a class; knows nothing of
//! what a method does.

use thiserror::Error;

use crate::amqp::{
    frame::{FRAME_END, FRAME_HEAD, FrameKind, frame_head},
    method::define::Class,
    wire::{Reader, WireError, patch_len},
};

pub mod access;
pub mod basic;
pub mod channel;
pub mod confirm;
pub mod connection;
mod define;
pub mod delivery;
pub mod exchange;
pub mod queue;
pub mod tx;

#[cfg(test)]
mod tests;

pub use access::Access;
pub use basic::Basic;
pub use channel::Channel;
pub use confirm::Confirm;
pub use connection::Connection;
pub use exchange::Exchange;
pub use queue::Queue;
pub use tx::Tx;

/// One method, its fields borrowed from the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method<'a> {
    /// Class 10.
    Connection(Connection<'a>),
    /// Class 20.
    Channel(Channel<'a>),
    /// Class 30, which RabbitMQ still answers.
    Access(Access<'a>),
    /// Class 40.
    Exchange(Exchange<'a>),
    /// Class 50.
    Queue(Queue<'a>),
    /// Class 60.
    Basic(Basic<'a>),
    /// Class 85, RabbitMQ's.
    Confirm(Confirm),
    /// Class 90.
    Tx(Tx),
}

/// Why a payload is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not even ids.
    #[error("a method of fewer than four octets")]
    NoIds,
    /// 540: ids that nobody defines.
    #[error("no method {method} in class {class}")]
    Unknown {
        /// The class id.
        class: u16,
        /// The method id.
        method: u16,
    },
    /// 501, or 502 for a table: a field that cannot be read.
    #[error("a field of method {method} in class {class}: {source}")]
    Field {
        /// The class id.
        class: u16,
        /// The method id.
        method: u16,
        /// What is wrong.
        source: WireError,
    },
    /// 501: octets after the last field.
    #[error("octets after the last field of method {method} in class {class}")]
    Trailing {
        /// The class id.
        class: u16,
        /// The method id.
        method: u16,
    },
}

impl<'a> Method<'a> {
    /// The method of a payload. Tables are checked whole.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (Ok(class), Ok(method)) = (reader.u16(), reader.u16()) else {
            return Err(DecodeError::NoIds);
        };
        let read = Self::read(class, method, &mut reader)
            .map_err(|source| DecodeError::Field { class, method, source })?
            .ok_or(DecodeError::Unknown { class, method })?;
        if reader.is_empty() { Ok(read) } else { Err(DecodeError::Trailing { class, method }) }
    }

    #[inline]
    fn read(class: u16, id: u16, reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        Ok(match class {
            basic::CLASS => Basic::read(id, reader)?.map(Self::Basic),
            connection::CLASS => Connection::read(id, reader)?.map(Self::Connection),
            channel::CLASS => Channel::read(id, reader)?.map(Self::Channel),
            access::CLASS => Access::read(id, reader)?.map(Self::Access),
            exchange::CLASS => Exchange::read(id, reader)?.map(Self::Exchange),
            queue::CLASS => Queue::read(id, reader)?.map(Self::Queue),
            confirm::CLASS => Confirm::read(id, reader)?.map(Self::Confirm),
            tx::CLASS => Tx::read(id, reader)?.map(Self::Tx),
            _ => None,
        })
    }

    /// Writes the whole frame.
    pub fn encode(&self, channel: u16, out: &mut Vec<u8>) {
        write_method_frame(channel, self.ids(), out, |out| match self {
            Self::Connection(method) => method.write(out),
            Self::Channel(method) => method.write(out),
            Self::Access(method) => method.write(out),
            Self::Exchange(method) => method.write(out),
            Self::Queue(method) => method.write(out),
            Self::Basic(method) => method.write(out),
            Self::Confirm(method) => method.write(out),
            Self::Tx(method) => method.write(out),
        });
    }

    /// Class id and method id.
    pub fn ids(&self) -> (u16, u16) {
        match self {
            Self::Connection(method) => (connection::CLASS, method.id()),
            Self::Channel(method) => (channel::CLASS, method.id()),
            Self::Access(method) => (access::CLASS, method.id()),
            Self::Exchange(method) => (exchange::CLASS, method.id()),
            Self::Queue(method) => (queue::CLASS, method.id()),
            Self::Basic(method) => (basic::CLASS, method.id()),
            Self::Confirm(method) => (confirm::CLASS, method.id()),
            Self::Tx(method) => (tx::CLASS, method.id()),
        }
    }

    /// The name as error texts have it: `basic.publish`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connection(method) => method.name(),
            Self::Channel(method) => method.name(),
            Self::Access(method) => method.name(),
            Self::Exchange(method) => method.name(),
            Self::Queue(method) => method.name(),
            Self::Basic(method) => method.name(),
            Self::Confirm(method) => method.name(),
            Self::Tx(method) => method.name(),
        }
    }

    /// Whether a content header has to follow it.
    #[inline]
    pub fn has_content(&self) -> bool {
        matches!(
            self,
            Self::Basic(Basic::Publish(_) | Basic::Deliver(_) | Basic::GetOk(_) | Basic::Return(_))
        )
    }
}

/// Writes a method's frame around what `fields` writes; nothing is built elsewhere first.
#[inline]
fn write_method_frame(
    channel: u16,
    (class, method): (u16, u16),
    out: &mut Vec<u8>,
    fields: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let [kind, c0, c1, s0, s1, s2, s3] = frame_head(FrameKind::Method, channel, 0);
    let ([i0, i1], [i2, i3]) = (class.to_be_bytes(), method.to_be_bytes());
    out.extend_from_slice(&[kind, c0, c1, s0, s1, s2, s3, i0, i1, i2, i3]);
    fields(out);
    let size = out.len() - start - FRAME_HEAD;
    patch_len(out, start + 3, size);
    out.push(FRAME_END);
}
