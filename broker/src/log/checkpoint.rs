//! The checkpoint: the state at some position of the log, so that recovery replays only what came after. Written a
//! little at a time beside the groups; replaced as a whole. The one before it stays, in case this one is damaged.

use std::io;

use bytes::{Bytes, BytesMut};

use super::{
    disk::{Disk, FileName},
    frame::Checksums,
    identity::LogId,
    position::Position,
    state::State,
};

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{CheckpointError, load};
use encode::Encoder;

const MAGIC: &[u8; 8] = b"WEFTCKP\n";
/// A block is closed once it is this long.
const BLOCK_BYTES: usize = 64 << 10;
/// A longer block is not believed: a declaration may be long, a block holds one at least.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Written and synced at once, between two groups.
const STEP_BYTES: usize = 1 << 20;

/// Magic and format, before the first block.
const HEAD_BYTES: usize = 12;
/// Length and checksum, before each block.
const BLOCK_HEAD_BYTES: usize = 8;

const HEAD: u8 = 1;
const TOPOLOGY: u8 = 2;
const SEGMENT: u8 = 3;
const QUEUE: u8 = 4;
const SLOTS: u8 = 5;
const RETURNED: u8 = 6;
const END: u8 = 7;
const TIMES: u8 = 8;

/// The state at a position.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// What all records before `replay_from` amount to.
    pub state: State,
    /// From here on the log is to be replayed.
    pub replay_from: Position,
}

/// The seed of a block's checksum: its number stands where a record has its position.
fn block_seed(sums: Checksums, number: u64) -> u32 {
    sums.seed(Position::from_raw(number))
}

/// Writes one checkpoint in steps.
#[derive(Debug)]
pub struct CheckpointWriter {
    encoder: Encoder,
    replay_from: Position,
    offset: u64,
    buffer: BytesMut,
}

impl CheckpointWriter {
    /// Begins.
    pub fn new(log: LogId, checkpoint: Checkpoint) -> Self {
        let replay_from = checkpoint.replay_from;
        Self { encoder: Encoder::new(log, checkpoint), replay_from, offset: 0, buffer: BytesMut::new() }
    }

    /// Where replay begins after it.
    pub fn replay_from(&self) -> Position {
        self.replay_from
    }

    /// Writes a little more; true once all of it is written, and [`Self::finish`] is to follow.
    ///
    /// # Errors
    /// From the disk: the checkpoint is given up, the earlier ones hold.
    pub fn step<D: Disk>(&mut self, disk: &mut D) -> io::Result<bool> {
        if self.offset == 0 {
            disk.remove(FileName::CheckpointNew)?;
            disk.create(FileName::CheckpointNew, 0)?;
        }
        let mut more = true;
        while more && self.buffer.len() < STEP_BYTES {
            more = self.encoder.block(&mut self.buffer);
        }
        let piece: Bytes = self.buffer.split().freeze();
        let bytes = piece.len() as u64;
        disk.write_at(FileName::CheckpointNew, self.offset, &[piece])?;
        disk.sync_data(FileName::CheckpointNew)?;
        self.offset += bytes;
        Ok(!more)
    }

    /// Puts it in its place; the last becomes the one before it, and at no moment is there none. Everything before
    /// [`Self::replay_from`] must be safe.
    ///
    /// # Errors
    /// As for [`Self::step`].
    pub fn finish<D: Disk>(self, disk: &mut D) -> io::Result<()> {
        if disk.list()?.contains(&FileName::Checkpoint) {
            disk.rename(FileName::Checkpoint, FileName::CheckpointOld)?;
        }
        disk.rename(FileName::CheckpointNew, FileName::Checkpoint)?;
        disk.sync_dir()
    }
}
