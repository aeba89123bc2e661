//! Bytes on their way to a client: small things copied one behind the other, large bodies by reference. No socket.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;

/// A client that has so much waiting gets no further deliveries until it has read some.
pub(super) const DELIVERIES_PAUSE_BYTES: usize = 512 * 1024;
/// A client that has so much waiting is not listened to: answers, too, are bounded. Two of the largest messages, so that
/// one delivery never keeps a client from acknowledging.
const REPLIES_PAUSE_BYTES: usize = 32 * 1024 * 1024;
/// When it gets deliveries again.
pub(super) const DELIVERIES_RESUME_BYTES: usize = 128 * 1024;
/// A buffer that grew beyond this is not kept for later.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// A piece that is to be written.
#[derive(Debug)]
enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The bytes, in their order.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of all pieces, without those of the first that are written.
    sealed: usize,
    /// Written bytes of the first piece.
    written: usize,
    /// What grows.
    tail: Vec<u8>,
    /// An empty buffer with room, for later.
    spare: Vec<u8>,
}

impl Outbox {
    /// Where encoders append.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends bytes by reference.
    pub fn push_shared(&mut self, bytes: Bytes) {
        self.seal();
        self.sealed += bytes.len();
        self.pieces.push_back(Piece::Shared(bytes));
    }

    /// Whether so much waits that the client is not listened to.
    pub fn is_flooded(&self) -> bool {
        self.len() > REPLIES_PAUSE_BYTES
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.sealed + self.tail.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first pieces, for one vectored write; how many slices were filled.
    pub fn slices<'a>(&'a mut self, into: &mut [IoSlice<'a>]) -> usize {
        self.seal();
        let mut filled = 0;
        for (slot, piece) in into.iter_mut().zip(&self.pieces) {
            let skip = if filled == 0 { self.written } else { 0 };
            *slot = IoSlice::new(piece.bytes().get(skip..).unwrap_or_default());
            filled += 1;
        }
        filled
    }

    /// So many bytes were written.
    pub fn advance(&mut self, mut count: usize) {
        self.sealed -= count.min(self.sealed);
        while let Some(first) = self.pieces.front() {
            let left = first.bytes().len() - self.written;
            if count < left {
                self.written += count;
                return;
            }
            count -= left;
            self.written = 0;
            if let Some(Piece::Copied(mut buffer)) = self.pieces.pop_front()
                && buffer.capacity() <= KEPT_BYTES_MAX
                && buffer.capacity() > self.spare.capacity()
            {
                buffer.clear();
                self.spare = buffer;
            }
        }
    }

    /// Gives the memory of an idle client back.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let full = std::mem::replace(&mut self.tail, std::mem::take(&mut self.spare));
            self.sealed += full.len();
            self.pieces.push_back(Piece::Copied(full));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_however_it_is_written() {
        for step in 1..12 {
            let mut outbox = Outbox::default();
            outbox.buffer().extend_from_slice(b"one ");
            outbox.push_shared(Bytes::from_static(b"two "));
            outbox.buffer().extend_from_slice(b"three ");
            outbox.buffer().extend_from_slice(b"four");
            assert_eq!(outbox.len(), 18);
            let mut written = Vec::new();
            while !outbox.is_empty() {
                let mut slices = [IoSlice::new(&[]); 2];
                let filled = outbox.slices(&mut slices);
                let all: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                let count = step.min(all.len());
                written.extend_from_slice(&all[..count]);
                outbox.advance(count);
            }
            assert_eq!(written, b"one two three four");
        }
    }
}
