//! Blocks to a checkpoint. A file is believed only whole: every checksum holds, and the last item counts the others.

use std::io;

use bytes::Bytes;

use super::{
    BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, Checkpoint, END, HEAD, HEAD_BYTES, MAGIC, QUEUE, RETURNED, SEGMENT,
    SLOTS, TIMES, TOPOLOGY, block_seed,
};
use crate::log::{
    FORMAT,
    disk::{Disk, FileName},
    frame::{self, Checksums},
    identity::LogId,
    index::{Aux, Slot},
    position::Position,
    state::{QueueState, Returned, SLOT_TRANSIENT},
    wire::{Cursor, unzigzag},
};

/// Why a checkpoint is not used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Damaged, at about this byte.
    #[error("the checkpoint is damaged at byte {0}")]
    Damaged(u64),
    /// Written by a later version.
    #[error("the checkpoint has format {0}, this version knows {FORMAT}: use a newer weft")]
    Newer(u32),
    /// Not read.
    #[error("the checkpoint cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads one. Messages that do not outlive a restart are left out.
///
/// # Errors
/// If it is damaged, of a later format, of another log, or not to be read.
pub fn load<D: Disk>(disk: &mut D, name: FileName, log: &LogId) -> Result<Checkpoint, CheckpointError> {
    let mut head = [0; HEAD_BYTES];
    let read = disk.read_at(name, 0, &mut head)?;
    let mut cursor = Cursor::new(head.get(..read).unwrap_or_default());
    match (cursor.take(MAGIC.len()), cursor.u32()) {
        (Some(magic), Some(format)) if magic == MAGIC && format > FORMAT => {
            return Err(CheckpointError::Newer(format));
        }
        (Some(magic), Some(_)) if magic == MAGIC => {}
        _ => return Err(CheckpointError::Damaged(0)),
    }
    let mut decoder =
        Decoder { log: *log, checkpoint: Checkpoint::default(), queue: None, items: 0, ended: false };
    let sums = Checksums::new(log);
    let (mut offset, mut number) = (HEAD_BYTES as u64, 0);
    while !decoder.ended {
        let payload = block(disk, name, offset, block_seed(sums, number))?;
        decoder.block(&payload).ok_or(CheckpointError::Damaged(offset))?;
        offset += (BLOCK_HEAD_BYTES + payload.len()) as u64;
        number += 1;
    }
    Ok(decoder.checkpoint)
}

fn block<D: Disk>(disk: &mut D, name: FileName, offset: u64, seed: u32) -> Result<Vec<u8>, CheckpointError> {
    let damaged = || CheckpointError::Damaged(offset);
    let mut head = [0; BLOCK_HEAD_BYTES];
    disk.read_at(name, offset, &mut head)?;
    let mut cursor = Cursor::new(&head);
    let (Some(len), Some(crc)) = (cursor.u32(), cursor.u32()) else { return Err(damaged()) };
    let left = disk.len(name)?.saturating_sub(offset);
    if u64::from(len) > left || len as usize > BLOCK_BYTES_MAX || len == 0 {
        return Err(damaged());
    }
    let mut payload = vec![0; len as usize];
    let read = disk.read_at(name, offset + BLOCK_HEAD_BYTES as u64, &mut payload)?;
    if read < payload.len() || !frame::holds(crc32c::crc32c_append(seed, &payload), crc) {
        return Err(damaged());
    }
    Ok(payload)
}

struct Decoder {
    log: LogId,
    checkpoint: Checkpoint,
    /// The queue that slots and returned messages belong to.
    queue: Option<u32>,
    items: u64,
    ended: bool,
}

impl Decoder {
    fn block(&mut self, payload: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        while !cursor.is_empty() {
            self.item(&mut cursor)?;
            self.items += 1;
        }
        Some(())
    }

    fn item(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        match cursor.u8()? {
            HEAD => self.head(cursor),
            TOPOLOGY => {
                let (key, value) = (cursor.text()?.to_owned(), Bytes::copy_from_slice(cursor.bytes()?));
                self.checkpoint.state.topology.insert(key, value);
                Some(())
            }
            SEGMENT => {
                let (number, bytes, weight) = (cursor.varint_u32()?, cursor.varint()?, cursor.varint()?);
                self.checkpoint.state.segments.restore(number, bytes, weight);
                Some(())
            }
            QUEUE => {
                let number = cursor.varint_u32()?;
                let (next_seq, delivered_up_to) = (cursor.varint()?, cursor.varint()?);
                let queue = QueueState { next_seq, delivered_up_to, ..QueueState::default() };
                self.checkpoint.state.queues.insert(number, queue);
                self.queue = Some(number);
                Some(())
            }
            SLOTS => self.slots(cursor),
            TIMES => self.times(cursor),
            RETURNED => {
                let (seq, count) = (cursor.varint()?, cursor.varint_u32()?);
                let returned = Returned { count, note: Bytes::copy_from_slice(cursor.bytes()?) };
                let queue = self.checkpoint.state.queues.get_mut(&self.queue?)?;
                if queue.index.slot(seq).is_some() {
                    queue.returned.insert(seq, returned);
                }
                Some(())
            }
            END => {
                self.ended = cursor.varint()? == self.items && cursor.is_empty();
                self.ended.then_some(())
            }
            _ => None,
        }
    }

    fn head(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.id()? != *self.log.bytes() {
            return None;
        }
        self.checkpoint.replay_from = Position::from_raw(cursor.u64()?);
        self.checkpoint.state.queue_numbers_used = cursor.varint_u32()?;
        Some(())
    }

    fn times(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let queue = self.checkpoint.state.queues.get_mut(&self.queue?)?;
        let (mut seq, mut at_ms) = (0_u64, 0_u64);
        for _ in 0..cursor.varint()? {
            seq = seq.checked_add(cursor.varint()?)?;
            at_ms = at_ms.wrapping_add(unzigzag(cursor.varint()?).cast_unsigned());
            queue.times.insert(seq, at_ms);
        }
        Some(())
    }

    fn slots(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let state = &mut self.checkpoint.state;
        let queue = state.queues.get_mut(&self.queue?)?;
        let (mut seq, mut position) = (0_u64, 0_u64);
        for _ in 0..cursor.varint()? {
            seq = seq.checked_add(cursor.varint()?)?;
            position = position.wrapping_add(unzigzag(cursor.varint()?).cast_unsigned());
            let slot = Slot {
                position: Position::from_raw(position),
                size: cursor.varint_u32()?,
                aux: Aux(cursor.varint_u32()?),
            };
            if slot.aux.flags() & SLOT_TRANSIENT == 0 {
                queue.index.insert(seq, slot);
                state.segments.restore_ref(slot.position, slot.size);
            }
        }
        Some(())
    }
}
