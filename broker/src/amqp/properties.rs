//! The properties of a message (AMQP 0-9-1, class basic): a view of the fourteen over the bytes they came in, and the few
//! that publishing asks for. The bytes are passed on as they came; who changes a property goes through
//! [`rewrite`](owned::rewrite). Knows nothing of what a property means.
//!
//! ```text
//!  short   each property whose flag is set, in the order of the flags from the highest bit
//! ┌───────┬──────────────────────────────────────────┐
//! │ flags │ property list                            │
//! └───────┴──────────────────────────────────────────┘
//! ```

use std::ops::Range;

use thiserror::Error;

use crate::amqp::{
    table::{RawTable, TableError},
    wire::{Reader, WireError},
};

pub mod owned;

#[cfg(test)]
mod tests;

pub use owned::{Properties, rewrite};

/// Flags of the properties. The two lowest bits are no property: one is free, one says that more flags follow.
pub(crate) mod flag {
    pub(crate) const CONTENT_TYPE: u16 = 1 << 15;
    pub(crate) const CONTENT_ENCODING: u16 = 1 << 14;
    pub(crate) const HEADERS: u16 = 1 << 13;
    pub(crate) const DELIVERY_MODE: u16 = 1 << 12;
    pub(crate) const PRIORITY: u16 = 1 << 11;
    pub(crate) const CORRELATION_ID: u16 = 1 << 10;
    pub(crate) const REPLY_TO: u16 = 1 << 9;
    pub(crate) const EXPIRATION: u16 = 1 << 8;
    pub(crate) const MESSAGE_ID: u16 = 1 << 7;
    pub(crate) const TIMESTAMP: u16 = 1 << 6;
    pub(crate) const KIND: u16 = 1 << 5;
    pub(crate) const USER_ID: u16 = 1 << 4;
    pub(crate) const APP_ID: u16 = 1 << 3;
    pub(crate) const CLUSTER_ID: u16 = 1 << 2;
    pub(super) const MORE: u16 = 1;
}

/// Octets of the flags.
const FLAGS_LEN: usize = 2;

/// `delivery_mode` of a message that is to outlive the broker.
pub const PERSISTENT: u8 = 2;

/// Why bytes are no properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PropertiesError {
    /// The bytes end inside a property.
    #[error("properties that end inside a field")]
    Truncated,
    /// The headers cannot be read.
    #[error("headers: {0}")]
    Headers(#[from] TableError),
    /// A flag beyond the fourteen.
    #[error("a property that nobody defines")]
    Unknown,
    /// Octets after the last property.
    #[error("octets after the last property")]
    Trailing,
}

impl From<WireError> for PropertiesError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Table(error) => Self::Headers(error),
            WireError::Truncated | WireError::Text => Self::Truncated,
        }
    }
}

/// The properties where they stand. Short strings are bytes: RabbitMQ does not ask that they be UTF-8, so neither may
/// whoever passes them on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PropertiesView<'a> {
    /// A MIME type.
    pub content_type: Option<&'a [u8]>,
    /// A MIME encoding.
    pub content_encoding: Option<&'a [u8]>,
    /// The headers, checked whole.
    pub headers: Option<RawTable<'a>>,
    /// 2 is persistent, everything else is not.
    pub delivery_mode: Option<u8>,
    /// For priority queues.
    pub priority: Option<u8>,
    /// Of the application's making.
    pub correlation_id: Option<&'a [u8]>,
    /// The queue for the answer.
    pub reply_to: Option<&'a [u8]>,
    /// Milliseconds to live, as digits.
    pub expiration: Option<&'a [u8]>,
    /// Of the application's making.
    pub message_id: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// `type`: the application's name for the message's kind.
    pub kind: Option<&'a [u8]>,
    /// The user who published, checked by the server.
    pub user_id: Option<&'a [u8]>,
    /// The application that published.
    pub app_id: Option<&'a [u8]>,
    /// Reserved; passed on.
    pub cluster_id: Option<&'a [u8]>,
}

