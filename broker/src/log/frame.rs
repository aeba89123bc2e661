//! How a record stands in a segment: its length, its checksum, its kind and flags. It knows no payload.
//!
//! ```text
//! len u32 | crc32c u32 | kind u8 | flags u8 | payload        len counts from the kind on; 0 = nothing was written here
//! ```
//! The checksum begins with the log's id and the record's own position: bytes that lie where they were not written,
//! or that a publisher made up inside a body, are no record.

use super::{identity::LogId, position::Position, record::KIND_MAX};

/// Bytes before the kind.
pub(crate) const PREFIX_BYTES: usize = 8;
/// Bytes before the payload.
pub(crate) const FRAME_BYTES: usize = 10;
/// The largest record: RabbitMQ's largest message is 512 MiB, properties and targets come on top.
pub const RECORD_BYTES_MAX: usize = (512 << 20) + (16 << 20);
/// This record holds together with the next.
pub(crate) const CHAINED: u8 = 1;

/// Makes the checksums of one log.
#[derive(Debug, Clone, Copy)]
pub struct Checksums {
    base: u32,
}

impl Checksums {
    /// Those of this log.
    pub fn new(log: &LogId) -> Self {
        Self { base: crc32c::crc32c(log.bytes()) }
    }

    /// The checksum of a record at this position before any of its bytes.
    pub(crate) fn seed(self, position: Position) -> u32 {
        crc32c::crc32c_append(self.base, &position.raw().to_le_bytes())
    }
}

/// Whether a checksum holds. A fuzzer could never write one, so it is told that all hold: what reads behind them must
/// take any bytes.
pub(crate) fn holds(computed: u32, written: u32) -> bool {
    computed == written || cfg!(fuzzing)
}

/// What lies at some place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framed<'a> {
    /// Nothing was written here.
    Nothing,
    /// It could be a record, of so many bytes in all: too few are at hand to tell.
    Short(usize),
    /// Not a record.
    Bad,
    /// A record.
    Good(Frame<'a>),
}

/// A record whose checksum holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) chained: bool,
    pub(crate) payload: &'a [u8],
    /// Bytes from its length to its end.
    pub(crate) bytes: usize,
}

/// Looks at the front of `bytes`, which lie at `position`.
pub(crate) fn read(bytes: &[u8], position: Position, sums: Checksums) -> Framed<'_> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return Framed::Short(FRAME_BYTES) };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 {
        return Framed::Nothing;
    }
    if !(2..=RECORD_BYTES_MAX).contains(&len) {
        return Framed::Bad;
    }
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else { return Framed::Short(FRAME_BYTES) };
    let [kind, flags, ..] = *rest else { return Framed::Short(FRAME_BYTES) };
    if !(1..=KIND_MAX).contains(&kind) || flags & !CHAINED != 0 {
        return Framed::Bad;
    }
    let Some(covered) = rest.get(..len) else { return Framed::Short(PREFIX_BYTES + len) };
    if !holds(crc32c::crc32c_append(sums.seed(position), covered), u32::from_le_bytes(*crc)) {
        return Framed::Bad;
    }
    let payload = covered.get(2..).unwrap_or_default();
    Framed::Good(Frame { kind, chained: flags & CHAINED != 0, payload, bytes: PREFIX_BYTES + len })
}
