//! Transactions that are decided but not yet durable: an overlay on the [`State`] that readers see. A backend
//! drafts a group of them (each sees the ones before it), writes the draft's net effect to its disk in one atomic
//! step, and only then applies it. Pure: no disk, no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Change, Committed, Expect, Guard, KEY_LENGTH_MAX, KEY_PREFIX, LeaseId, Operation, Revision, StoreError,
    TXN_BYTES_MAX, TXN_OPERATIONS_MAX, Txn, Versioned, WatchEvent, state::State,
};

/// Bytes of a refused key that an error repeats.
const KEY_IN_ERROR_MAX: usize = 80;

/// A group of transactions on top of a state, with their net effect.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Of the last transaction of the group.
    pub(super) revision: Revision,
    /// What the keys become; `None` = deleted.
    pub(super) entries: BTreeMap<Arc<str>, Option<Versioned>>,
    /// What the leases become; `None` = ended.
    pub(super) leases: BTreeMap<LeaseId, Option<Duration>>,
    /// One a transaction that changed something, in order.
    pub(super) events: Vec<WatchEvent>,
}

impl Draft {
    /// Nothing yet, on top of `state`.
    pub(crate) fn on(state: &State) -> Self {
        Self {
            revision: state.revision(),
            entries: BTreeMap::new(),
            leases: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Whether there is nothing to make durable.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.leases.is_empty()
    }

    /// Decides one transaction and, if it happens, adds it.
    ///
    /// # Errors
    /// A limit, a bad key or a lease that is not there; then nothing is added.
    pub(crate) fn transact(&mut self, state: &State, txn: &Txn) -> Result<Committed, StoreError> {
        check_limits(txn)?;
        for (index, guard) in txn.guards.iter().enumerate() {
            let current = self.current(state, &guard.key);
            if !holds(guard, current) {
                return Ok(Committed::Refused { guard: index, current: current.cloned() });
            }
        }
        for operation in &txn.operations {
            if let Operation::Put { lease: Some(lease), .. } = operation
                && !self.has_lease(state, *lease)
            {
                return Err(StoreError::NoLease { lease: *lease });
            }
        }
        let revision = self.revision + 1;
        let changes =
            txn.operations.iter().filter_map(|operation| self.change(state, operation, revision)).collect();
        self.add(changes);
        Ok(Committed::At(self.revision))
    }

    /// Adds a lease; the caller has seen to it that the number is free.
    pub(crate) fn grant(&mut self, lease: LeaseId, ttl: Duration) {
        self.leases.insert(lease, Some(ttl));
    }

    /// Ends a lease and deletes its keys in one transaction, however many they are.
    ///
    /// # Errors
    /// [`StoreError::NoLease`].
    pub(crate) fn end_lease(&mut self, state: &State, lease: LeaseId) -> Result<(), StoreError> {
        if !self.has_lease(state, lease) {
            return Err(StoreError::NoLease { lease });
        }
        let drafted = self.entries.keys();
        let candidates: BTreeSet<_> = state.leases().keys(lease).chain(drafted).cloned().collect();
        let changes = candidates
            .into_iter()
            .filter(|key| self.current(state, key).is_some_and(|entry| entry.lease == Some(lease)))
            .map(|key| Change { key, entry: None })
            .collect();
        self.add(changes);
        self.leases.insert(lease, None);
        Ok(())
    }

    /// Whether the lease is there after this draft.
    pub(crate) fn has_lease(&self, state: &State, lease: LeaseId) -> bool {
        self.leases.get(&lease).map_or_else(|| state.leases().contains(lease), Option::is_some)
    }

    fn current<'a>(&'a self, state: &'a State, key: &str) -> Option<&'a Versioned> {
        self.entries.get(key).map_or_else(|| state.entry(key), Option::as_ref)
    }

    /// What the operation does; `None` when it is the delete of an absent key.
    fn change(&self, state: &State, operation: &Operation, revision: Revision) -> Option<Change> {
        match operation {
            Operation::Put { key, value, lease } => {
                let current = self.current(state, key);
                let entry = Versioned {
                    key: Arc::clone(key),
                    value: value.clone(),
                    create_revision: current.map_or(revision, |entry| entry.create_revision),
                    mod_revision: revision,
                    lease: *lease,
                };
                Some(Change { key: Arc::clone(key), entry: Some(entry) })
            }
            Operation::Delete { key } => {
                self.current(state, key).map(|_| Change { key: Arc::clone(key), entry: None })
            }
        }
    }

    /// Gives the changes the next revision, unless there are none.
    fn add(&mut self, mut changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        for change in &changes {
            self.entries.insert(Arc::clone(&change.key), change.entry.clone());
        }
        self.revision += 1;
        self.events.push(WatchEvent { revision: self.revision, changes });
    }
}

impl Operation {
    /// The key it writes.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Bytes it counts towards [`TXN_BYTES_MAX`].
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

fn holds(guard: &Guard, current: Option<&Versioned>) -> bool {
    match guard.expect {
        Expect::ModRevision(revision) => current.map_or(0, |entry| entry.mod_revision) == revision,
        Expect::CreateRevision(revision) => current.map_or(0, |entry| entry.create_revision) == revision,
        Expect::Present => current.is_some(),
    }
}

fn check_limits(txn: &Txn) -> Result<(), StoreError> {
    let refuse = |reason: String| Err(StoreError::BadTxn { reason });
    if txn.operations.len() > TXN_OPERATIONS_MAX {
        return refuse(format!("{} operations; at most {TXN_OPERATIONS_MAX}", txn.operations.len()));
    }
    if txn.guards.len() > TXN_OPERATIONS_MAX {
        return refuse(format!("{} guards; at most {TXN_OPERATIONS_MAX}", txn.guards.len()));
    }
    let bytes: usize = txn.operations.iter().map(Operation::size).sum();
    if bytes > TXN_BYTES_MAX {
        return refuse(format!("{bytes} bytes of keys and values; at most {TXN_BYTES_MAX}"));
    }
    for guard in &txn.guards {
        check_key(&guard.key)?;
    }
    let mut keys = BTreeSet::new();
    for operation in &txn.operations {
        check_key(operation.key())?;
        if !keys.insert(operation.key()) {
            return refuse(format!("`{}` is written twice", shortened(operation.key())));
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.starts_with(KEY_PREFIX) && key.len() > KEY_PREFIX.len() && key.len() <= KEY_LENGTH_MAX {
        return Ok(());
    }
    Err(StoreError::BadKey { key: shortened(key) })
}

fn shortened(key: &str) -> String {
    if key.len() <= KEY_IN_ERROR_MAX {
        return key.to_owned();
    }
    let end = key.floor_char_boundary(KEY_IN_ERROR_MAX);
    format!("{}…", key.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
