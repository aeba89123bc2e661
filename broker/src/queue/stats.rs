//! Counts of what happened to a queue since the process began: RabbitMQ's `message_stats`.

/// Plain counts; the virtual host's thread alone writes them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Put in.
    pub published: u64,
    /// Delivered to consumers that acknowledge.
    pub delivered: u64,
    /// Delivered to consumers that do not.
    pub delivered_no_ack: u64,
    /// Taken by `basic.get` that acknowledges.
    pub got: u64,
    /// Taken by `basic.get` that does not.
    pub got_no_ack: u64,
    /// `basic.get` that found nothing.
    pub got_empty: u64,
    /// Delivered again.
    pub redelivered: u64,
    /// Acknowledged.
    pub acked: u64,
    /// Dropped from the head because the queue was too long.
    pub dropped: u64,
    /// Expired.
    pub expired: u64,
    /// Refused because the queue was too long.
    pub refused: u64,
    /// Sent to a dead-letter exchange, or parked.
    pub dead_lettered: u64,
    /// Repeated publishes that were left out.
    pub deduplicated: u64,
}

impl std::ops::AddAssign for QueueStats {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.delivered_no_ack += other.delivered_no_ack;
        self.got += other.got;
        self.got_no_ack += other.got_no_ack;
        self.got_empty += other.got_empty;
        self.redelivered += other.redelivered;
        self.acked += other.acked;
        self.dropped += other.dropped;
        self.expired += other.expired;
        self.refused += other.refused;
        self.dead_lettered += other.dead_lettered;
        self.deduplicated += other.deduplicated;
    }
}

impl QueueStats {
    /// All that consumers and getters got.
    pub fn handed_out(&self) -> u64 {
        self.delivered + self.delivered_no_ack + self.got + self.got_no_ack
    }
}
