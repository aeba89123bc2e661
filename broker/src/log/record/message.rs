//! The record of a message: what is kept of it, and which queues hold it.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::log::wire::{Cursor, put_bytes, put_varint};

/// Properties of a stored message, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageFlags(pub u8);

impl MessageFlags {
    /// Kept over restarts.
    pub const PERSISTENT: Self = Self(1);
    /// On disk only because memory is short: gone after a restart.
    pub const SPILLED_TRANSIENT: Self = Self(2);
    /// Sent on by a dead-letter exchange: its `x-death` is the broker's.
    pub const DIED: Self = Self(4);

    /// These and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of these bits are set.
    pub fn contains(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }
}

/// A queue that holds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which queue.
    pub queue: u32,
    /// The message's number in it.
    pub seq: u64,
    /// What the queue wants to know of it: opaque to the log, kept in the index.
    pub flags: u8,
}

/// A message with all that is stored of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// Kept how.
    pub flags: MessageFlags,
    /// When it expires, in milliseconds since 1970; 0 for never.
    pub expires_at_ms: u64,
    /// When it came, in milliseconds since 1970.
    pub published_at_ms: u64,
    /// As the publisher said, 0 to 255.
    pub priority: u8,
    /// Published to which exchange.
    pub exchange: &'a [u8],
    /// With which routing key.
    pub routing_key: &'a [u8],
    /// Property flags, properties and headers as on the wire.
    pub properties: &'a [u8],
    /// Who holds it.
    pub targets: Cow<'a, [Target]>,
    /// The content.
    pub body: Body<'a>,
}

/// A body: to write in the pieces that it came in, as read in one.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Shared pieces: they go to the disk without being copied if they are large.
    Pieces(&'a [Bytes]),
    /// One slice.
    Slice(&'a [u8]),
}

impl<'a> Body<'a> {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        match self {
            Self::Pieces(pieces) => pieces.iter().map(Bytes::len).sum(),
            Self::Slice(slice) => slice.len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in order.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        let (pieces, slice) = match *self {
            Self::Pieces(pieces) => (pieces, None),
            Self::Slice(slice) => (&[][..], Some(slice)),
        };
        pieces.iter().map(|piece| &**piece).chain(slice)
    }
}

impl PartialEq for Body<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.parts().flatten().eq(other.parts().flatten())
    }
}

impl<'a> Message<'a> {
    /// Everything but the body, which must follow.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.flags.0);
        out.put_u8(self.priority);
        out.put_u64_le(self.expires_at_ms);
        out.put_u64_le(self.published_at_ms);
        put_varint(out, self.targets.len() as u64);
        for target in self.targets.iter() {
            put_varint(out, target.queue.into());
            put_varint(out, target.seq);
            out.put_u8(target.flags);
        }
        put_bytes(out, self.exchange);
        put_bytes(out, self.routing_key);
        put_bytes(out, self.properties);
        put_varint(out, self.body.len() as u64);
    }

    pub(super) fn decode(mut cursor: Cursor<'a>) -> Option<Self> {
        let (flags, priority) = (MessageFlags(cursor.u8()?), cursor.u8()?);
        let (expires_at_ms, published_at_ms) = (cursor.u64()?, cursor.u64()?);
        let targets = Cow::Owned(decode_targets(&mut cursor)?);
        let (exchange, routing_key, properties) = (cursor.bytes()?, cursor.bytes()?, cursor.bytes()?);
        let body = Body::Slice(cursor.bytes()?);
        cursor.is_empty().then_some(Self {
            flags,
            expires_at_ms,
            published_at_ms,
            priority,
            exchange,
            routing_key,
            properties,
            targets,
            body,
        })
    }
}

fn decode_targets(cursor: &mut Cursor<'_>) -> Option<Vec<Target>> {
    let count = usize::try_from(cursor.varint()?).ok()?;
    // Three bytes a target at the least: a count that the payload cannot hold reserves nothing.
    let mut targets = Vec::with_capacity(count.min(cursor.rest().len() / 3));
    for _ in 0..count {
        targets.push(Target { queue: cursor.varint_u32()?, seq: cursor.varint()?, flags: cursor.u8()? });
    }
    Some(targets)
}
