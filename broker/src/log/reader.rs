//! Messages back from the disk by position: what a queue that does not fit into memory pages in. Neighbours are read
//! together. Runs on a thread of its own with a [`Disk`] of its own.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    disk::{Disk, FileName},
    frame::{self, Checksums, FRAME_BYTES, Frame, Framed},
    position::Position,
    record::{Body, Message, MessageFlags, Record, Target, owned},
    recovery::{
        RecoverError,
        walk::{Step, Walk},
    },
    segment::HEADER_BYTES,
};

#[cfg(test)]
mod tests;

/// Read at once, at most; a larger message is read alone.
pub const READ_BYTES_MAX: u32 = 1 << 20;
/// What a record may have beside its body without a second read.
const HEAD_BYTES: u32 = 1 << 10;
/// A gap of more bytes between two messages is not read along.
const GAP_BYTES_MAX: u32 = 64 << 10;
/// A larger record keeps the buffer that it was read into; a smaller one is copied, and lets it go.
const SHARED_BYTES_MIN: usize = READ_BYTES_MAX as usize / 4;

/// A message to read, as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Comes back with the message.
    pub seq: u64,
    /// Where its record lies.
    pub position: Position,
    /// Bytes of its body.
    pub size: u32,
}

/// A message as it was stored, apart from any log.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// Kept how.
    pub flags: MessageFlags,
    /// In milliseconds since 1970; 0 for never.
    pub expires_at_ms: u64,
    /// In milliseconds since 1970.
    pub published_at_ms: u64,
    /// 0 to 255.
    pub priority: u8,
    /// Published to which exchange.
    pub exchange: Bytes,
    /// With which routing key.
    pub routing_key: Bytes,
    /// As on the wire.
    pub properties: Bytes,
    /// The content.
    pub body: Bytes,
    /// The queues that held it when it was stored.
    pub targets: Vec<Target>,
}

impl StoredMessage {
    /// The message for these queues: to be moved, or stored for another one.
    pub fn to_message<'a>(&'a self, targets: &'a [Target]) -> Message<'a> {
        Message {
            flags: self.flags,
            expires_at_ms: self.expires_at_ms,
            published_at_ms: self.published_at_ms,
            priority: self.priority,
            exchange: &self.exchange,
            routing_key: &self.routing_key,
            properties: &self.properties,
            targets: Cow::Borrowed(targets),
            body: Body::Pieces(std::slice::from_ref(&self.body)),
        }
    }
}

/// Why a message does not come back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not read.
    #[error("reading segment {} failed: {source}", position.segment())]
    Io {
        /// Where.
        position: Position,
        /// From the system.
        source: std::io::Error,
    },
    /// What is there is not the message.
    #[error("the message at {0} is damaged")]
    Damaged(Position),
}

/// Reads messages in the order in which they are wanted; each comes or says why not.
pub fn read_run<D: Disk>(
    disk: &mut D,
    sums: Checksums,
    wanted: &[Wanted],
    mut each: impl FnMut(u64, Result<StoredMessage, ReadError>),
) {
    let mut rest = wanted;
    while !rest.is_empty() {
        let (run, after) = rest.split_at(run_length(rest));
        rest = after;
        let buffer = read_together(disk, run);
        for message in run {
            let read = match &buffer {
                Some((start, bytes)) => message_in(disk, sums, message, bytes, *start),
                None => read_alone(disk, sums, message, message.size.saturating_add(HEAD_BYTES)),
            };
            each(message.seq, read);
        }
    }
}

/// Everything in a segment from an offset on, for as long as `each` wants it: what compaction moves.
///
/// # Errors
/// If the segment cannot be read. Damaged places are passed over: recovery reports them.
pub fn scan_segment<D: Disk>(
    disk: &mut D,
    sums: Checksums,
    segment: u32,
    from: u32,
    mut each: impl FnMut(Position, u32, StoredMessage) -> bool,
) -> Result<(), RecoverError> {
    let name = FileName::Segment(segment);
    let bytes = disk.len(name).map_err(|source| RecoverError::Io { name, source })?;
    let mut walk = Walk::new(disk, segment, bytes, sums);
    let mut offset = from.max(HEADER_BYTES);
    loop {
        let Step::Record(frame) = walk.step(offset)? else {
            match walk.next_record(offset.saturating_add(1))? {
                Some(next) => offset = next,
                None => return Ok(()),
            }
            continue;
        };
        let end = offset.saturating_add(u32::try_from(frame.bytes).unwrap_or(u32::MAX));
        let message = stored(&frame, &owned(frame.payload));
        if message.is_some_and(|message| !each(Position::new(segment, offset), end, message)) {
            return Ok(());
        }
        offset = end;
    }
}

