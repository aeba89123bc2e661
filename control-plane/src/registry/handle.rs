//! The door of the registry: commands in, catalogs out. Clones are cheap.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use weft_model::{endpoint::Health, name::Id};

use super::{
    Catalog, RegistryStats,
    command::{Answer, Change, Command},
    live::CheckKey,
    owner,
};
pub use super::{CheckRegistration, Lease, Registration, RegistryError};
use crate::store::{Revision, Store};

/// Commands that wait for the owner; more wait in their callers.
pub(super) const COMMANDS_MAX: usize = 1_024;
/// The lease of an attached instance (DESIGN.md, "Registry and health").
pub const LEASE_DEFAULT: Duration = Duration::from_secs(3);
/// An attached instance is removed this long after its lease ended, by default.
pub const DEREGISTER_AFTER_DEFAULT: Duration = Duration::from_secs(60);

/// How the registry runs.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Ends the owner task and with it all probes.
    pub stop: CancellationToken,
    /// The lease of an attached instance.
    pub lease: Duration,
}

/// The registry.
#[derive(Debug, Clone)]
pub struct Registry {
    catalog: watch::Receiver<Arc<Catalog>>,
    commands: mpsc::Sender<Command>,
    stats: Arc<RegistryStats>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { stop: CancellationToken::new(), lease: LEASE_DEFAULT }
    }
}

impl Registry {
    /// Loads all from the store, then serves until `options.stop`. The task handle ends when the last commit is
    /// answered.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        store: Arc<dyn Store>,
        options: RegistryOptions,
    ) -> Result<(Self, JoinHandle<()>), RegistryError> {
        let stats = Arc::new(RegistryStats::default());
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let owner = owner::Owner::load(store, options, &commands, Arc::clone(&stats)).await?;
        let catalog = owner.subscribe();
        let task = tokio::spawn(owner.run(received));
        Ok((Self { catalog, commands, stats }, task))
    }

    /// Now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// Now and all that comes; a slow reader sees only the newest.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// What it has counted.
    pub fn stats(&self) -> &RegistryStats {
        &self.stats
    }

    /// Registers or replaces. Answered when it is in the store and the catalog shows it.
    ///
    /// # Errors
    /// Limits, or what the store says.
    pub async fn register(&self, mut registration: Registration) -> Result<Revision, RegistryError> {
        registration.complete()?;
        self.change(Change::Register(Box::new(registration))).await
    }

    /// Removes an instance from whatever service it is of.
    ///
    /// # Errors
    /// [`RegistryError::NoInstance`], or what the store says.
    pub async fn deregister(&self, node: Id, id: &str) -> Result<Revision, RegistryError> {
        self.change(Change::Deregister { node, id: id.to_owned() }).await
    }

    /// Adds a check to a node, or to the instance `instance` on it (Consul's `ServiceID`).
    ///
    /// # Errors
    /// [`RegistryError::NoInstance`], limits, or what the store says.
    pub async fn register_check(
        &self,
        node: Id,
        instance: Option<String>,
        check: CheckRegistration,
    ) -> Result<Revision, RegistryError> {
        self.change(Change::RegisterCheck { node, instance, check: Box::new(check) }).await
    }

    /// Removes a check of a node or of an instance on it.
    ///
    /// # Errors
    /// [`RegistryError::NoCheck`], or what the store says.
    pub async fn deregister_check(&self, node: Id, check: &str) -> Result<Revision, RegistryError> {
        self.change(Change::DeregisterCheck { node, check: check.to_owned() }).await
    }

    /// A TTL check reports. A report that changes nothing is memory only; one that does is answered when the
    /// catalog shows it, stored or (if the store refuses) to be stored later.
    ///
    /// # Errors
    /// [`RegistryError::NoCheck`], [`RegistryError::NotTtl`].
    pub async fn report_check(
        &self,
        node: Id,
        check: &str,
        health: Health,
        output: String,
    ) -> Result<(), RegistryError> {
        let (answer, answered) = oneshot::channel();
        let check = CheckKey { node, id: check.to_owned() };
        self.send(Command::Report { check, health, output, answer }).await?;
        answered.await.unwrap_or(Err(RegistryError::Closed))
    }

    /// Takes an instance out of service (with a reason, which may be empty), or back in.
    ///
    /// # Errors
    /// [`RegistryError::NoInstance`], or what the store says.
    pub async fn maintenance(
        &self,
        node: Id,
        id: &str,
        reason: Option<String>,
    ) -> Result<Revision, RegistryError> {
        self.change(Change::Maintenance { node, id: id.to_owned(), reason }).await
    }

    /// Registers or replaces a node (catalog API).
    ///
    /// # Errors
    /// Limits, or what the store says.
    pub async fn register_node(
        &self,
        name: Id,
        address: String,
        meta: BTreeMap<String, String>,
    ) -> Result<Revision, RegistryError> {
        self.change(Change::RegisterNode { name, address, meta }).await
    }

    /// Removes a node with all that is on it (catalog API); of an unknown one, nothing happens, as in Consul.
    ///
    /// # Errors
    /// What the store says.
    pub async fn deregister_node(&self, name: Id) -> Result<Revision, RegistryError> {
        self.change(Change::DeregisterNode { name }).await
    }

    /// Registers an instance that a sidecar holds by its stream. `incarnation` decides between two that
    /// claim one key: the same or a higher one takes over. `deregister_after` of `None` is
    /// [`DEREGISTER_AFTER_DEFAULT`]; `origin` is [`super::Origin::Attach`] whatever is given.
    ///
    /// # Errors
    /// [`RegistryError::OldIncarnation`], limits, or what the store says.
    pub async fn attach(
        &self,
        mut registration: Registration,
        incarnation: u64,
        health: Health,
        reason: String,
    ) -> Result<Lease, RegistryError> {
        registration.checks.clear();
        registration.origin = super::Origin::Attach;
        registration.deregister_after.get_or_insert(DEREGISTER_AFTER_DEFAULT);
        registration.complete()?;
        let (answer, answered) = oneshot::channel();
        let key = registration.key.clone();
        let registration = Box::new(registration);
        let change = Change::Attach { registration, incarnation, health, reason };
        self.send(Command::Change(change, Answer::Lease(key.clone(), answer))).await?;
        let cell = answered.await.unwrap_or(Err(RegistryError::Closed))?;
        Ok(Lease::new(key, cell, self.commands.clone()))
    }

    async fn change(&self, change: Change) -> Result<Revision, RegistryError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Change(change, Answer::Revision(answer))).await?;
        answered.await.unwrap_or(Err(RegistryError::Closed))
    }

    async fn send(&self, command: Command) -> Result<(), RegistryError> {
        self.commands.send(command).await.map_err(|_| RegistryError::Closed)
    }
}
