//! One message in one queue.

use std::sync::Arc;

use crate::{log::index::Slot, message::Message};

/// The place of a message in its queue: rises by one with each that is put in, and is never used again.
pub type Seq = u64;

/// One message in one queue. Whoever holds it (the queue, or the channel that it was delivered on) owns it.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The message; none while it is on the disk only.
    pub message: Option<Arc<Message>>,
    /// When it is to be thrown away, milliseconds since 1970; 0 is never.
    pub expires_at_ms: u64,
    /// Bytes of its body.
    pub size: u32,
    /// How often it came back.
    pub delivery_count: u32,
    /// Its priority, within what the queue knows.
    pub priority: u8,
    /// Whether somebody may have had it before.
    pub redelivered: bool,
    /// Whether the log holds it, so that memory need not.
    pub stored: bool,
}

impl Entry {
    /// One that has come, and that the log does not hold.
    pub fn of_message(seq: Seq, message: Arc<Message>) -> Self {
        Self { seq, size: message.body_size(), message: Some(message), ..Self::default() }
    }

    /// One that a stream hands out.
    pub fn of_stream(seq: Seq, message: Arc<Message>) -> Self {
        Self { stored: true, ..Self::of_message(seq, message) }
    }

    /// One that is on the disk only.
    pub fn of_slot(seq: Seq, slot: Slot, max_priority: u8) -> Self {
        Self {
            seq,
            message: None,
            expires_at_ms: 0,
            size: slot.size,
            delivery_count: slot.aux.deliveries().into(),
            priority: slot.aux.priority().min(max_priority),
            redelivered: slot.aux.deliveries() > 0,
            stored: true,
        }
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms != 0 && self.expires_at_ms <= now_ms
    }

    /// Bytes of memory that its message holds.
    pub fn footprint(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.footprint())
    }
}
