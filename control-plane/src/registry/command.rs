//! What the handle asks of the owner task. Changes need a commit; the rest is memory, and at most leads to one.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;
use weft_model::{
    check::ProbeResult,
    endpoint::Health,
    name::{Id, InstanceKey},
};

use super::{
    CheckRegistration, Registration, RegistryError,
    lease::LeaseCell,
    live::{CheckKey, Doomed},
};
use crate::store::Revision;

/// One message to the owner task.
#[derive(Debug)]
pub(super) enum Command {
    /// Something to commit.
    Change(Change, Answer),
    /// A TTL check reports.
    Report {
        check: CheckKey,
        health: Health,
        output: String,
        answer: oneshot::Sender<Result<(), RegistryError>>,
    },
    /// A sidecar says how its application is.
    Said {
        key: InstanceKey,
        cell: Arc<LeaseCell>,
        health: Health,
        reason: String,
        answer: oneshot::Sender<Result<(), RegistryError>>,
    },
    /// A heartbeat came on a lease that had run out.
    Revived { key: InstanceKey, cell: Arc<LeaseCell> },
    /// A probe has run. The generation tells it from one of an earlier definition of the check.
    Probed { check: CheckKey, generation: u64, result: ProbeResult },
}

/// Something to commit.
#[derive(Debug)]
pub(super) enum Change {
    Register(Box<Registration>),
    Attach {
        registration: Box<Registration>,
        incarnation: u64,
        health: Health,
        reason: String,
    },
    Deregister {
        node: Id,
        id: String,
    },
    /// By the holder of the lease, and only while it is.
    Detach {
        key: InstanceKey,
        cell: Arc<LeaseCell>,
    },
    /// By the owner itself, and only if it is still due.
    Reap {
        key: InstanceKey,
        doomed: Doomed,
    },
    RegisterCheck {
        node: Id,
        instance: Option<String>,
        check: Box<CheckRegistration>,
    },
    DeregisterCheck {
        node: Id,
        check: String,
    },
    Maintenance {
        node: Id,
        id: String,
        reason: Option<String>,
    },
    RegisterNode {
        name: Id,
        address: String,
        meta: BTreeMap<String, String>,
    },
    DeregisterNode {
        name: Id,
    },
}

impl Change {
    /// The instance that a sidecar takes over by it.
    pub(super) fn attaches(&self) -> Option<&InstanceKey> {
        match self {
            Self::Attach { registration, .. } => Some(&registration.key),
            _ => None,
        }
    }
}

/// Who waits for a change.
#[derive(Debug)]
pub(super) enum Answer {
    Revision(oneshot::Sender<Result<Revision, RegistryError>>),
    Lease(InstanceKey, oneshot::Sender<Result<Arc<LeaseCell>, RegistryError>>),
    Nobody,
}

impl Answer {
    /// The change did not happen.
    pub(super) fn refuse(self, error: RegistryError) {
        // A caller that has gone away does not want to know.
        match self {
            Self::Revision(caller) => drop(caller.send(Err(error))),
            Self::Lease(_, caller) => drop(caller.send(Err(error))),
            Self::Nobody => {}
        }
    }
}
