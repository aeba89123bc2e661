//! The leases of a store: their times, deadlines and keys. Owns no clock (time is an argument) and deletes
//! nothing itself: it says which leases are due, and the backend ends them by a transaction.
//!
//! ```text
//!  granted ──deadline passes──▶ ending ──its transaction is durable──▶ gone
//!     ▲ │ keep_alive               │ keep_alive: refused
//!     └─┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::LeaseId;

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    by_id: BTreeMap<LeaseId, Lease>,
    /// Of the leases that are not ending.
    deadlines: BTreeSet<(Instant, LeaseId)>,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    /// `None` once it is ending.
    deadline: Option<Instant>,
    keys: BTreeSet<Arc<str>>,
}

impl Leases {
    /// A new lease, or an old one after a restart: it has its whole time from `now`.
    pub(crate) fn insert(&mut self, lease: LeaseId, ttl: Duration, now: Instant) {
        let deadline = now + ttl;
        self.deadlines.insert((deadline, lease));
        self.by_id.insert(lease, Lease { ttl, deadline: Some(deadline), keys: BTreeSet::new() });
    }

    /// Forgets a lease that has ended.
    pub(crate) fn remove(&mut self, lease: LeaseId) {
        if let Some(Lease { deadline: Some(deadline), .. }) = self.by_id.remove(&lease) {
            self.deadlines.remove(&(deadline, lease));
        }
    }

    /// Whether it is there, ending or not.
    pub(crate) fn contains(&self, lease: LeaseId) -> bool {
        self.by_id.contains_key(&lease)
    }

    /// Starts the time of a lease again; `false` when it is ending or gone.
    pub(crate) fn keep_alive(&mut self, lease: LeaseId, now: Instant) -> bool {
        let Some(Lease { ttl, deadline: Some(deadline), .. }) = self.by_id.get_mut(&lease) else {
            return false;
        };
        self.deadlines.remove(&(*deadline, lease));
        *deadline = now + *ttl;
        self.deadlines.insert((*deadline, lease));
        true
    }

    /// Ties a key to a lease.
    pub(crate) fn attach(&mut self, lease: LeaseId, key: &Arc<str>) {
        if let Some(lease) = self.by_id.get_mut(&lease) {
            lease.keys.insert(Arc::clone(key));
        }
    }

    /// Unties a key from its lease.
    pub(crate) fn detach(&mut self, lease: LeaseId, key: &str) {
        if let Some(lease) = self.by_id.get_mut(&lease) {
            lease.keys.remove(key);
        }
    }

    /// The keys of a lease, in order.
    pub(crate) fn keys(&self, lease: LeaseId) -> impl Iterator<Item = &Arc<str>> {
        self.by_id.get(&lease).into_iter().flat_map(|lease| &lease.keys)
    }

    /// When to look at [`take_due`](Self::take_due) next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The leases whose time is over; from now on they are ending.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<LeaseId> {
        let mut due = Vec::new();
        while let Some((_, lease)) = self.deadlines.pop_first_if(now) {
            if let Some(ending) = self.by_id.get_mut(&lease) {
                ending.deadline = None;
            }
            due.push(lease);
        }
        due
    }
}

trait PopDue {
    fn pop_first_if(&mut self, now: Instant) -> Option<(Instant, LeaseId)>;
}

impl PopDue for BTreeSet<(Instant, LeaseId)> {
    fn pop_first_if(&mut self, now: Instant) -> Option<(Instant, LeaseId)> {
        self.first().is_some_and(|(deadline, _)| *deadline <= now).then(|| self.pop_first()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn is_due_once_and_cannot_be_kept_alive_then() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.insert(1, TTL, start);
        assert!(leases.take_due(start + TTL - Duration::from_nanos(1)).is_empty());
        assert_eq!(leases.take_due(start + TTL), [1]);
        assert!(leases.take_due(start + TTL).is_empty());
        assert!(leases.contains(1), "it stays until its transaction is durable");
        assert!(!leases.keep_alive(1, start + TTL));
        leases.remove(1);
        assert!(!leases.contains(1));
    }

    #[test]
    fn keeping_alive_starts_the_whole_time_again() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.insert(1, TTL, start);
        assert!(leases.keep_alive(1, start + TTL / 2));
        assert_eq!(leases.next_deadline(), Some(start + TTL / 2 + TTL));
        assert!(leases.take_due(start + TTL).is_empty());
    }

    #[test]
    fn knows_its_keys() {
        let mut leases = Leases::default();
        leases.insert(1, TTL, Instant::now());
        leases.attach(1, &"/b".into());
        leases.attach(1, &"/a".into());
        leases.attach(1, &"/c".into());
        leases.detach(1, "/c");
        assert_eq!(leases.keys(1).map(|key| &**key).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(leases.keys(2).count(), 0);
    }
}
