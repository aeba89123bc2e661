//! What is compared between brokers: bodies, queues, promises, and how publishers are paced. The list of the issue.

/// Publishes under way at a time in a closed loop, all queues together: enough to make groups, too few for a backlog.
const WINDOW: u64 = 1_000;
/// Bytes under way at a time.
const WINDOW_BYTES: u64 = 4 * 1_024 * 1_024;
/// Publishes under way however large, or however many queues each goes to.
const WINDOW_MIN: u64 = 20;
/// Messages a second at the fixed rate: what the slowest broker carries with room to spare.
pub const RATE: u32 = 2_000;
/// Messages of the backlog.
pub const BACKLOG: u64 = 50_000;

/// How publishers are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The next when one was delivered, with a window.
    Closed,
    /// So many a second.
    Rate(u32),
    /// So many first; then the consumers come, and only what they do is measured.
    Backlog(u64),
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// On the command line and in the JSON.
    pub name: &'static str,
    /// In the tables.
    pub title: &'static str,
    /// Bytes of a body.
    pub body: usize,
    /// Queues, each with a consumer.
    pub queues: u16,
    /// Each message goes to all queues instead of one after the other.
    pub is_fanout: bool,
    /// Durable, confirmed and acknowledged; otherwise in memory, and neither.
    pub is_persistent: bool,
    /// AMQP's replicated kind of queue, on one node: what today's tutorials declare.
    pub is_quorum: bool,
    /// How publishers are paced.
    pub pace: Pace,
}

/// What one case gives to the next.
const PERSISTENT: Case = Case {
    name: "",
    title: "",
    body: 256,
    queues: 1,
    is_fanout: false,
    is_persistent: true,
    is_quorum: false,
    pace: Pace::Closed,
};
const TRANSIENT: Case = Case { is_persistent: false, ..PERSISTENT };
const FANOUT: Case = Case { is_fanout: true, ..TRANSIENT };

/// All of them, in the order of the tables.
pub const ALL: [Case; 17] = [
    Case {
        name: "persistent-16",
        title: "Persistent, confirmed, acknowledged, 16 B",
        body: 16,
        ..PERSISTENT
    },
    Case { name: "persistent-256", title: "Persistent, confirmed, acknowledged, 256 B", ..PERSISTENT },
    Case {
        name: "persistent-4k",
        title: "Persistent, confirmed, acknowledged, 4 KiB",
        body: 4_096,
        ..PERSISTENT
    },
    Case {
        name: "persistent-64k",
        title: "Persistent, confirmed, acknowledged, 64 KiB",
        body: 65_536,
        ..PERSISTENT
    },
    Case { name: "persistent-queues", title: "Persistent, 256 B, 100 queues", queues: 100, ..PERSISTENT },
    Case {
        name: "quorum-256",
        title: "Persistent, 256 B, a quorum queue of one node",
        is_quorum: true,
        ..PERSISTENT
    },
    Case { name: "transient-16", title: "Transient, 16 B", body: 16, ..TRANSIENT },
    Case { name: "transient-256", title: "Transient, 256 B", ..TRANSIENT },
    Case { name: "transient-4k", title: "Transient, 4 KiB", body: 4_096, ..TRANSIENT },
    Case { name: "transient-64k", title: "Transient, 64 KiB", body: 65_536, ..TRANSIENT },
    Case { name: "transient-queues", title: "Transient, 256 B, 100 queues", queues: 100, ..TRANSIENT },
    Case { name: "fanout-10", title: "Fan-out to 10 queues, transient, 256 B", queues: 10, ..FANOUT },
    Case { name: "fanout-100", title: "Fan-out to 100 queues, transient, 256 B", queues: 100, ..FANOUT },
    Case {
        name: "fanout-10-persistent",
        title: "Fan-out to 10 queues, persistent, 256 B",
        queues: 10,
        is_persistent: true,
        ..FANOUT
    },
    Case {
        name: "fanout-100-persistent",
        title: "Fan-out to 100 queues, persistent, 256 B",
        queues: 100,
        is_persistent: true,
        ..FANOUT
    },
    Case {
        name: "backlog",
        title: "A backlog of 50,000 persistent messages of 256 B, drained",
        pace: Pace::Backlog(BACKLOG),
        ..PERSISTENT
    },
    Case {
        name: "rate",
        title: "Persistent, confirmed, acknowledged, 256 B",
        pace: Pace::Rate(RATE),
        ..PERSISTENT
    },
];

impl Case {
    /// The case of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|case| case.name == name)
    }

    /// Deliveries that a publish comes to.
    pub fn copies(&self) -> u64 {
        if self.is_fanout { self.queues.into() } else { 1 }
    }

    /// Publishes that may be under way at a time.
    pub fn window(&self) -> u64 {
        let body = u64::try_from(self.body).unwrap_or(u64::MAX).max(1);
        (WINDOW_BYTES / body).min(WINDOW / self.copies().max(1)).max(WINDOW_MIN)
    }

    /// What one unit of work is called: a message, or one of its copies.
    pub const fn unit(&self) -> &'static str {
        if self.is_fanout { "delivery" } else { "message" }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ALL.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(Case::named("rate").unwrap().pace, Pace::Rate(RATE));
    }

    #[test]
    fn windows_keep_to_bytes_and_copies() {
        assert_eq!(Case::named("persistent-256").unwrap().window(), WINDOW);
        assert_eq!(Case::named("transient-64k").unwrap().window(), 64);
        assert_eq!(Case::named("fanout-10").unwrap().window(), 100);
        assert_eq!(Case::named("fanout-100").unwrap().window(), WINDOW_MIN);
    }
}
