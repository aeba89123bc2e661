//! Where the messages of one queue lie: dense by sequence number, 16 bytes each. Pure.
//!
//! Chunks of 256 slots, each behind an `Arc`: a checkpoint clones the index without its slots, and only chunks that
//! change while it is written are copied. A chunk whose messages are all gone is freed, in the middle as well.

use std::{collections::VecDeque, sync::Arc};

use super::position::Position;

#[cfg(test)]
mod tests;

/// Slots of a chunk: 4 KiB.
const CHUNK_SLOTS: u64 = 256;
/// An empty chunk with room for more slots than this gives it back.
const KEPT_SLOTS_MAX: usize = 32;

/// What is known of a message without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// Where its record lies; none = the message is gone.
    pub position: Position,
    /// Bytes of the body.
    pub size: u32,
    /// Flags, priority, delivery count.
    pub aux: Aux,
}

/// Three small numbers in one: the queue's flags, the priority, how often the message was delivered without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aux(pub u32);

impl Aux {
    /// Put together.
    pub fn new(flags: u8, priority: u8, deliveries: u16) -> Self {
        Self(u32::from(flags) | (u32::from(priority) << 8) | (u32::from(deliveries) << 16))
    }

    /// The queue's flags.
    pub fn flags(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// The priority.
    pub fn priority(self) -> u8 {
        ((self.0 >> 8) & 0xff) as u8
    }

    /// Deliveries without success; more than 65,535 stay there.
    pub fn deliveries(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// The index of a queue.
#[derive(Debug, Clone, Default)]
pub struct QueueIndex {
    /// The number of the first chunk.
    base: u64,
    chunks: VecDeque<Option<Arc<Chunk>>>,
    live: u64,
    live_bytes: u64,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    /// The place in the chunk of the first slot.
    first: usize,
    live: usize,
    slots: Vec<Slot>,
}

impl QueueIndex {
    /// Messages that are there.
    pub fn len(&self) -> u64 {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of their bodies.
    pub fn bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Adds a message, or changes where it lies; the slot it had is returned.
    pub fn insert(&mut self, seq: u64, slot: Slot) -> Option<Slot> {
        let (number, place) = split(seq);
        let chunk = Arc::make_mut(self.chunk_at(number)?);
        let held = std::mem::replace(chunk.place(place)?, slot);
        let held = (!held.position.is_none()).then_some(held);
        if held.is_none() {
            chunk.live += 1;
            self.live += 1;
        }
        self.live_bytes += u64::from(slot.size);
        self.live_bytes -= held.map_or(0, |held| held.size.into());
        held
    }

    /// The message is gone; the slot it had, if it was there.
    pub fn settle(&mut self, seq: u64) -> Option<Slot> {
        let (number, place) = split(seq);
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let last = at + 1 == self.chunks.len();
        let entry = self.chunks.get_mut(at)?;
        let chunk = entry.as_mut()?;
        chunk.slot(place)?;
        let chunk = Arc::make_mut(chunk);
        let held = std::mem::take(chunk.slots.get_mut(place.checked_sub(chunk.first)?)?);
        chunk.live -= 1;
        if chunk.live == 0 {
            if last && chunk.slots.capacity() <= KEPT_SLOTS_MAX {
                chunk.slots.clear();
            } else {
                *entry = None;
                self.trim();
            }
        }
        self.live -= 1;
        self.live_bytes -= u64::from(held.size);
        Some(held)
    }

    /// The message's slot, if it is there.
    pub fn slot(&self, seq: u64) -> Option<Slot> {
        let (number, place) = split(seq);
        self.chunk(number)?.slot(place)
    }

    /// Changes flags, priority or delivery count.
    pub fn set_aux(&mut self, seq: u64, aux: Aux) {
        if let Some(slot) = self.slot(seq) {
            self.insert(seq, Slot { aux, ..slot });
        }
    }

    /// The first message from this number on.
    pub fn next_live(&self, from: u64) -> Option<(u64, Slot)> {
        let (mut number, mut place) = split(from);
        if number < self.base {
            (number, place) = (self.base, 0);
        }
        let skip = usize::try_from(number - self.base).ok()?;
        for chunk in self.chunks.iter().skip(skip) {
            if let Some((place, slot)) = chunk.as_ref().and_then(|chunk| chunk.next_live(place)) {
                return Some((number * CHUNK_SLOTS + place as u64, slot));
            }
            (number, place) = (number + 1, 0);
        }
        None
    }

    /// All messages in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Slot)> + '_ {
        let numbers = self.base..;
        self.chunks
            .iter()
            .zip(numbers)
            .filter_map(|(chunk, number)| Some((chunk.as_deref()?, number)))
            .flat_map(|(chunk, number)| {
                let seqs = number * CHUNK_SLOTS + chunk.first as u64..;
                let slots = chunk.slots.iter().zip(seqs);
                slots.filter(|(slot, _)| !slot.position.is_none()).map(|(slot, seq)| (seq, *slot))
            })
    }

    fn chunk(&self, number: u64) -> Option<&Chunk> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.chunks.get(at)?.as_deref()
    }

    /// The chunk of this number, made if it is missing; none for a number beyond all memory.
    fn chunk_at(&mut self, number: u64) -> Option<&mut Arc<Chunk>> {
        if self.live == 0 {
            self.restart(number);
        }
        while number < self.base {
            self.chunks.push_front(None);
            self.base -= 1;
        }
        let at = usize::try_from(number - self.base).ok()?;
        if at >= self.chunks.len() {
            self.chunks.resize(at.checked_add(1)?, None);
        }
        self.chunks.get_mut(at).map(Option::get_or_insert_default)
    }

    /// With no message there, the first chunk may have any number.
    fn restart(&mut self, number: u64) {
        if number != self.base {
            self.base = number;
            self.chunks.clear();
        }
    }

    fn trim(&mut self) {
        while let Some(None) = self.chunks.front() {
            self.chunks.pop_front();
            self.base += 1;
        }
        while let Some(None) = self.chunks.back() {
            self.chunks.pop_back();
        }
    }
}

impl Chunk {
    fn slot(&self, place: usize) -> Option<Slot> {
        let slot = self.slots.get(place.checked_sub(self.first)?)?;
        (!slot.position.is_none()).then_some(*slot)
    }

    fn next_live(&self, from: usize) -> Option<(usize, Slot)> {
        let skip = from.saturating_sub(self.first);
        let mut slots = self.slots.iter().enumerate().skip(skip);
        slots.find(|(_, slot)| !slot.position.is_none()).map(|(at, slot)| (self.first + at, *slot))
    }

    /// The slot of a place, made if it is missing.
    fn place(&mut self, place: usize) -> Option<&mut Slot> {
        if self.slots.is_empty() {
            self.first = place;
        }
        if let Some(missing) = self.first.checked_sub(place) {
            self.slots.splice(..0, std::iter::repeat_n(Slot::default(), missing));
            self.first = place;
        }
        let at = place - self.first;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, Slot::default());
        }
        self.slots.get_mut(at)
    }
}

/// The chunk of a sequence number, and its place in it.
fn split(seq: u64) -> (u64, usize) {
    (seq / CHUNK_SLOTS, (seq % CHUNK_SLOTS) as usize)
}
