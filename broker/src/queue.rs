//! Queues as pure state: entries in, entries and decisions out. They know no channel, no socket and no disk; the
//! virtual host carries out what they decide.
//!
//! ```text
//!  publish ─▶ [dedup] ─▶ limits ─▶ lines (by priority) ─▶ whose turn? ─▶ channel holds the entry
//!                          │              ▲                                  │ ack: gone
//!                          ▼              └──────── requeue (in place) ◀─────┤
//!                    dropped, dead ◀──────────── expired, rejected ◀─────────┘
//! ```

use std::{collections::VecDeque, rc::Rc};

use crate::{
    amqp::value::FieldTable,
    exchange::QueueId,
    log::index::{Aux, QueueIndex, Slot},
    policy::{
        kind::QueueKind,
        queue_settings::{Overflow, QueueSettings},
    },
};

pub mod consumers;
pub mod dedup;
pub mod entry;
pub mod lane;
pub mod lines;
mod stats;
pub mod stream;
#[cfg(test)]
mod tests;

pub use consumers::{Address, Consumer, ConsumerId, Consumers, Wish};
pub use entry::{Entry, Seq};
pub use lines::{Lines, Memory};
pub use stats::QueueStats;
pub use stream::{Stream, StreamNext};

/// What a queue is declared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// Its name.
    pub name: Rc<str>,
    /// It is there after a restart.
    pub durable: bool,
    /// It goes with its last consumer.
    pub auto_delete: bool,
    /// It belongs to one connection and goes with it.
    pub exclusive: bool,
    /// `x-…`
    pub arguments: FieldTable,
}

/// What is in a queue.
#[derive(Debug)]
pub enum Contents {
    /// Messages that are taken out.
    Lines(Lines),
    /// Messages that stay.
    Stream(Stream),
}

/// Whether one more message is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is.
    In,
    /// It is not: the publisher gets a nack.
    Refused,
    /// It is not, and goes to the dead-letter exchange: the publisher gets a nack.
    RefusedDead,
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Its place in the virtual host; given out again once it is gone.
    pub id: QueueId,
    /// Its number in the log; never given out again.
    pub number: u32,
    /// As declared.
    pub declaration: Declaration,
    /// The connection that it belongs to.
    pub owner: Option<u32>,
    /// What arguments and policies make of it.
    pub settings: QueueSettings,
    /// The names of the policy and of the operator policy that apply.
    pub policies: (Option<String>, Option<String>),
    /// What waits.
    pub contents: Contents,
    /// Where each stored message is in the log: those that wait and those that are out.
    pub index: QueueIndex,
    /// Who takes.
    pub consumers: Consumers,
    /// Messages that are out, and bytes of their bodies.
    pub unacked: u64,
    /// Bytes of bodies that are out.
    pub unacked_bytes: u64,
    /// What happened to it.
    pub stats: QueueStats,
    /// What publishers sent lately.
    pub dedup: Option<dedup::Window>,
    /// Messages are being read for it.
    pub loading: bool,
    /// Entries up to this may have been delivered: what the log is told.
    pub delivered_up_to: Seq,
    /// Entries up to this may have been delivered before the last start.
    pub recovered_up_to: Seq,
    /// It is listed among those with much in memory.
    pub is_fat: bool,
    /// What the virtual host has counted as its memory.
    pub counted_bytes: usize,
    /// When somebody last used it, milliseconds since 1970.
    pub used_at_ms: u64,
    /// Whether it ever had a consumer: only then may auto-delete end it.
    pub had_consumer: bool,
    /// It is listed among those to look after.
    pub touched: bool,
    /// It has more dead messages than can be buried at once, and waits for that.
    pub is_crowded: bool,
    /// Who asked by `basic.get` and waits for the disk: address, and whether it acknowledges nothing.
    pub getters: VecDeque<(Address, bool)>,
}

impl Queue {
    /// An empty one.
    pub fn new(
        (id, number): (QueueId, u32),
        declaration: Declaration,
        settings: QueueSettings,
        now_ms: u64,
    ) -> Self {
        Self {
            id,
            number,
            owner: None,
            touched: false,
            is_crowded: false,
            getters: VecDeque::new(),
            policies: (None, None),
            consumers: Consumers::default(),
            contents: Contents::Lines(Lines::new(0)),
            index: QueueIndex::default(),
            unacked: 0,
            unacked_bytes: 0,
            stats: QueueStats::default(),
            dedup: None,
            loading: false,
            delivered_up_to: 0,
            recovered_up_to: 0,
            counted_bytes: 0,
            is_fat: false,
            used_at_ms: now_ms,
            had_consumer: false,
            declaration,
            settings,
        }
    }

    /// Whether its messages stay where they are.
    pub fn is_stream(&self) -> bool {
        matches!(self.contents, Contents::Stream(_))
    }

    /// Settings are there: what is in it, and who takes, is made by them.
    pub fn begin(&mut self) {
        self.consumers = Consumers::new(self.settings.single_active_consumer);
        self.contents = match self.settings.kind {
            QueueKind::Stream => Contents::Stream(Stream::default()),
            QueueKind::Classic | QueueKind::Quorum => Contents::Lines(Lines::new(self.max_priority())),
        };
    }

    /// The highest priority that it tells apart.
    pub fn max_priority(&self) -> u8 {
        self.settings.max_priority.unwrap_or(0)
    }

