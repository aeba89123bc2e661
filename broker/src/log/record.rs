//! What the log can say: the records, to bytes and back. Pure; where a record lies and what its checksum is, `frame`
//! knows.
//!
//! Numbers are of variable length where not said otherwise; `docs/log-format.md` has every field.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    position::Position,
    wire::{Cursor, put_bytes, put_varint},
};

mod message;
#[cfg(test)]
mod tests;

pub use message::{Body, Message, MessageFlags, Target};

/// Sequence numbers of one queue, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// The lowest.
    pub first: u64,
    /// The highest; not below `first`.
    pub last: u64,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// A message, stored once for all queues that hold it.
    Message(Message<'a>),
    /// The same message at a new place, for the queues that still hold it; its earlier record is needed no longer.
    Moved(Message<'a>),
    /// These are gone from a queue: acknowledged, dropped, expired, dead-lettered. Ranges rise and do not touch.
    Settle {
        /// Whose.
        queue: u32,
        /// Which.
        ranges: Cow<'a, [SeqRange]>,
    },
    /// Every message up to this one may have been delivered.
    Delivered {
        /// Whose.
        queue: u32,
        /// The highest sequence number of them.
        up_to: u64,
    },
    /// A message came back to its queue.
    Returned {
        /// Whose.
        queue: u32,
        /// Which.
        seq: u64,
        /// How often it has been delivered without success.
        count: u32,
        /// What the queue wants to remember about it.
        note: &'a [u8],
    },
    /// Every message up to this one is gone.
    Purge {
        /// Whose.
        queue: u32,
        /// The highest sequence number of them.
        up_to: u64,
    },
    /// A queue is gone with all that it held. Its number is not given again.
    Forget {
        /// Which.
        queue: u32,
    },
    /// A declaration, opaque to the log: the last one of a key holds, none deletes it.
    Topology {
        /// Names it, as `exchange/orders`.
        key: &'a str,
        /// What it is now.
        value: Option<&'a [u8]>,
    },
    /// The chained records before it are complete: they hold together.
    ChainEnd,
    /// A group of writes begins; everything before `durable` had been synced when it began.
    Mark {
        /// The number of the group, from 1 at each opening.
        group: u64,
        /// The end of what was safe.
        durable: Position,
    },
    /// The log was closed in order.
    Seal,
}

/// Why bytes with a correct checksum are no record: only another program's can be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A kind that this version does not know.
    #[error("record of the unknown kind {0}")]
    UnknownKind(u8),
    /// Fields that end too early, or do not end.
    #[error("malformed record of kind {0}")]
    Malformed(u8),
}

const MESSAGE: u8 = 1;
const MOVED: u8 = 2;
const SETTLE: u8 = 3;
const DELIVERED: u8 = 4;
const RETURNED: u8 = 5;
const PURGE: u8 = 6;
const FORGET: u8 = 7;
const TOPOLOGY: u8 = 8;
const CHAIN_END: u8 = 9;
const MARK: u8 = 10;
const SEAL: u8 = 11;
/// The highest kind of this version.
pub(crate) const KIND_MAX: u8 = SEAL;

