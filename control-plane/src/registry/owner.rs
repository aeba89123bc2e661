//! The one task that owns the registry. It takes commands, turns the wheels, has at most one commit under way
//! and shows what is committed. What it decides is in `draft`, `live` and `status`; here is only the order.
//!
//! ```text
//!            ┌────────────── idle ◀──────────────┐
//!  backlog   │                                   │ committed: apply, show, answer
//!  not empty ▼                                   │ refused:   answer the error, show health, retry in 5 s
//!        take a batch ──▶ commit under way ──────┘
//!                         (commands go to memory and backlog)
//! ```
//! What happens when the store refuses is in `owner::truth`.

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::info;
use weft_model::{
    health::Step,
    lease::TICK,
    name::{Id, InstanceKey},
};

use super::{
    Catalog, RegistryError, RegistryOptions, RegistryStats,
    batch::{Backlog, Batch},
    command::{Answer, Change, Command},
    draft::Draft,
    lease::LeaseCell,
    live::{Live, Now, Target},
    probes::Probes,
};
use crate::store::{Committed, Revision, Store, StoreError};

mod load;
mod truth;

/// Commands taken in one go before the catalog is shown again: a burst costs one catalog.
const BURST: usize = 256;
/// After the store has refused, what is not stored is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A commit that takes longer no longer holds back health.
const STALL: Duration = Duration::from_secs(1);

/// The registry's state and its task.
pub(super) struct Owner {
    store: Arc<dyn Store>,
    stop: CancellationToken,
    catalog: Catalog,
    shown: watch::Sender<Arc<Catalog>>,
    /// The catalog has changed since it was shown.
    changed: bool,
    live: Live,
    backlog: Backlog,
    /// Reports that are answered once readers see them.
    reports: Vec<Report>,
    /// Changes that are answered once readers see them.
    done: Vec<Done>,
    /// Instances of which at most a check's output differs from what is shown.
    outputs: BTreeSet<InstanceKey>,
    /// Shown but not stored, since the store refused.
    unsaved: BTreeSet<InstanceKey>,
    retry_at: Option<Instant>,
    stats: Arc<RegistryStats>,
}

/// Somebody waits to see what was reported.
struct Report {
    target: Target,
    node: Id,
    answer: oneshot::Sender<Result<(), RegistryError>>,
}

/// A change that is stored, and who waits to hear so.
enum Done {
    Revision(oneshot::Sender<Result<Revision, RegistryError>>, Revision),
    Lease(oneshot::Sender<Result<Arc<LeaseCell>, RegistryError>>, Result<Arc<LeaseCell>, RegistryError>),
}

/// The commit that is under way.
struct Commit {
    batch: Batch,
    since: Instant,
    stalled: bool,
    result: Pin<Box<dyn Future<Output = Result<Committed, StoreError>> + Send>>,
}

impl Owner {
    /// Reads all instances and nodes.
    pub(super) async fn load(
        store: Arc<dyn Store>,
        options: RegistryOptions,
        commands: &mpsc::Sender<Command>,
        stats: Arc<RegistryStats>,
    ) -> Result<Self, RegistryError> {
        let now = Now::read();
        let live = Live::new(options.lease, Probes::new(commands), now, Arc::clone(&stats));
        let mut owner = Self {
            store,
            stop: options.stop,
            catalog: Catalog::default(),
            shown: watch::Sender::new(Arc::default()),
            changed: true,
            live,
            backlog: Backlog::default(),
            reports: Vec::new(),
            done: Vec::new(),
            outputs: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            retry_at: None,
            stats,
        };
        owner.read_nodes(now).await?;
        owner.read_instances(now).await?;
        // What was removed before is not known any more: who asks after it is answered once.
        let revision = owner.catalog.revision;
        (owner.catalog.forgotten, owner.catalog.changed) = (revision, revision);
        owner.show(None);
        let (instances, nodes) = (owner.catalog.instance_count(), owner.catalog.nodes.len());
        info!(instances, nodes, revision = owner.catalog.revision, "registry loaded");
        Ok(owner)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.shown.subscribe()
    }

