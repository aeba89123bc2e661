//! The lease wheel: who must be heard from by when, and who was not. Pure: times are arguments. It knows
//! neither what a lease holds nor how a renewal arrives.
//!
//! ```text
//!   insert ──▶ [slot][slot][slot]…   one slot a tick; a renewal only moves the deadline in `entries`,
//!                 │ its tick comes   the slot finds out when its tick comes: renewed -> a later slot
//!                 ▼
//!              overdue ──┬─ no hold ──────────────▶ ended
//!                        └─ hold (10 s) ──▶ at its end: renewed meanwhile, or ended
//! ```
//! A registry that is itself in trouble must not declare the world dead. So nothing ends for [`HOLD`] after a
//! start, after the wheel itself was turned late (this process was starved or the machine slept), and when
//! many would end at once (then it is rather the network in front of us). A lease is spared by the last rule
//! once; if it is not renewed within that hold either, it ends.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// How often the wheel wants to be turned; a lease ends at most this much late.
pub const TICK: Duration = Duration::from_millis(100);
/// How long nothing ends after one of the [`Protection`]s.
pub const HOLD: Duration = Duration::from_secs(10);
/// Turned later than this, the wheel no longer trusts its own clock.
pub const LATE_MAX: Duration = Duration::from_secs(1);
/// "At once": leases that would end within this time count together.
pub const MASS_WINDOW: Duration = Duration::from_secs(1);
/// Fewer than this are never a mass.
pub const MASS_COUNT_MIN: usize = 10;
/// A mass is more than this share of all leases, in percent.
pub const MASS_PERCENT: usize = 30;
/// The longest lease; a longer one is cut to it (times from outside must not overflow the clock).
pub const LEASE_MAX: Duration = Duration::from_hours(24 * 365);
/// Slots of the wheel. A lease further away than all of them waits in the last one and is looked at again.
const SLOTS: usize = 64;

/// The leases by key.
#[derive(Debug)]
pub struct LeaseWheel<K> {
    entries: HashMap<K, Entry, foldhash::fast::RandomState>,
    slots: Vec<Vec<(K, u64)>>,
    origin: Instant,
    /// The tick whose slot is looked at next.
    tick: u64,
    turned: Instant,
    held_until: Instant,
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ttl: Duration,
    deadline: Instant,
    /// Tells the slot's item of this entry from one of an earlier entry of the same key.
    generation: u64,
    /// A mass hold has spared it since it was last renewed.
    spared: bool,
}

/// What a turn of the wheel brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<K> {
    /// These have ended and are no longer in the wheel.
    pub ended: Vec<K>,
    /// A hold begins now; for a log line and a counter.
    pub protection: Option<Protection>,
}

/// Why nothing ends for [`HOLD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The wheel was turned this much after the last time.
    Late {
        /// Time since the last turn.
        after: Duration,
    },
    /// Too many would end within [`MASS_WINDOW`].
    Mass {
        /// So many.
        ending: usize,
        /// Of so many.
        of: usize,
    },
}

