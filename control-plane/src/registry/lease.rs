//! The lease that a sidecar's stream holds. A renewal is one atomic store, read by the owner's wheel when the
//! lease seems overdue: a thousand heartbeats a second wake nobody and cannot be lost in a full queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use weft_model::{endpoint::Health, name::InstanceKey};

use super::{
    RegistryError,
    command::{Answer, Change, Command},
};

const LIVE: u8 = 0;
const EXPIRED: u8 = 1;
const GONE: u8 = 2;

/// What the holder and the owner share.
#[derive(Debug)]
pub(super) struct LeaseCell {
    base: Instant,
    /// Milliseconds after `base` at which the holder was last heard.
    heard: AtomicU64,
    state: AtomicU8,
}

/// An attached instance: as long as this is renewed, the instance lives. Dropping it without
/// [`Lease::deregister`] lets the lease run out: a stream that breaks may be a network that breaks, and the
/// sidecar comes back with the same incarnation.
#[derive(Debug)]
pub struct Lease {
    key: InstanceKey,
    cell: Arc<LeaseCell>,
    commands: mpsc::Sender<Command>,
}

impl LeaseCell {
    pub(super) fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self { base: now, heard: AtomicU64::new(0), state: AtomicU8::new(LIVE) })
    }

    pub(super) fn heard(&self) -> Instant {
        self.base + Duration::from_millis(self.heard.load(Ordering::Acquire))
    }

    pub(super) fn expire(&self) {
        self.state.store(EXPIRED, Ordering::Release);
    }

    pub(super) fn revive(&self) {
        self.state.store(LIVE, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.state.store(GONE, Ordering::Release);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) == GONE
    }

    fn hear(&self, now: Instant) -> u8 {
        let after = now.saturating_duration_since(self.base).as_millis();
        self.heard.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Release);
        self.state.load(Ordering::Acquire)
    }
}

impl Lease {
    pub(super) fn new(key: InstanceKey, cell: Arc<LeaseCell>, commands: mpsc::Sender<Command>) -> Self {
        Self { key, cell, commands }
    }

    /// Which instance.
    pub fn key(&self) -> &InstanceKey {
        &self.key
    }

    /// A heartbeat came: memory only, never a commit. False when the lease is no longer this holder's: another
    /// incarnation took the id over, or the instance was removed; then attach again or stop.
    pub fn renew(&self) -> bool {
        match self.cell.hear(Instant::now()) {
            GONE => false,
            EXPIRED => {
                // A full queue only means that the next heartbeat tries again.
                let revived = Command::Revived { key: self.key.clone(), cell: Arc::clone(&self.cell) };
                drop(self.commands.try_send(revived));
                true
            }
            _ => true,
        }
    }

    /// What the sidecar's own checks say. Answered when the catalog shows it; if the store refuses it, it is
    /// shown all the same and stored later (see `owner`). Counts as a heartbeat.
    ///
    /// # Errors
    /// [`RegistryError::LeaseLost`], [`RegistryError::Closed`].
    pub async fn report(&self, health: Health, reason: String) -> Result<(), RegistryError> {
        if !self.renew() {
            return Err(RegistryError::LeaseLost { key: self.key.clone() });
        }
        let (answer, answered) = oneshot::channel();
        let (key, cell) = (self.key.clone(), Arc::clone(&self.cell));
        let said = Command::Said { key, cell, health, reason, answer };
        self.commands.send(said).await.map_err(|_| RegistryError::Closed)?;
        answered.await.unwrap_or(Err(RegistryError::Closed))
    }

    /// The instance stops: it is gone at once.
    ///
    /// # Errors
    /// [`RegistryError::LeaseLost`] when it was no longer this holder's, or what the store says.
    pub async fn deregister(self) -> Result<(), RegistryError> {
        let (answer, answered) = oneshot::channel();
        let change = Change::Detach { key: self.key, cell: self.cell };
        let command = Command::Change(change, Answer::Revision(answer));
        self.commands.send(command).await.map_err(|_| RegistryError::Closed)?;
        answered.await.unwrap_or(Err(RegistryError::Closed)).map(drop)
    }
}