    /// Serves until it is told to stop or every handle is dropped.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = interval(TICK);
        // The wheel finds out by itself that it was turned late; turns in a row would not help it.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commit = None;
        loop {
            tokio::select! {
                // Stopping goes first. Then those who have waited longest: a commit's callers, then leases, so
                // that a flood of commands delays neither.
                biased;
                () = self.stop.cancelled() => break,
                result = finished(&mut commit) => self.settle(commit.take(), result),
                _ = tick.tick() => self.turn(commit.as_mut()),
                received = commands.recv(), if self.backlog.has_room() => match received {
                    Some(command) => self.receive(command, &mut commands),
                    None => break,
                },
            }
            if commit.is_none() {
                commit = self.next_commit();
            }
            self.show(commit.as_ref());
        }
        if commit.is_some() {
            let result = finished(&mut commit).await;
            self.settle(commit.take(), result);
            self.show(None);
        }
    }

    fn receive(&mut self, first: Command, commands: &mut mpsc::Receiver<Command>) {
        self.take(first);
        for _ in 1..BURST {
            match commands.try_recv() {
                Ok(command) if self.backlog.has_room() => self.take(command),
                Ok(command) => return self.take(command),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, command: Command) {
        let now = Now::read();
        match command {
            Command::Change(change, answer) => self.backlog.push(change, answer),
            Command::Report { check, health, output, answer } => {
                match self.live.report(&check, health, &output, now) {
                    Ok((target, step)) => self.noted(target, check.node, step, Some(answer)),
                    Err(error) => drop(answer.send(Err(error))),
                }
            }
            Command::Said { key, cell, health, reason, answer } => {
                if self.live.holds(&key, &cell) {
                    let step = self.live.said(&key, health, &reason, now);
                    let node = key.node.clone();
                    self.noted(Target::Instance(key), node, step, Some(answer));
                } else {
                    drop(answer.send(Err(RegistryError::LeaseLost { key })));
                }
            }
            Command::Revived { key, cell } => {
                if self.live.holds(&key, &cell) {
                    let step = self.live.revive(&key, now);
                    let node = key.node.clone();
                    self.noted(Target::Instance(key), node, step, None);
                }
            }
            Command::Probed { check, generation, result } => {
                if let Some((target, step)) = self.live.observe(&check, generation, &result, now) {
                    self.noted(target, check.node, step, None);
                }
            }
        }
    }

    /// Memory has changed: readers and the store are brought after it.
    fn noted(
        &mut self,
        target: Target,
        node: Id,
        step: Step,
        answer: Option<oneshot::Sender<Result<(), RegistryError>>>,
    ) {
        if step != Step::Same {
            self.refresh(&target, &node);
        }
        if let Some(answer) = answer {
            self.reports.push(Report { target, node, answer });
        }
    }

    fn refresh(&mut self, target: &Target, node: &Id) {
        match target {
            Target::Instance(key) => {
                self.backlog.refresh(key.clone(), false);
                self.outputs.insert(key.clone());
            }
            Target::Node => {
                self.backlog.refresh_node(node.clone());
                self.refresh_on(node);
            }
        }
    }

    /// All instances of a node: its checks count for them.
    fn refresh_on(&mut self, node: &Id) {
        for instance in self.catalog.instances_on(node) {
            self.backlog.refresh(instance.key.clone(), false);
        }
    }

    /// Time has passed.
    fn turn(&mut self, commit: Option<&mut Commit>) {
        let now = Now::read();
        for (check, target) in self.live.turn(now) {
            self.refresh(&target, &check.node);
        }
        if let Some(commit) = commit.filter(|commit| commit.since + STALL < now.at) {
            self.outrun(commit, now);
        }
        if self.retry_at.is_none_or(|at| at <= now.at) {
            self.retry_at = None;
            for key in std::mem::take(&mut self.unsaved) {
                self.backlog.refresh(key, true);
            }
            for (key, doomed) in self.live.due(now) {
                self.backlog.push(Change::Reap { key, doomed }, Answer::Nobody);
            }
        }
    }

    /// Starts a commit of what waits. What needs none is done at once.
    fn next_commit(&mut self) -> Option<Commit> {
        if self.backlog.is_empty() {
            return None;
        }
        let now = Now::read();
        let draft = Draft::new(&self.catalog, &self.live, now.wall);
        let batch = self.backlog.take(draft, &self.live, now);
        if batch.writes.len() == 0 {
            self.apply(batch, self.catalog.revision);
            return None;
        }
        let (store, txn) = (Arc::clone(&self.store), batch.txn());
        let result = Box::pin(async move { store.commit(txn).await });
        Some(Commit { batch, since: now.at, stalled: false, result })
    }

    fn settle(&mut self, commit: Option<Commit>, result: Result<Committed, StoreError>) {
        let Some(Commit { batch, .. }) = commit else {
            return;
        };
        match result {
            Ok(Committed::At(revision)) => {
                self.retry_at = None;
                self.apply(batch, revision);
            }
            Ok(Committed::Refused { .. }) => {
                let reason = "a transaction without guards was refused by one".to_owned();
                self.refused(batch, &StoreError::BadTxn { reason });
            }
            Err(error) => self.refused(batch, &error),
        }
    }

    /// A batch is stored: the catalog takes it over, and memory follows.
    fn apply(&mut self, batch: Batch, revision: Revision) {
        let now = Now::read();
        self.catalog.revision = self.catalog.revision.max(revision);
        let writes = batch.writes;
        self.changed |= writes.len() > 0;
        for (name, written) in writes.nodes {
            let before = self.catalog.nodes.get(&name).cloned();
            if let Some(written) = written {
                let node = written.value.stamped(revision);
                self.live.adopt_node(&node, before.as_deref(), &writes.assigned, now);
                self.catalog.put_node(&node, revision);
            } else {
                before.iter().for_each(|node| self.live.forget_node(node));
                self.catalog.remove_node(&name, revision);
            }
            self.refresh_on(&name);
        }
        // Additions first: an id that moves to another service must not take its node away in between.
        let (removed, put): (Vec<_>, Vec<_>) =
            writes.instances.into_iter().partition(|(_, written)| written.is_none());
        for (key, instance) in put.into_iter().filter_map(|(key, written)| Some((key, written?.value))) {
            let instance = instance.stamped(revision);
            let before = self.catalog.instance(&key).cloned();
            self.live.adopt(&instance, before.as_deref(), &writes.assigned, now);
            self.catalog.put_instance(Arc::new(instance), revision);
            // Memory may have gone on while this was being stored.
            self.refresh(&Target::Instance(key.clone()), &key.node);
        }
        for (key, _) in removed {
            self.catalog.instance(&key).iter().for_each(|held| self.live.forget(held));
            self.catalog.remove_instance(&key, revision);
        }
        self.stats.deregistrations.add(batch.reaped.len());
        for answer in batch.answers {
            match answer {
                Answer::Revision(caller) => self.done.push(Done::Revision(caller, revision)),
                // The lease changes hands here and now, not when the caller hears of it: what the holder
                // before has asked for meanwhile is not to be done any more.
                Answer::Lease(key, caller) => {
                    let cell = self.live.hold(&key, now).ok_or(RegistryError::LeaseLost { key });
                    self.done.push(Done::Lease(caller, cell));
                }
                Answer::Nobody => {}
            }
        }
    }

    /// Publishes the catalog if it has changed, then answers those who waited to see it.
    fn show(&mut self, commit: Option<&Commit>) {
        let now = Now::read();
        for key in std::mem::take(&mut self.outputs) {
            // A transition among them is the commit's to show, which puts the key here again.
            if !self.backlog.awaits_instance(&key)
                && !commit.is_some_and(|commit| commit.batch.writes_to(&key))
            {
                self.reveal(&key, now);
            }
        }
        if std::mem::take(&mut self.changed) {
            self.stats.publications.add(1);
            self.shown.send_replace(Arc::new(self.catalog.clone()));
        }
        for done in std::mem::take(&mut self.done) {
            match done {
                Done::Revision(caller, revision) => drop(caller.send(Ok(revision))),
                Done::Lease(caller, cell) => drop(caller.send(cell)),
            }
        }
        // Of a commit that stalls, health has been shown ahead.
        let stalled = commit.is_some_and(|commit| commit.stalled);
        for report in std::mem::take(&mut self.reports) {
            let Report { target, node, answer } = report;
            let carried = commit.is_some_and(|commit| commit.batch.carries(&target, &node));
            if !stalled && (carried || self.backlog.awaits(&target, &node)) {
                self.reports.push(Report { target, node, answer });
            } else {
                drop(answer.send(Ok(())));
            }
        }
    }
}

/// The result of the commit under way; for ever if there is none.
async fn finished(commit: &mut Option<Commit>) -> Result<Committed, StoreError> {
    match commit {
        Some(commit) => commit.result.as_mut().await,
        None => std::future::pending().await,
    }
}
