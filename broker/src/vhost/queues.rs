//! The queues of a virtual host: by a small number that is given out again, checked by one that is not.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{exchange::QueueId, queue::Queue};

/// All of them. Names are the topology's.
#[derive(Debug, Default)]
pub(super) struct Queues {
    slots: Vec<Option<Box<Queue>>>,
    free: Vec<QueueId>,
    /// Places by number.
    places: HashMap<u32, QueueId, RandomState>,
    last_number: u32,
    len: usize,
}

impl Queues {
    /// With numbers above those that were given out before.
    pub(super) fn new(last_number: u32) -> Self {
        Self { last_number, ..Self::default() }
    }

    /// The numbers of the next queue: its place, and its number in the log.
    pub(super) fn next_ids(&mut self) -> (QueueId, u32) {
        let number = self.next_number();
        (self.next_place(), number)
    }

    /// A number in the log for something that is no queue.
    pub(super) fn next_number(&mut self) -> u32 {
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        self.last_number
    }

    /// This number was given out before: the next ones are above it.
    pub(super) fn was_used(&mut self, number: u32) {
        self.last_number = self.last_number.max(number);
    }

    /// The highest number that was given out.
    pub(super) fn last_number(&self) -> u32 {
        self.last_number
    }

    /// Takes a queue out for a moment; its place stays its own.
    pub(super) fn take(&mut self, id: QueueId) -> Option<Box<Queue>> {
        self.slots.get_mut(id.0 as usize)?.take()
    }

    /// Puts it back.
    pub(super) fn restore(&mut self, queue: Box<Queue>) {
        let at = queue.id.0 as usize;
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(queue);
        }
    }

    /// A place for a queue whose number is known.
    pub(super) fn next_place(&mut self) -> QueueId {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            QueueId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// Gives a place back that nothing was put in.
    pub(super) fn give_back(&mut self, id: QueueId) {
        self.free.push(id);
    }

    pub(super) fn put(&mut self, queue: Queue) {
        self.was_used(queue.number);
        let at = queue.id.0 as usize;
        if let Some(slot) = self.slots.get_mut(at) {
            self.places.insert(queue.number, queue.id);
            *slot = Some(Box::new(queue));
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: QueueId) -> Option<Box<Queue>> {
        let queue = self.slots.get_mut(id.0 as usize)?.take()?;
        self.places.remove(&queue.number);
        self.free.push(id);
        self.len -= 1;
        Some(queue)
    }

    pub(super) fn one(&self, id: QueueId) -> Option<&Queue> {
        self.slots.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn one_mut(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.slots.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The queue of a number.
    pub(super) fn of_number_mut(&mut self, number: u32) -> Option<&mut Queue> {
        let id = self.places.get(&number).copied()?;
        self.one_mut(id)
    }

    /// The queue at a place, if it is still the one of that number.
    pub(super) fn numbered_mut(&mut self, id: QueueId, number: u32) -> Option<&mut Queue> {
        self.one_mut(id).filter(|queue| queue.number == number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.slots.iter().flatten().map(Box::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
