//! Where a record lies in the log. A number that rises in the order of appending; it knows nothing of files.

use std::fmt;

/// Segment number and offset in one number. It rises in the order of appending; 0 stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// No position: before everything.
    pub const NONE: Self = Self(0);

    /// The byte at this offset of this segment.
    pub fn new(segment: u32, offset: u32) -> Self {
        Self((u64::from(segment) << 32) | u64::from(offset))
    }

    /// The number as it is stored.
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number to store.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Which segment.
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Bytes from the beginning of the segment.
    pub fn offset(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// Whether it names a place at all.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