/// How many of the first messages lie close enough to be read at once.
fn run_length(wanted: &[Wanted]) -> usize {
    let Some(first) = wanted.first().map(|wanted| wanted.position) else { return 0 };
    let mut end = first.offset();
    let fits = |wanted: &&Wanted| {
        let (at, size) = (wanted.position, wanted.size.saturating_add(HEAD_BYTES));
        let near = at.segment() == first.segment()
            && at >= first
            && at.offset() <= end.saturating_add(GAP_BYTES_MAX);
        end = end.max(at.offset().saturating_add(size));
        near && end - first.offset() <= READ_BYTES_MAX
    };
    wanted.iter().take_while(fits).count().max(1)
}

/// The bytes of a run, and the offset at which they begin. None if they could not be read: each is then tried alone.
fn read_together<D: Disk>(disk: &mut D, run: &[Wanted]) -> Option<(u32, Bytes)> {
    let (first, last) = (run.first()?.position, run.last()?);
    let end = last.position.offset().saturating_add(last.size).saturating_add(HEAD_BYTES);
    read(disk, first, end.saturating_sub(first.offset())).ok().map(|bytes| (first.offset(), bytes))
}

fn read<D: Disk>(disk: &mut D, at: Position, bytes: u32) -> Result<Bytes, ReadError> {
    let mut buffer = vec![0; bytes as usize];
    let read = disk
        .read_at(FileName::Segment(at.segment()), at.offset().into(), &mut buffer)
        .map_err(|source| ReadError::Io { position: at, source })?;
    buffer.truncate(read);
    Ok(buffer.into())
}

fn message_in<D: Disk>(
    disk: &mut D,
    sums: Checksums,
    wanted: &Wanted,
    buffer: &Bytes,
    start: u32,
) -> Result<StoredMessage, ReadError> {
    let at = wanted.position.offset().saturating_sub(start) as usize;
    let bytes = if at <= buffer.len() { buffer.slice(at..) } else { Bytes::new() };
    match frame::read(&bytes, wanted.position, sums) {
        Framed::Good(frame) => whole(&frame, &bytes).ok_or(ReadError::Damaged(wanted.position)),
        Framed::Short(more) if more > bytes.len() && more <= frame::RECORD_BYTES_MAX => {
            read_alone(disk, sums, wanted, u32::try_from(more).unwrap_or(u32::MAX))
        }
        _ => Err(ReadError::Damaged(wanted.position)),
    }
}

fn read_alone<D: Disk>(
    disk: &mut D,
    sums: Checksums,
    wanted: &Wanted,
    bytes: u32,
) -> Result<StoredMessage, ReadError> {
    let damaged = ReadError::Damaged(wanted.position);
    let mut buffer = read(disk, wanted.position, bytes)?;
    if let Framed::Short(more) = frame::read(&buffer, wanted.position, sums) {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let left = disk.len(FileName::Segment(wanted.position.segment())).unwrap_or(0);
        if more <= bytes || u64::from(more) > left {
            return Err(damaged);
        }
        buffer = read(disk, wanted.position, more)?;
    }
    match frame::read(&buffer, wanted.position, sums) {
        Framed::Good(frame) => whole(&frame, &buffer).ok_or(damaged),
        _ => Err(damaged),
    }
}

/// The message with bytes of its own, or of the buffer if it is most of it.
fn whole(frame: &Frame<'_>, buffer: &Bytes) -> Option<StoredMessage> {
    if frame.payload.len() < SHARED_BYTES_MIN {
        stored(frame, &owned(frame.payload))
    } else {
        stored(frame, &buffer.slice(FRAME_BYTES..frame.bytes))
    }
}

/// `payload` holds the bytes of the frame's payload.
fn stored(frame: &Frame<'_>, payload: &Bytes) -> Option<StoredMessage> {
    let record = Record::decode(frame.kind, payload).ok()?;
    let (Record::Message(message) | Record::Moved(message)) = record else { return None };
    let Message { flags, expires_at_ms, published_at_ms, priority, .. } = message;
    let body = message.body.parts().next().unwrap_or_default();
    Some(StoredMessage {
        flags,
        expires_at_ms,
        published_at_ms,
        priority,
        exchange: payload.slice_ref(message.exchange),
        routing_key: payload.slice_ref(message.routing_key),
        properties: payload.slice_ref(message.properties),
        body: payload.slice_ref(body),
        targets: message.targets.into_owned(),
    })
}
