//! The core against a model that is too simple to be wrong: whatever the transactions and however they are grouped,
//! the keys, the revisions, the answers and what a watcher sees are those of one after the other.

use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::store::history::Found;

const KEYS: u8 = 6;
const LEASE: LeaseId = 7;

#[derive(Debug, Clone)]
enum Step {
    Commit(Txn),
    EndLease,
    Grant,
}

/// Keys to entries; nothing shared with the code under test.
#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<Arc<str>, Versioned>,
    revision: Revision,
    leased: bool,
}

impl Model {
    fn commit(&mut self, txn: &Txn) -> Result<Committed, ()> {
        for (index, guard) in txn.guards.iter().enumerate() {
            let current = self.entries.get(&guard.key);
            let holds = match guard.expect {
                Expect::ModRevision(0) | Expect::CreateRevision(0) => current.is_none(),
                Expect::ModRevision(revision) => current.is_some_and(|entry| entry.mod_revision == revision),
                Expect::CreateRevision(revision) => {
                    current.is_some_and(|entry| entry.create_revision == revision)
                }
                Expect::Present => current.is_some(),
            };
            if !holds {
                return Ok(Committed::Refused { guard: index, current: current.cloned() });
            }
        }
        let wants_lease = |operation: &Operation| matches!(operation, Operation::Put { lease: Some(_), .. });
        if !self.leased && txn.operations.iter().any(wants_lease) {
            return Err(());
        }
        let revision = self.revision + 1;
        let mut changed = false;
        for operation in &txn.operations {
            match operation {
                Operation::Delete { key } => changed |= self.entries.remove(key).is_some(),
                Operation::Put { key, value, lease } => {
                    let create_revision =
                        self.entries.get(key).map_or(revision, |entry| entry.create_revision);
                    let (key, value, lease) = (Arc::clone(key), value.clone(), *lease);
                    let entry = Versioned {
                        key: Arc::clone(&key),
                        value,
                        create_revision,
                        mod_revision: revision,
                        lease,
                    };
                    self.entries.insert(key, entry);
                    changed = true;
                }
            }
        }
        self.revision += u64::from(changed);
        Ok(Committed::At(self.revision))
    }

    fn end_lease(&mut self) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.lease.is_none());
        self.revision += u64::from(self.entries.len() < before);
        std::mem::take(&mut self.leased)
    }
}

fn key(number: u8) -> Arc<str> {
    format!("{KEY_PREFIX}{number}").into()
}

fn expect() -> impl Strategy<Value = Expect> {
    let revision = prop_oneof![3 => Just(0), 2 => 1..12_u64];
    prop_oneof![
        revision.clone().prop_map(Expect::ModRevision),
        revision.prop_map(Expect::CreateRevision),
        Just(Expect::Present),
    ]
}

fn txn() -> impl Strategy<Value = Txn> {
    let guards = prop::collection::vec((0..KEYS, expect()), 0..2);
    // Without value: a delete.
    let operations =
        prop::collection::btree_map(0..KEYS, prop::option::of((any::<u8>(), any::<bool>())), 0..4);
    (guards, operations).prop_map(|(guards, operations)| Txn {
        guards: guards.into_iter().map(|(number, expect)| Guard { key: key(number), expect }).collect(),
        operations: operations
            .into_iter()
            .map(|(number, put)| match put {
                Some((byte, leased)) => {
                    let lease = leased.then_some(LEASE);
                    Operation::Put { key: key(number), value: Bytes::from(vec![byte]), lease }
                }
                None => Operation::Delete { key: key(number) },
            })
            .collect(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![8 => txn().prop_map(Step::Commit), 1 => Just(Step::EndLease), 2 => Just(Step::Grant)]
}

/// Does one step on both sides and compares the answers.
fn take(step: &Step, state: &State, draft: &mut Draft, model: &mut Model) -> Result<(), TestCaseError> {
    match step {
        Step::Commit(txn) => {
            prop_assert_eq!(draft.transact(state, txn).map_err(|_| ()), model.commit(txn));
        }
        Step::EndLease => prop_assert_eq!(draft.end_lease(state, LEASE).is_ok(), model.end_lease()),
        Step::Grant if !model.leased => {
            draft.grant(LEASE, Duration::from_secs(1));
            model.leased = true;
        }
        Step::Grant => prop_assert!(draft.has_lease(state, LEASE)),
    }
    Ok(())
}

/// What a watcher that saw everything believes is there.
fn replay(state: &State) -> Result<BTreeMap<Arc<str>, Versioned>, TestCaseError> {
    let (mut seen, mut from) = (BTreeMap::new(), 1);
    while let Found::Event(event) =
        state.history().find("", from).map_err(|error| TestCaseError::fail(error.to_string()))?
    {
        prop_assert_eq!(event.revision, from, "no revision is skipped or repeated");
        prop_assert!(event.changes.is_sorted_by(|a, b| a.key < b.key), "in key order, each once");
        for change in event.changes {
            match change.entry {
                Some(entry) => seen.insert(change.key, entry),
                None => seen.remove(&change.key),
            };
        }
        from += 1;
    }
    Ok(seen)
}

proptest! {
    #[test]
    fn groups_are_as_one_transaction_after_the_other(
        groups in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..8),
    ) {
        let (mut state, mut model) = (State::empty(), Model::default());
        for group in &groups {
            let mut draft = Draft::on(&state);
            for step in group {
                take(step, &state, &mut draft, &mut model)?;
            }
            prop_assert!(draft.is_empty() || draft.revision >= state.revision());
            state.apply(draft, Instant::now());
            prop_assert_eq!(state.revision(), model.revision);
            let entries = state.page("", None, usize::from(KEYS)).entries;
            prop_assert_eq!(&entries, &model.entries.values().cloned().collect::<Vec<_>>());
            let held = entries.iter().filter(|entry| entry.lease.is_some()).map(|entry| Arc::clone(&entry.key));
            prop_assert_eq!(state.leases().keys(LEASE).cloned().collect::<Vec<_>>(), held.collect::<Vec<_>>());
        }
        prop_assert_eq!(replay(&state)?, model.entries);
    }
}