impl<K: Clone + Eq + Hash> LeaseWheel<K> {
    /// An empty wheel; its first hold begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            entries: HashMap::default(),
            slots: std::iter::repeat_with(Vec::new).take(SLOTS).collect(),
            origin: now,
            tick: 0,
            turned: now,
            held_until: now + HOLD,
            generation: 0,
        }
    }

    /// How many leases there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Until when nothing ends.
    pub const fn held_until(&self) -> Instant {
        self.held_until
    }

    /// A lease of `ttl` from now; replaces one of the same key.
    pub fn insert(&mut self, key: K, ttl: Duration, now: Instant) {
        self.generation += 1;
        let ttl = ttl.min(LEASE_MAX);
        let entry = Entry { ttl, deadline: now + ttl, generation: self.generation, spared: false };
        self.entries.insert(key.clone(), entry);
        self.enslot(key, entry.generation, entry.deadline);
    }

    /// Heard from at `at`. False: there is no such lease (any more).
    pub fn renew(&mut self, key: &K, at: Instant) -> bool {
        self.entries.get_mut(key).map(|entry| entry.renew(at)).is_some()
    }

    /// Ends a lease without a word. False: there was none.
    pub fn remove(&mut self, key: &K) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Turns the wheel to `now`.
    pub fn expire(&mut self, now: Instant) -> Turn<K> {
        self.expire_with(now, |_| None)
    }

    /// Turns the wheel to `now`. `heard` says when a key was last heard from, if that is noted elsewhere (so
    /// that a renewal need not reach the wheel's owner); it is asked only about leases that seem overdue.
    pub fn expire_with(&mut self, now: Instant, heard: impl Fn(&K) -> Option<Instant>) -> Turn<K> {
        let after = now.saturating_duration_since(self.turned);
        self.turned = self.turned.max(now);
        if after > LATE_MAX {
            self.held_until = self.held_until.max(now + HOLD);
            return Turn { ended: Vec::new(), protection: Some(Protection::Late { after }) };
        }
        if now < self.held_until {
            return Turn { ended: Vec::new(), protection: None };
        }
        let overdue = self.overdue(now, &heard);
        match self.mass(&overdue, now, &heard) {
            Some(protection) => {
                self.held_until = now + HOLD;
                for (key, generation) in overdue {
                    self.enslot(key, generation, self.held_until);
                }
                Turn { ended: Vec::new(), protection: Some(protection) }
            }
            None => {
                let ended = overdue.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
                for key in &ended {
                    self.entries.remove(key);
                }
                Turn { ended, protection: None }
            }
        }
    }

    /// Empties the slots up to `now`; what was renewed goes to a later slot, the rest is overdue.
    fn overdue(&mut self, now: Instant, heard: impl Fn(&K) -> Option<Instant>) -> Vec<(K, u64)> {
        let last = ticks(now.saturating_duration_since(self.origin));
        let mut overdue = Vec::new();
        let mut later = Vec::new();
        // After a long hold each slot is looked at once, not once a tick that went by.
        for tick in self.tick.max(last.saturating_sub(SLOTS as u64 - 1))..=last {
            for (key, generation) in std::mem::take(self.slot(tick)) {
                let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.generation == generation)
                else {
                    continue;
                };
                if let Some(at) = heard(&key) {
                    entry.renew(at);
                }
                if entry.deadline > now {
                    later.push((key, generation, entry.deadline));
                } else {
                    overdue.push((key, generation));
                }
            }
        }
        self.tick = last + 1;
        for (key, generation, deadline) in later {
            self.enslot(key, generation, deadline);
        }
        overdue
    }

    /// Whether `overdue` is part of a mass; then all of the mass is marked as spared.
    fn mass(
        &mut self,
        overdue: &[(K, u64)],
        now: Instant,
        heard: impl Fn(&K) -> Option<Instant>,
    ) -> Option<Protection> {
        let fresh = overdue.iter().any(|(key, _)| self.entries.get(key).is_some_and(|entry| !entry.spared));
        if !fresh {
            return None;
        }
        let of = self.entries.len();
        let mut ending = Vec::new();
        for (key, entry) in &mut self.entries {
            if let Some(at) = heard(key) {
                entry.renew(at);
            }
            // A third of the lease at most: heartbeats come about three to a lease, and one that is merely
            // not due yet must not count as missing.
            if !entry.spared && entry.deadline <= now + MASS_WINDOW.min(entry.ttl / 3) {
                ending.push(entry);
            }
        }
        let count = ending.len();
        if count < MASS_COUNT_MIN || count * 100 <= of * MASS_PERCENT {
            return None;
        }
        for entry in ending {
            entry.spared = true;
        }
        Some(Protection::Mass { ending: count, of })
    }

    fn enslot(&mut self, key: K, generation: u64, deadline: Instant) {
        // Rounded up, so that a lease never ends early.
        let due = ticks(deadline.saturating_duration_since(self.origin)) + 1;
        let tick = due.clamp(self.tick, self.tick + SLOTS as u64 - 1);
        self.slot(tick).push((key, generation));
    }

    #[allow(clippy::indexing_slicing, reason = "the index is a remainder of the slots' number")]
    fn slot(&mut self, tick: u64) -> &mut Vec<(K, u64)> {
        let index = usize::try_from(tick % SLOTS as u64).unwrap_or(0);
        &mut self.slots[index]
    }
}

impl Entry {
    fn renew(&mut self, at: Instant) {
        let deadline = at + self.ttl;
        // What was noted elsewhere may be older than what the wheel knows.
        if deadline > self.deadline {
            self.deadline = deadline;
            self.spared = false;
        }
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
