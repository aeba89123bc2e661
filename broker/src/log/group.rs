//! What is written at once and covered by one sync: plain values between the appender, which makes them, and the
//! writer, which carries them out.

use bytes::Bytes;

use super::position::Position;

/// One group of writes. Doing it twice does no harm: the same bytes go to the same places.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Rises by one, from 1 at each opening.
    pub number: u64,
    /// The end of the log once it is written.
    pub end: Position,
    /// In the order of the log.
    pub writes: Vec<Write>,
    /// Whether it must be safe before it is complete; a sync covers all groups before it, too.
    pub sync: bool,
    /// Whether nobody is expected to read it back soon.
    pub past_cache: bool,
}

impl Group {
    /// Bytes to write.
    pub fn bytes(&self) -> u64 {
        self.writes.iter().map(Write::bytes).sum()
    }
}

/// Bytes for one place.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// Into which segment.
    pub segment: u32,
    /// From which byte on.
    pub offset: u32,
    /// Without gaps.
    pub pieces: Vec<Bytes>,
    /// The segment begins here, and has this size. All before it must be safe first.
    pub begins: Option<u32>,
}

impl Write {
    /// Bytes to write.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }
}

/// A group is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// Which.
    pub number: u64,
    /// All before this position is safe.
    pub durable: Position,
}
