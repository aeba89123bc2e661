//! The reading half that all embedded backends share: the state that is durable, behind one lock that is held for
//! moments only, and the watches on it. It knows no backend: whoever makes a draft durable calls
//! [`Visible::apply`]. A watcher has a place in the shared history and no queue of its own, so a slow one costs
//! nothing and falls out of the history at worst.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use tokio::{sync::watch, time::Instant};

use super::{
    LeaseId, Page, Revision, StoreError, Versioned, Watch, WatchError, WatchEvent, draft::Draft,
    history::Found, state::State,
};

/// What readers and watchers see.
#[derive(Debug)]
pub(crate) struct Visible {
    state: RwLock<State>,
    /// Touched after each change of the state, so that watchers look again.
    pulse: watch::Sender<Pulse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pulse {
    Open,
    Closed,
}

impl Visible {
    /// Shows `state` from now on.
    pub(crate) fn new(state: State) -> Arc<Self> {
        Arc::new(Self { state: RwLock::new(state), pulse: watch::Sender::new(Pulse::Open) })
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state.read().revision()
    }

    pub(crate) fn entry(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.check_open()?;
        Ok(self.state.read().entry(key).cloned())
    }

    pub(crate) fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, StoreError> {
        self.check_open()?;
        Ok(self.state.read().page(prefix, after, limit))
    }

    pub(crate) fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check_open()?;
        let kept = self.state.write().leases_mut().keep_alive(lease, now());
        if kept { Ok(()) } else { Err(StoreError::NoLease { lease }) }
    }

    pub(crate) fn watch(
        self: &Arc<Self>,
        prefix: &str,
        from: Revision,
    ) -> Result<Box<dyn Watch>, WatchError> {
        // 0 is the revision of the empty store; the first transaction is 1.
        let from = from.max(1);
        self.state.read().history().find(prefix, from)?;
        let pulse = self.pulse.subscribe();
        Ok(Box::new(Watcher { visible: Arc::clone(self), prefix: prefix.into(), from, pulse }))
    }

    /// Looks at the state, to draft on it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// Makes a durable draft visible.
    pub(crate) fn apply(&self, draft: Draft) {
        self.state.write().apply(draft, now());
        self.pulse.send_modify(|_| ());
    }

    /// Drafts and applies under one lock, for a backend to which nothing can happen in between.
    pub(crate) fn alter<T>(&self, decide: impl FnOnce(&State, &mut Draft) -> T) -> Result<T, StoreError> {
        self.check_open()?;
        let mut state = self.state.write();
        let mut draft = Draft::on(&state);
        let decided = decide(&state, &mut draft);
        if !draft.is_empty() {
            state.apply(draft, now());
            drop(state);
            self.pulse.send_modify(|_| ());
        }
        Ok(decided)
    }

    /// When a lease may be due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.state.read().leases().next_deadline().map(Instant::from_std)
    }

    /// The leases that are due; the caller ends them.
    pub(crate) fn take_due(&self) -> Vec<LeaseId> {
        let mut state = self.state.write();
        state.trim(now());
        state.leases_mut().take_due(now())
    }

    /// Ends all watches (after what they have not read yet) and refuses reads.
    pub(crate) fn close(&self) {
        self.pulse.send_replace(Pulse::Closed);
    }

    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        match *self.pulse.borrow() {
            Pulse::Open => Ok(()),
            Pulse::Closed => Err(StoreError::Closed),
        }
    }
}

struct Watcher {
    visible: Arc<Visible>,
    prefix: Box<str>,
    from: Revision,
    pulse: watch::Receiver<Pulse>,
}

#[async_trait]
impl Watch for Watcher {
    async fn next(&mut self) -> Result<WatchEvent, WatchError> {
        loop {
            // Marked as seen before looking: a change after this line wakes us again.
            let pulse = *self.pulse.borrow_and_update();
            let found = self.visible.state.read().history().find(&self.prefix, self.from)?;
            match found {
                Found::Event(event) => {
                    self.from = event.revision + 1;
                    return Ok(event);
                }
                Found::UpToDate(from) => self.from = from,
            }
            if pulse == Pulse::Closed || self.pulse.changed().await.is_err() {
                return Err(WatchError::Closed);
            }
        }
    }
}

/// Tokio's clock, so that tests can pause it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
