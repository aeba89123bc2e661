//! What waits for the next commit, and how a commit's worth of it is taken. Health first, people's changes after:
//! under a flood of registrations a transition must not queue behind them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tracing::error;
use weft_model::name::{Id, InstanceKey};

use super::{
    RegistryError,
    command::{Answer, Change},
    draft::{Draft, Progress, Writes},
    live::{Doomed, Live, Now, Target},
};
use crate::store::{Operation, Txn};

/// Changes that wait here; more wait in the command channel. Answered in the order they came.
const CHANGES_MAX: usize = 1_024;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    changes: VecDeque<(Change, Answer)>,
    /// Instances whose memory may differ from the catalog. True: written even if readers see it already,
    /// because the store does not have it.
    instances: BTreeMap<InstanceKey, bool>,
    nodes: BTreeSet<Id>,
}

/// What one commit carries.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) writes: Writes,
    /// To be told how it went.
    pub(super) answers: Vec<Answer>,
    /// Instances taken from the backlog, whether or not they had to be written.
    pub(super) refreshed: BTreeSet<InstanceKey>,
    /// Nodes likewise.
    pub(super) refreshed_nodes: BTreeSet<Id>,
    /// Instances that a sidecar takes over by it.
    attached: BTreeSet<InstanceKey>,
    /// Removals for having been critical too long.
    pub(super) reaped: Vec<(InstanceKey, Doomed)>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.instances.is_empty() && self.nodes.is_empty()
    }

    /// Whether there is room for another command.
    pub(super) fn has_room(&self) -> bool {
        self.changes.len() < CHANGES_MAX
    }

    pub(super) fn push(&mut self, change: Change, answer: Answer) {
        self.changes.push_back((change, answer));
    }

    /// An instance is to be compared with what memory says.
    pub(super) fn refresh(&mut self, key: InstanceKey, force: bool) {
        *self.instances.entry(key).or_insert(false) |= force;
    }

    /// A node's own checks likewise.
    pub(super) fn refresh_node(&mut self, name: Id) {
        self.nodes.insert(name);
    }

    /// Marks all that is to be refreshed as shown already, so that it is stored all the same. Returns it.
    pub(super) fn force_all(&mut self) -> Vec<InstanceKey> {
        self.instances.values_mut().for_each(|force| *force = true);
        self.instances.keys().cloned().collect()
    }

    /// Whether what memory says of this is still to be taken up.
    pub(super) fn awaits(&self, target: &Target, node: &Id) -> bool {
        match target {
            Target::Instance(key) => self.awaits_instance(key),
            Target::Node => self.nodes.contains(node),
        }
    }

    /// The same of an instance.
    pub(super) fn awaits_instance(&self, key: &InstanceKey) -> bool {
        self.instances.contains_key(key)
    }

    /// Takes a commit's worth.
    pub(super) fn take(&mut self, mut draft: Draft<'_>, live: &Live, now: Now) -> Batch {
        let mut batch = Batch::default();
        while !draft.is_full()
            && let Some(name) = self.nodes.pop_first()
        {
            report(draft.refresh_node(&name));
            batch.refreshed_nodes.insert(name);
        }
        while !draft.is_full()
            && let Some((key, force)) = self.instances.pop_first()
        {
            report(draft.refresh(&key, force));
            batch.refreshed.insert(key);
        }
        while !draft.is_full()
            && let Some((change, answer)) = self.changes.pop_front()
        {
            match batch.allowed(&change, live, now).and_then(|()| draft.apply(&change)) {
                Ok(Progress::Done) => {
                    batch.attached.extend(change.attaches().cloned());
                    batch.answers.push(answer);
                }
                Ok(Progress::More) => {
                    self.changes.push_front((change, answer));
                    break;
                }
                Err(error) => {
                    answer.refuse(error);
                    continue;
                }
            }
            if let Change::Reap { key, doomed } = change {
                batch.reaped.push((key, doomed));
            }
        }
        batch.writes = draft.into_writes();
        batch
    }
}

impl Batch {
    /// The transaction that writes it.
    pub(super) fn txn(&self) -> Txn {
        Txn { guards: Vec::new(), operations: self.writes.operations().collect() }
    }

    /// Things may have changed while the change waited: a lease taken over, an instance that recovered.
    fn allowed(&self, change: &Change, live: &Live, now: Now) -> Result<(), RegistryError> {
        let stands = match change {
            Change::Detach { key, .. } | Change::Reap { key, .. } if self.attached.contains(key) => Err(key),
            Change::Detach { key, cell } if !live.holds(key, cell) => Err(key),
            Change::Reap { key, doomed } if !live.is_due(key, doomed, now) => Err(key),
            _ => Ok(()),
        };
        stands.map_err(|key| RegistryError::LeaseLost { key: key.clone() })
    }

    /// Whether it writes or removes this instance.
    pub(super) fn writes_to(&self, key: &InstanceKey) -> bool {
        self.writes.instances.contains_key(key)
    }

    /// Whether it carries what memory says of this.
    pub(super) fn carries(&self, target: &Target, node: &Id) -> bool {
        match target {
            Target::Instance(key) => self.refreshed.contains(key),
            Target::Node => self.refreshed_nodes.contains(node),
        }
    }
}

impl Writes {
    fn operations(&self) -> impl Iterator<Item = Operation> {
        let operation = |key: String, bytes: Option<bytes::Bytes>| match bytes {
            Some(value) => Operation::Put { key: key.into(), value, lease: None },
            None => Operation::Delete { key: key.into() },
        };
        let instances = self.instances.iter().map(move |(key, written)| {
            operation(super::record::instance_key(key), written.as_ref().map(|written| written.bytes.clone()))
        });
        let nodes = self.nodes.iter().map(move |(name, written)| {
            operation(super::record::node_key(name), written.as_ref().map(|written| written.bytes.clone()))
        });
        instances.chain(nodes)
    }
}

/// A refresh fails only if a record has outgrown its limit, which the registration's own limits prevent.
fn report(refreshed: Result<(), RegistryError>) {
    if let Err(error) = refreshed {
        error!(%error, "a health transition cannot be stored");
    }
}