impl<'a> Record<'a> {
    /// The number that stands for the kind.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => MESSAGE,
            Self::Moved(_) => MOVED,
            Self::Settle { .. } => SETTLE,
            Self::Delivered { .. } => DELIVERED,
            Self::Returned { .. } => RETURNED,
            Self::Purge { .. } => PURGE,
            Self::Forget { .. } => FORGET,
            Self::Topology { .. } => TOPOLOGY,
            Self::ChainEnd => CHAIN_END,
            Self::Mark { .. } => MARK,
            Self::Seal => SEAL,
        }
    }

    /// Writes the payload, without the body of a message: its pieces follow as they are.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Message(message) | Self::Moved(message) => message.encode(out),
            Self::Settle { queue, ranges } => encode_settle(*queue, ranges, out),
            Self::Delivered { queue, up_to } | Self::Purge { queue, up_to } => {
                put_varint(out, (*queue).into());
                put_varint(out, *up_to);
            }
            Self::Returned { queue, seq, count, note } => {
                put_varint(out, (*queue).into());
                put_varint(out, *seq);
                put_varint(out, (*count).into());
                out.put_slice(note);
            }
            Self::Forget { queue } => put_varint(out, (*queue).into()),
            Self::Topology { key, value } => {
                put_bytes(out, key.as_bytes());
                out.put_u8(value.is_some().into());
                out.put_slice(value.unwrap_or_default());
            }
            Self::Mark { group, durable } => {
                put_varint(out, *group);
                out.put_u64_le(durable.raw());
            }
            Self::ChainEnd | Self::Seal => {}
        }
    }

    /// The body, of a message.
    pub(crate) fn body(&self) -> Option<&Body<'a>> {
        match self {
            Self::Message(message) | Self::Moved(message) => Some(&message.body),
            _ => None,
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If the bytes are not such a record, whole.
    pub fn decode(kind: u8, payload: &'a [u8]) -> Result<Self, RecordError> {
        if !(MESSAGE..=KIND_MAX).contains(&kind) {
            return Err(RecordError::UnknownKind(kind));
        }
        decode(kind, payload).ok_or(RecordError::Malformed(kind))
    }
}

fn decode(kind: u8, payload: &[u8]) -> Option<Record<'_>> {
    let mut cursor = Cursor::new(payload);
    let record = match kind {
        MESSAGE => return Message::decode(cursor).map(Record::Message),
        MOVED => return Message::decode(cursor).map(Record::Moved),
        SETTLE => decode_settle(&mut cursor)?,
        DELIVERED => Record::Delivered { queue: cursor.varint_u32()?, up_to: cursor.varint()? },
        PURGE => Record::Purge { queue: cursor.varint_u32()?, up_to: cursor.varint()? },
        RETURNED => {
            let (queue, seq, count) = (cursor.varint_u32()?, cursor.varint()?, cursor.varint_u32()?);
            return Some(Record::Returned { queue, seq, count, note: cursor.rest() });
        }
        FORGET => Record::Forget { queue: cursor.varint_u32()? },
        TOPOLOGY => {
            let key = cursor.text()?;
            return match cursor.u8()? {
                0 if cursor.is_empty() => Some(Record::Topology { key, value: None }),
                1 => Some(Record::Topology { key, value: Some(cursor.rest()) }),
                _ => None,
            };
        }
        CHAIN_END => Record::ChainEnd,
        MARK => Record::Mark { group: cursor.varint()?, durable: Position::from_raw(cursor.u64()?) },
        SEAL => Record::Seal,
        _ => return None,
    };
    cursor.is_empty().then_some(record)
}

/// Each range as the gap from the end of the one before it, and its length less one.
fn encode_settle(queue: u32, ranges: &[SeqRange], out: &mut BytesMut) {
    put_varint(out, queue.into());
    put_varint(out, ranges.len() as u64);
    let mut end = 0_u64;
    for range in ranges {
        put_varint(out, range.first.wrapping_sub(end));
        put_varint(out, range.last.wrapping_sub(range.first));
        end = range.last;
    }
}

fn decode_settle<'a>(cursor: &mut Cursor<'_>) -> Option<Record<'a>> {
    let queue = cursor.varint_u32()?;
    let count = usize::try_from(cursor.varint()?).ok()?;
    // Two bytes a range at the least: a count that the payload cannot hold reserves nothing.
    let mut ranges = Vec::with_capacity(count.min(cursor.rest().len() / 2));
    let mut end = 0_u64;
    for _ in 0..count {
        let first = end.checked_add(cursor.varint()?)?;
        let last = first.checked_add(cursor.varint()?)?;
        ranges.push(SeqRange { first, last });
        end = last;
    }
    Some(Record::Settle { queue, ranges: Cow::Owned(ranges) })
}

/// Copies a payload apart from the buffer that it was read into, so that a small message does not hold a large buffer.
pub(crate) fn owned(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload)
}
