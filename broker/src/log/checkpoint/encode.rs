//! A checkpoint to blocks, one at a time: never more than a block is in memory twice.

use std::collections::{BTreeMap, btree_map};

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    BLOCK_BYTES, BLOCK_HEAD_BYTES, Checkpoint, END, HEAD, MAGIC, QUEUE, RETURNED, SEGMENT, SLOTS, TIMES,
    TOPOLOGY, block_seed,
};
use crate::log::{
    FORMAT,
    frame::Checksums,
    identity::LogId,
    index::Slot,
    segments::SegmentUse,
    state::{QueueState, Returned},
    wire::{put_bytes, put_varint, zigzag},
};

/// Slots of one item.
const ITEM_SLOTS_MAX: usize = 256;

/// Where the encoder stands; each part is consumed as it is written.
#[derive(Debug)]
pub(super) struct Encoder {
    log: LogId,
    sums: Checksums,
    head: Option<(u64, u32)>,
    topology: btree_map::IntoIter<String, Bytes>,
    segments: std::vec::IntoIter<(u32, SegmentUse)>,
    queues: btree_map::IntoIter<u32, QueueState>,
    /// The queue under way, and from which number on its slots are to be written.
    queue: Option<(QueueState, u64)>,
    returned: btree_map::IntoIter<u64, Returned>,
    times: btree_map::IntoIter<u64, u64>,
    ended: bool,
    items: u64,
    blocks: u64,
    slots: Vec<(u64, Slot)>,
}

impl Encoder {
    pub(super) fn new(log: LogId, checkpoint: Checkpoint) -> Self {
        let state = checkpoint.state;
        Self {
            log,
            sums: Checksums::new(&log),
            head: Some((checkpoint.replay_from.raw(), state.queue_numbers_used)),
            topology: state.topology.into_iter(),
            segments: state.segments.iter().collect::<Vec<_>>().into_iter(),
            queues: state.queues.into_iter(),
            queue: None,
            returned: BTreeMap::new().into_iter(),
            times: BTreeMap::new().into_iter(),
            ended: false,
            items: 0,
            blocks: 0,
            slots: Vec::with_capacity(ITEM_SLOTS_MAX),
        }
    }

    /// Writes the next block; whether more follow.
    pub(super) fn block(&mut self, out: &mut BytesMut) -> bool {
        if self.blocks == 0 {
            out.put_slice(MAGIC);
            out.put_u32_le(FORMAT);
        }
        let start = out.len();
        out.put_bytes(0, BLOCK_HEAD_BYTES);
        while !self.ended && out.len() - start < BLOCK_BYTES {
            self.item(out);
            self.items += 1;
        }
        let payload = out.get(start + BLOCK_HEAD_BYTES..).unwrap_or_default();
        let crc = crc32c::crc32c_append(block_seed(self.sums, self.blocks), payload);
        let head = (payload.len() as u64 & 0xffff_ffff) | (u64::from(crc) << 32);
        if let Some(place) = out.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<BLOCK_HEAD_BYTES>())
        {
            *place = head.to_le_bytes();
        }
        self.blocks += 1;
        !self.ended
    }

    fn item(&mut self, out: &mut BytesMut) {
        if let Some((replay_from, numbers)) = self.head.take() {
            out.put_u8(HEAD);
            out.put_slice(self.log.bytes());
            out.put_u64_le(replay_from);
            put_varint(out, numbers.into());
        } else if let Some((key, value)) = self.topology.next() {
            out.put_u8(TOPOLOGY);
            put_bytes(out, key.as_bytes());
            put_bytes(out, &value);
        } else if let Some((number, held)) = self.segments.next() {
            out.put_u8(SEGMENT);
            put_varint(out, number.into());
            put_varint(out, held.bytes);
            put_varint(out, held.total_weight);
        } else if self.gather_slots() {
            self.slots(out);
        } else if let Some((seq, returned)) = self.returned.next() {
            out.put_u8(RETURNED);
            put_varint(out, seq);
            put_varint(out, returned.count.into());
            put_bytes(out, &returned.note);
        } else if self.times.len() > 0 {
            self.times(out);
        } else if let Some((number, queue)) = self.queues.next() {
            self.queue(number, queue, out);
        } else {
            out.put_u8(END);
            put_varint(out, self.items);
            self.ended = true;
        }
    }

    fn queue(&mut self, number: u32, mut queue: QueueState, out: &mut BytesMut) {
        out.put_u8(QUEUE);
        put_varint(out, number.into());
        put_varint(out, queue.next_seq);
        put_varint(out, queue.delivered_up_to);
        self.returned = std::mem::take(&mut queue.returned).into_iter();
        self.times = std::mem::take(&mut queue.times).into_iter();
        self.queue = Some((queue, 0));
    }

    /// Numbers and times as differences from the pair before.
    fn times(&mut self, out: &mut BytesMut) {
        let count = self.times.len().min(ITEM_SLOTS_MAX);
        out.put_u8(TIMES);
        put_varint(out, count as u64);
        let (mut seq, mut at_ms) = (0, 0);
        for (next, time) in self.times.by_ref().take(count) {
            put_varint(out, next - seq);
            put_varint(out, zigzag(time.wrapping_sub(at_ms).cast_signed()));
            (seq, at_ms) = (next, time);
        }
    }

    /// Takes the next slots of the queue under way; false once there are none.
    fn gather_slots(&mut self) -> bool {
        self.slots.clear();
        let Some((queue, from)) = &mut self.queue else { return false };
        while self.slots.len() < ITEM_SLOTS_MAX {
            let Some((seq, slot)) = queue.index.next_live(*from) else { break };
            self.slots.push((seq, slot));
            *from = seq + 1;
        }
        if self.slots.is_empty() {
            self.queue = None;
        }
        !self.slots.is_empty()
    }

    /// Numbers and positions as differences from the slot before: mostly a byte or three.
    fn slots(&self, out: &mut BytesMut) {
        out.put_u8(SLOTS);
        put_varint(out, self.slots.len() as u64);
        let (mut seq, mut position) = (0, 0);
        for (next, slot) in &self.slots {
            let raw = slot.position.raw();
            put_varint(out, next - seq);
            put_varint(out, zigzag(raw.wrapping_sub(position).cast_signed()));
            put_varint(out, slot.size.into());
            put_varint(out, slot.aux.0.into());
            (seq, position) = (*next, raw);
        }
    }
}
