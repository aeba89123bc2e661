//! The state that readers and watchers see: what is durable, and nothing else. Pure: it knows no disk, thread or
//! clock. A [`Draft`] is written on top of it, made durable by the backend, then applied as a whole.
//!
//! ```text
//!  transactions ──▶ Draft (over State) ──▶ backend makes it durable ──▶ State::apply ──▶ readers, watchers
//! ```

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    LeaseId, PAGE_KEYS_MAX, Page, Revision, Versioned, draft::Draft, history::History, lease::Leases,
};

/// Keys, leases and recent history, all at one revision.
#[derive(Debug)]
pub(crate) struct State {
    entries: BTreeMap<Arc<str>, Versioned>,
    revision: Revision,
    history: History,
    leases: Leases,
}

impl State {
    /// A store without a key or a past.
    pub(crate) fn empty() -> Self {
        Self::load(0, [], [], Instant::now())
    }

    /// What a backend found on its disk. All history is compacted, and each lease has its whole time from `now`.
    pub(crate) fn load(
        revision: Revision,
        leases: impl IntoIterator<Item = (LeaseId, Duration)>,
        entries: impl IntoIterator<Item = Versioned>,
        now: Instant,
    ) -> Self {
        let mut state = Self {
            entries: BTreeMap::new(),
            revision,
            history: History::after(revision),
            leases: Leases::default(),
        };
        for (lease, ttl) in leases {
            state.leases.insert(lease, ttl, now);
        }
        for entry in entries {
            let key = Arc::clone(&entry.key);
            state.set(&key, Some(entry));
        }
        state
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Versioned> {
        self.entries.get(key)
    }

    /// See [`Store::range`](super::Store::range).
    pub(crate) fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Page {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let limit = limit.clamp(1, PAGE_KEYS_MAX);
        let mut found = self
            .entries
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(|entry| entry.key.starts_with(prefix));
        let entries: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let next = found.next().and(entries.last()).map(|last| Arc::clone(&last.key));
        Page { entries, revision: self.revision, next }
    }

    /// Makes a durable draft visible, all of it at once.
    pub(crate) fn apply(&mut self, draft: Draft, now: Instant) {
        // New leases before the keys that are tied to them, ended ones after theirs.
        for (lease, ttl) in &draft.leases {
            if let Some(ttl) = ttl {
                self.leases.insert(*lease, *ttl, now);
            }
        }
        for (key, entry) in draft.entries {
            self.set(&key, entry);
        }
        for (lease, ttl) in &draft.leases {
            if ttl.is_none() {
                self.leases.remove(*lease);
            }
        }
        self.revision = draft.revision;
        for event in draft.events {
            self.history.push(event, now);
        }
    }

    /// Forgets history that is too old.
    pub(crate) fn trim(&mut self, now: Instant) {
        self.history.trim(now);
    }

    fn set(&mut self, key: &Arc<str>, entry: Option<Versioned>) {
        let lease = entry.as_ref().and_then(|entry| entry.lease);
        let old = match entry {
            Some(entry) => self.entries.insert(Arc::clone(key), entry),
            None => self.entries.remove(key),
        };
        if let Some(old) = old.and_then(|old| old.lease) {
            self.leases.detach(old, key);
        }
        if let Some(lease) = lease {
            self.leases.attach(lease, key);
        }
    }
}
