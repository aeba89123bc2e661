//! The one thread that writes: takes what is queued as one group, drafts it, makes it durable, shows it, answers.
//! While the disk works the next group gathers, so the cost of an fdatasync is shared without any delay of ours.
//!
//! ```text
//!  waiting ──commands or due leases──▶ drafting ──▶ writing ──durable──▶ answering ──▶ waiting
//!     │ stop: queue closed, drained                    │ error
//!     ▼                                                ▼
//!   ended                                    poisoned: all writes refused, reads go on
//! ```

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::disk::Disk;
use crate::store::{
    Committed, LeaseId, Operation, StoreError, Txn, draft::Draft, fresh_lease, state::State, visible::Visible,
};

/// Commands in a group, at most, so that no answer waits for an endless group.
const GROUP_COMMANDS_MAX: usize = 512;
/// Bytes of keys and values in a group, at most (the last transaction may go over).
const GROUP_BYTES_MAX: usize = 4 << 20;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the committer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Commit { txn: Txn, answer: Answer<Committed> },
    Grant { ttl: Duration, answer: Answer<LeaseId> },
    Revoke { lease: LeaseId, answer: Answer<()> },
}

/// Sends an outcome once the group is durable, or the disk's error instead.
type Reply = Box<dyn FnOnce(Result<(), StoreError>)>;

/// Owns the disk.
pub(super) struct Committer {
    disk: Disk,
    visible: Arc<Visible>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    /// The first disk error; nothing is written after it.
    poison: Option<String>,
}

impl Committer {
    pub(super) fn new(
        disk: Disk,
        visible: Arc<Visible>,
        commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) -> Self {
        Self { disk, visible, commands, stop, poison: None }
    }

    /// Runs until the store is closed and the queue is empty; the directory is free afterwards.
    pub(super) fn run(mut self) {
        // Only for waiting with a deadline: the thread is ours, so blocking on the disk holds nobody up.
        match runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => error!(%error, "store committer cannot run"),
        }
        self.visible.close();
        // Frees the directory before the store says that it has closed.
        drop(self.disk);
    }

    async fn serve(&mut self) {
        while let Some(mut group) = self.gather().await {
            // Looked at with each group, so that a busy queue does not keep leases alive.
            let due = if self.poison.is_none() { self.visible.take_due() } else { Vec::new() };
            self.commit(&mut group, &due);
        }
    }

    /// Waits for something to do: commands, or (with no command) a lease that is due. `None` when closed.
    async fn gather(&mut self) -> Option<Vec<Command>> {
        let deadline = if self.poison.is_none() { self.visible.next_deadline() } else { None };
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let first = tokio::select! {
            // Stopping first: it only shuts the queue, and what is in it is still taken below.
            biased;
            () = self.stop.cancelled(), if !self.commands.is_closed() => {
                self.commands.close();
                return Some(Vec::new());
            }
            command = self.commands.recv() => command?,
            () = due => return Some(Vec::new()),
        };
        let mut bytes = first.size();
        let mut group = vec![first];
        while group.len() < GROUP_COMMANDS_MAX
            && bytes < GROUP_BYTES_MAX
            && let Ok(command) = self.commands.try_recv()
        {
            bytes += command.size();
            group.push(command);
        }
        Some(group)
    }

    fn commit(&mut self, group: &mut Vec<Command>, due: &[LeaseId]) {
        if self.poison.is_some() {
            group.drain(..).for_each(|command| command.refuse(self.refusal()));
            return;
        }
        let (draft, replies) = self.visible.with(|state| draft_group(state, group, due));
        let durable = if draft.is_empty() { Ok(()) } else { self.disk.write(&draft) };
        match durable {
            Ok(()) => {
                if !draft.is_empty() {
                    self.visible.apply(draft);
                }
                replies.into_iter().for_each(|reply| reply(Ok(())));
            }
            Err(reason) => {
                error!(path = %self.disk.path(), reason, "store cannot be written any more");
                self.poison = Some(reason);
                replies.into_iter().for_each(|reply| reply(Err(self.refusal())));
            }
        }
    }

    fn refusal(&self) -> StoreError {
        let reason = self.poison.clone().unwrap_or_default();
        StoreError::Disk { path: self.disk.path().to_owned(), reason }
    }
}

impl Command {
    fn size(&self) -> usize {
        match self {
            Self::Commit { txn, .. } => txn.operations.iter().map(Operation::size).sum(),
            Self::Grant { .. } | Self::Revoke { .. } => 0,
        }
    }

    /// Decides the command on top of the group so far.
    fn draft(self, state: &State, draft: &mut Draft) -> Reply {
        match self {
            Self::Commit { txn, answer } => reply(answer, draft.transact(state, &txn)),
            Self::Grant { ttl, answer } => {
                let lease = fresh_lease(|lease| draft.has_lease(state, lease));
                draft.grant(lease, ttl);
                reply(answer, Ok(lease))
            }
            Self::Revoke { lease, answer } => reply(answer, draft.end_lease(state, lease)),
        }
    }

    fn refuse(self, error: StoreError) {
        // Whoever asked may have gone.
        match self {
            Self::Commit { answer, .. } => drop(answer.send(Err(error))),
            Self::Grant { answer, .. } => drop(answer.send(Err(error))),
            Self::Revoke { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

fn draft_group(state: &State, group: &mut Vec<Command>, due: &[LeaseId]) -> (Draft, Vec<Reply>) {
    let mut draft = Draft::on(state);
    for lease in due {
        // It may have been revoked since; then there is nothing left to end.
        let ended = draft.end_lease(state, *lease).is_ok();
        debug!(lease, ended, "lease ran out");
    }
    let replies = group.drain(..).map(|command| command.draft(state, &mut draft)).collect();
    (draft, replies)
}

fn reply<T: 'static>(answer: Answer<T>, outcome: Result<T, StoreError>) -> Reply {
    // Whoever asked may have gone; the transaction stands all the same.
    Box::new(move |durable| drop(answer.send(durable.and(outcome))))
}