    /// Whether its declaration outlives a restart.
    pub fn is_written(&self) -> bool {
        self.declaration.durable && self.owner.is_none()
    }

    /// The place of its next message.
    pub fn next_seq(&self) -> Seq {
        match &self.contents {
            Contents::Lines(lines) => lines.next_seq(),
            Contents::Stream(stream) => stream.next_seq(),
        }
    }

    /// The first stored message of a priority, from one on.
    pub fn next_live_of(&self, from: Seq, priority: u8) -> Option<(Seq, Slot)> {
        next_live_of(&self.index, from, priority, self.max_priority())
    }

    /// Whoever follows a stream looks again.
    pub fn wake_readers(&mut self) {
        let ids: Vec<ConsumerId> = self.consumers.iter().map(|consumer| consumer.id).collect();
        for id in ids {
            self.consumers.wake(id);
        }
    }

    /// Its name.
    pub fn name(&self) -> &Rc<str> {
        &self.declaration.name
    }

    /// Whether a message of this persistence is stored.
    pub fn stores(&self, persistent: bool) -> bool {
        match self.settings.kind {
            QueueKind::Classic => persistent && self.is_written(),
            QueueKind::Quorum | QueueKind::Stream => true,
        }
    }

    /// Messages that wait.
    pub fn ready(&self) -> u64 {
        match &self.contents {
            Contents::Lines(lines) => lines.ready(),
            Contents::Stream(stream) => stream.len(),
        }
    }

    /// Bytes of bodies that wait.
    pub fn ready_bytes(&self) -> u64 {
        match &self.contents {
            Contents::Lines(lines) => lines.ready_bytes(),
            Contents::Stream(stream) => stream.bytes(),
        }
    }

    /// Bytes of memory that it holds for messages that wait.
    pub fn warm_bytes(&self) -> usize {
        match &self.contents {
            Contents::Lines(lines) => lines.warm_bytes(),
            Contents::Stream(stream) => stream.warm_bytes(),
        }
    }

    /// When messages of a stream came, of those whose time is noted.
    pub fn times(&self) -> impl Iterator<Item = (Seq, u64)> + '_ {
        let stream = match &self.contents {
            Contents::Stream(stream) => Some(stream),
            Contents::Lines(_) => None,
        };
        stream.into_iter().flat_map(Stream::times)
    }

    /// Messages that wait or are out.
    pub fn messages(&self) -> u64 {
        match &self.contents {
            Contents::Lines(lines) => lines.ready() + self.unacked,
            Contents::Stream(stream) => stream.len(),
        }
    }

    /// Whether it lets in one more of so many bytes, asked before it is put in.
    pub fn admits(&self, bytes: usize) -> Admission {
        let refused = match self.settings.overflow {
            Overflow::DropHead => return Admission::In,
            Overflow::RejectPublish => Admission::Refused,
            Overflow::RejectPublishDlx => Admission::RefusedDead,
        };
        let full = self.settings.max_length.is_some_and(|max| self.ready() >= max);
        let heavy = self.settings.max_length_bytes.is_some_and(|max| self.ready_bytes() + bytes as u64 > max);
        if full || heavy { refused } else { Admission::In }
    }

    /// Whether its head has to go for it to be within its limits.
    pub fn is_over_length(&self) -> bool {
        self.settings.overflow == Overflow::DropHead
            && (self.settings.max_length.is_some_and(|max| self.ready() > max)
                || self
                    .settings
                    .max_length_bytes
                    .is_some_and(|max| self.ready_bytes() > max && self.ready() > 0))
    }

    /// When a message that comes now expires: the lower of its own time and the queue's; 0 is never.
    pub fn expiry(&self, expiration_ms: Option<u64>, now_ms: u64) -> u64 {
        let ttl = match (self.settings.message_ttl_ms, expiration_ms) {
            (Some(queue), Some(own)) => Some(queue.min(own)),
            (queue, own) => queue.or(own),
        };
        ttl.map_or(0, |ttl| now_ms.saturating_add(ttl).max(1))
    }

    /// A stored one came back: how often stands in its index, where the next checkpoint takes it from.
    pub fn note_returned(&mut self, entry: &Entry) {
        if let Some(slot) = self.index.slot(entry.seq) {
            let count = u16::try_from(entry.delivery_count).unwrap_or(u16::MAX);
            self.index.set_aux(entry.seq, Aux::new(slot.aux.flags(), slot.aux.priority(), count));
        }
    }

    /// Something is out.
    pub fn went_out(&mut self, entry: &Entry) {
        self.unacked += 1;
        self.unacked_bytes += u64::from(entry.size);
    }

    /// It is not, any more.
    pub fn came_in(&mut self, entry: &Entry, consumer: Option<ConsumerId>) {
        self.unacked = self.unacked.saturating_sub(1);
        self.unacked_bytes = self.unacked_bytes.saturating_sub(u64::from(entry.size));
        if let Some(consumer) = consumer.and_then(|id| self.consumers.one_mut(id)) {
            consumer.unacked = consumer.unacked.saturating_sub(1);
        }
    }
}

/// The first stored message of a priority, from one on; those above the highest count as it.
pub fn next_live_of(
    index: &QueueIndex,
    mut from: Seq,
    priority: u8,
    max_priority: u8,
) -> Option<(Seq, Slot)> {
    loop {
        let (seq, slot) = index.next_live(from)?;
        if slot.aux.priority().min(max_priority) == priority {
            return Some((seq, slot));
        }
        from = seq + 1;
    }
}