impl<'a> PropertiesView<'a> {
    /// The properties of a content header's end.
    pub fn parse(raw: &'a [u8]) -> Result<Self, PropertiesError> {
        let mut reader = Reader::new(raw);
        let flags = read_flags(&mut reader)?;
        let mut list = List { flags, reader };
        let view = Self {
            content_type: list.short(flag::CONTENT_TYPE)?,
            content_encoding: list.short(flag::CONTENT_ENCODING)?,
            headers: list.table(flag::HEADERS)?,
            delivery_mode: list.octet(flag::DELIVERY_MODE)?,
            priority: list.octet(flag::PRIORITY)?,
            correlation_id: list.short(flag::CORRELATION_ID)?,
            reply_to: list.short(flag::REPLY_TO)?,
            expiration: list.short(flag::EXPIRATION)?,
            message_id: list.short(flag::MESSAGE_ID)?,
            timestamp: list.long_long(flag::TIMESTAMP)?,
            kind: list.short(flag::KIND)?,
            user_id: list.short(flag::USER_ID)?,
            app_id: list.short(flag::APP_ID)?,
            cluster_id: list.short(flag::CLUSTER_ID)?,
        };
        if list.reader.is_empty() { Ok(view) } else { Err(PropertiesError::Trailing) }
    }
}

/// What publishing asks of a message. What this accepts, [`PropertiesView::parse`] accepts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary<'a> {
    /// Whether the message is to outlive the broker.
    pub persistent: bool,
    /// For priority queues.
    pub priority: Option<u8>,
    /// Milliseconds to live, as digits.
    pub expiration: Option<&'a [u8]>,
    /// Where the headers stand in the raw properties, their length left out.
    pub headers_at: Option<Range<usize>>,
    /// The headers, checked whole.
    pub headers: Option<RawTable<'a>>,
    /// The user who published, to be checked.
    pub user_id: Option<&'a [u8]>,
    /// The queue for the answer.
    pub reply_to: Option<&'a [u8]>,
}

impl<'a> Summary<'a> {
    /// Of a content header's end, in one pass.
    #[inline]
    pub fn of(raw: &'a [u8]) -> Result<Self, PropertiesError> {
        match *raw {
            [0, 0] => Ok(Self::default()),
            // Only a delivery mode: what most publishers send.
            [0x10, 0, mode] => Ok(Self { persistent: mode == PERSISTENT, ..Self::default() }),
            _ => Self::of_view(raw),
        }
    }

    fn of_view(raw: &'a [u8]) -> Result<Self, PropertiesError> {
        let view = PropertiesView::parse(raw)?;
        Ok(Self {
            persistent: view.delivery_mode == Some(PERSISTENT),
            priority: view.priority,
            expiration: view.expiration,
            headers_at: view.headers.map(|headers| {
                let before = view.content_type.map_or(0, |text| text.len() + 1)
                    + view.content_encoding.map_or(0, |text| text.len() + 1);
                let start = FLAGS_LEN + before + 4;
                start..start + headers.bytes().len()
            }),
            headers: view.headers,
            user_id: view.user_id,
            reply_to: view.reply_to,
        })
    }
}

/// A content header: what stands before the body frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// 60.
    pub class: u16,
    /// 0.
    pub weight: u16,
    /// Octets of the body, over all its frames.
    pub body_size: u64,
    /// Flags and property list.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Of a header frame's payload; `None` where it is too short for one.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let (class, weight, body_size) = (reader.u16().ok()?, reader.u16().ok()?, reader.u64().ok()?);
        Some(Self { class, weight, body_size, properties: reader.rest() })
    }
}

/// The fourteen flags. More words of flags could follow, for properties that nobody defines and no client reads.
fn read_flags(reader: &mut Reader<'_>) -> Result<u16, PropertiesError> {
    match reader.u16()? {
        flags if flags & flag::MORE == 0 => Ok(flags),
        _ => Err(PropertiesError::Unknown),
    }
}

/// A property list: each is read where its flag is set.
struct List<'a> {
    flags: u16,
    reader: Reader<'a>,
}

impl<'a> List<'a> {
    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn short(&mut self, flag: u16) -> Result<Option<&'a [u8]>, WireError> {
        if self.has(flag) { self.reader.short_bytes().map(Some) } else { Ok(None) }
    }

    fn octet(&mut self, flag: u16) -> Result<Option<u8>, WireError> {
        if self.has(flag) { self.reader.u8().map(Some) } else { Ok(None) }
    }

    fn long_long(&mut self, flag: u16) -> Result<Option<u64>, WireError> {
        if self.has(flag) { self.reader.u64().map(Some) } else { Ok(None) }
    }

    fn table(&mut self, flag: u16) -> Result<Option<RawTable<'a>>, WireError> {
        if !self.has(flag) {
            return Ok(None);
        }
        let table = RawTable::new(self.reader.long_bytes()?);
        table.validate()?;
        Ok(Some(table))
    }
}
