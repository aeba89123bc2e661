//! What one turn of the virtual host leaves to do: queues to look after, connections with something new, messages to
//! read. A turn is what happens between two looks at the sockets.

use std::collections::VecDeque;

use super::{
    dead::Dead,
    session::{Session, SessionId},
};
use crate::{
    exchange::QueueId,
    queue::{ConsumerId, Seq, lines::Wanted},
};

/// Why messages are read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// They are next in a queue.
    Line(Wanted),
    /// A consumer of a stream reads on from this offset.
    Stream(ConsumerId, Seq),
    /// They are dead and go elsewhere.
    Dead(Seq),
    /// They are due.
    Delayed(Seq),
    /// When they are due is to be known again, after a start: from this one on.
    DueTimes(Seq),
    /// Few live ones are left in this segment, read from this byte on: they are moved.
    Compaction(u32, u32),
}

/// Messages to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// For which queue.
    pub queue: QueueId,
    /// Its number in the log.
    pub number: u32,
    /// Why, and which.
    pub purpose: Purpose,
    /// How often that was tried in vain.
    pub tries: u32,
}

impl Want {
    /// Not tried yet.
    pub fn new(queue: QueueId, number: u32, purpose: Purpose) -> Self {
        Self { queue, number, purpose, tries: 0 }
    }
}

/// What is left to do.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Queues that something happened to.
    pub(super) touched: Vec<QueueId>,
    /// Connections whose outbox has something new, or that may read again, or that are to end.
    pub(super) dirty: Vec<SessionId>,
    /// Messages that are to be dead-lettered or dropped.
    pub(super) dead: VecDeque<Dead>,
    /// Messages to read.
    pub(super) wants: Vec<Want>,
}

impl Turn {
    /// A connection has something new.
    pub(super) fn has_bytes(&mut self, id: SessionId, session: &mut Session) {
        if !session.dirty {
            session.dirty = true;
            self.dirty.push(id);
        }
    }

    pub(super) fn want_stream(&mut self, queue: QueueId, number: u32, consumer: ConsumerId, from: Seq) {
        self.wants.push(Want::new(queue, number, Purpose::Stream(consumer, from)));
    }
}
