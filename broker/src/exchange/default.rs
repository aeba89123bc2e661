//! The default exchange: each queue is bound to it by its own name, and nothing else is (AMQP 0-9-1, section
//! 3.1.3.1). So it is the map from names of queues to their numbers, and routing is one look-up.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{
    QueueId,
    message::{Message, Sink},
};

/// Queues of a virtual host at most: numbers are below it.
pub const QUEUES_MAX: u32 = 1 << 22;

/// The names of queues, both ways.
#[derive(Debug, Default)]
pub struct Queues {
    by_name: HashMap<Arc<str>, QueueId, RandomState>,
    by_id: Vec<Option<Queue>>,
}

/// What a binding must know of its queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: Arc<str>,
    pub(super) durable: bool,
}

impl Queues {
    /// Adds a queue; false if name or number is taken, or the number is [`QUEUES_MAX`] or more.
    pub fn add(&mut self, name: &str, id: QueueId, durable: bool) -> bool {
        let at = id.0 as usize;
        if id.0 >= QUEUES_MAX || self.at(id).is_some() || self.by_name.contains_key(name) {
            return false;
        }
        let name: Arc<str> = name.into();
        if self.by_id.len() <= at {
            self.by_id.resize_with(at + 1, || None);
        }
        if let Some(place) = self.by_id.get_mut(at) {
            *place = Some(Queue { name: Arc::clone(&name), durable });
        }
        self.by_name.insert(name, id);
        true
    }

    /// The number of the queue of that name.
    pub fn find(&self, name: &str) -> Option<QueueId> {
        self.by_name.get(name).copied()
    }

    /// The name of a queue.
    pub fn name(&self, id: QueueId) -> Option<&str> {
        self.at(id).map(|queue| &*queue.name)
    }

    /// All of them: the default exchange's bindings.
    pub fn iter(&self) -> impl Iterator<Item = (QueueId, &str)> {
        self.by_name.iter().map(|(name, id)| (*id, &**name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn at(&self, id: QueueId) -> Option<&Queue> {
        self.by_id.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn remove(&mut self, id: QueueId) -> Option<Queue> {
        let queue = self.by_id.get_mut(id.0 as usize)?.take()?;
        self.by_name.remove(&queue.name);
        Some(queue)
    }

    pub(super) fn route(&self, message: &Message<'_>, sink: &mut Sink) {
        message.keys.iter().filter_map(|key| self.find(key)).for_each(|id| sink.add_queue(id));
    }
}
