//! Heartbeats (AMQP 0-9-1, section 4.2.7, with RabbitMQ's reading): when one is to be sent, and when a peer counts as
//! dead. Pure: times are passed in, as milliseconds of any clock that only rises. Knows no frame and no timer.

/// The heartbeat of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    interval_ms: u64,
    heard_ms: u64,
    sent_ms: u64,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Quiet,
    /// A heartbeat is to be sent.
    Send,
    /// Nothing was heard for two intervals: the peer is dead.
    Dead,
}

impl Heartbeat {
    /// Of `interval_seconds` as agreed on, 0 for none.
    pub fn new(interval_seconds: u16, now_ms: u64) -> Self {
        Self { interval_ms: u64::from(interval_seconds) * 1_000, heard_ms: now_ms, sent_ms: now_ms }
    }

    /// Something was read, whatever it was.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_ms = self.heard_ms.max(now_ms);
    }

    /// Something was written, whatever it was.
    pub fn sent(&mut self, now_ms: u64) {
        self.sent_ms = self.sent_ms.max(now_ms);
    }

    /// What is due now.
    pub fn due(&self, now_ms: u64) -> Beat {
        match self.deadlines() {
            Some((_, dead_ms)) if now_ms >= dead_ms => Beat::Dead,
            Some((send_ms, _)) if now_ms >= send_ms => Beat::Send,
            _ => Beat::Quiet,
        }
    }

    /// When to ask again at the latest; `None` without heartbeats.
    pub fn next_ms(&self) -> Option<u64> {
        self.deadlines().map(|(send_ms, dead_ms)| send_ms.min(dead_ms))
    }

    /// When a heartbeat is due, half an interval after the last octet sent; and when the peer is dead, two intervals after
    /// the last heard.
    fn deadlines(&self) -> Option<(u64, u64)> {
        (self.interval_ms != 0).then(|| {
            let send_ms = self.sent_ms.saturating_add(self.interval_ms / 2);
            (send_ms, self.heard_ms.saturating_add(2 * self.interval_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_due_half_an_interval_after_the_last_octet() {
        let mut heartbeat = Heartbeat::new(10, 1_000);
        assert_eq!((heartbeat.due(5_999), heartbeat.due(6_000)), (Beat::Quiet, Beat::Send));
        heartbeat.sent(6_000);
        assert_eq!((heartbeat.due(6_000), heartbeat.next_ms()), (Beat::Quiet, Some(11_000)));
    }

    #[test]
    fn a_peer_is_dead_after_two_intervals_of_silence() {
        let mut heartbeat = Heartbeat::new(10, 0);
        heartbeat.heard(5_000);
        heartbeat.sent(20_000);
        assert_eq!((heartbeat.due(24_999), heartbeat.due(25_000)), (Beat::Quiet, Beat::Dead));
    }

    #[test]
    fn no_interval_is_no_heartbeat() {
        let heartbeat = Heartbeat::new(0, 0);
        assert_eq!((heartbeat.due(u64::MAX), heartbeat.next_ms()), (Beat::Quiet, None));
    }

    #[test]
    fn a_clock_that_falls_back_makes_nobody_dead() {
        let mut heartbeat = Heartbeat::new(1, 10_000);
        heartbeat.heard(3_000);
        assert_eq!(heartbeat.due(11_999), Beat::Send);
    }
}
