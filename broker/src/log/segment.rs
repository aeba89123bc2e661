//! The head of a segment: whose it is, and where the log ended when it began.

use bytes::{BufMut, BytesMut};

use super::{FORMAT, frame, identity::LogId, position::Position, wire::Cursor};

/// Bytes of the head; records follow.
pub const HEADER_BYTES: u32 = 64;
const MAGIC: &[u8; 8] = b"WEFTSEG\n";
/// Bytes of the head that its checksum covers.
const COVERED_BYTES: usize = 48;

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Of which log.
    pub log: LogId,
    /// By which owner.
    pub fencing: u64,
    /// Its number, as in its name.
    pub segment: u32,
    /// The end of the log before it: what a lower fencing number wrote from there on does not count.
    pub previous_end: Position,
}

/// What stands where a head should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderState {
    /// A head.
    Good(SegmentHeader),
    /// Zeros, or too little: prepared and not begun.
    Unused,
    /// Of a format that this version does not know.
    Newer(u32),
    /// Something else.
    Bad,
}

impl SegmentHeader {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_slice(MAGIC);
        out.put_u32_le(FORMAT);
        out.put_u32_le(self.segment);
        out.put_u64_le(self.fencing);
        out.put_slice(self.log.bytes());
        out.put_u64_le(self.previous_end.raw());
        let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.put_u32_le(crc);
        out.resize(start + HEADER_BYTES as usize, 0);
    }

    /// Reads the first bytes of a segment.
    pub fn decode(bytes: &[u8]) -> HeaderState {
        let Some(head) = bytes.get(..HEADER_BYTES as usize) else { return HeaderState::Unused };
        if head.iter().all(|byte| *byte == 0) {
            return HeaderState::Unused;
        }
        decode(head).unwrap_or(HeaderState::Bad)
    }
}

fn decode(head: &[u8]) -> Option<HeaderState> {
    let mut cursor = Cursor::new(head);
    if cursor.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let (format, segment, fencing) = (cursor.u32()?, cursor.u32()?, cursor.u64()?);
    let (log, previous_end) = (LogId::from_bytes(cursor.id()?), Position::from_raw(cursor.u64()?));
    let covered = head.get(..COVERED_BYTES)?;
    if !frame::holds(crc32c::crc32c(covered), cursor.u32()?) {
        return None;
    }
    if format > FORMAT {
        return Some(HeaderState::Newer(format));
    }
    Some(HeaderState::Good(SegmentHeader { log, fencing, segment, previous_end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_and_one_wrong_bit_is_seen() {
        let header = SegmentHeader {
            log: LogId::from_bytes([7; 16]),
            fencing: 3,
            segment: 9,
            previous_end: Position::new(8, 77),
        };
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out.len(), HEADER_BYTES as usize);
        assert_eq!(SegmentHeader::decode(&out), HeaderState::Good(header));
        for bit in 0..COVERED_BYTES * 8 {
            let mut changed = out.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&changed), HeaderState::Bad);
        }
    }
}
