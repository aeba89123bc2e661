//! What all threads of a broker know: who may do what, which virtual hosts there are, who is connected.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    counts::Counts,
    handle::VhostHandle,
    host::{Call, Command},
    watermarks::{Usage, Watermarks},
};
use crate::{
    access::{Access, store::StoreError},
    vhost::VhostLimits,
};

/// What is known of a broker that runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The version of Weft.
    pub version: String,
    /// Where AMQP clients arrive.
    pub amqp: Option<SocketAddr>,
    /// Where the management API is.
    pub management: Option<SocketAddr>,
    /// When publishers wait.
    pub watermarks: Watermarks,
    /// When it was started, milliseconds since 1970.
    pub started_at_ms: u64,
}

/// What is shared.
#[derive(Debug)]
pub struct Shared {
    pub(super) data_dir: PathBuf,
    pub(super) limits: VhostLimits,
    /// As RabbitMQ's `rabbit@host`.
    pub node: String,
    /// What does not change while it runs.
    pub facts: Facts,
    pub(super) counts: Arc<Counts>,
    pub(super) state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) access: Arc<Access>,
    pub(super) vhosts: HashMap<Arc<str>, VhostHandle>,
    pub(super) threads: HashMap<Arc<str>, std::thread::JoinHandle<()>>,
}

impl Shared {
    pub(super) fn new(
        data_dir: PathBuf,
        node: String,
        facts: Facts,
        limits: VhostLimits,
        access: Access,
    ) -> Self {
        let state = State { access: Arc::new(access), vhosts: HashMap::new(), threads: HashMap::new() };
        Self { data_dir, limits, node, facts, counts: Arc::default(), state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds it; if something did, what it left is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a virtual host may use.
    pub fn limits(&self) -> VhostLimits {
        self.limits
    }

    /// What is used of memory and disk now.
    pub fn usage(&self) -> Usage {
        Usage::now(&self.data_dir)
    }

    /// Who may do what, as of now.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.state().access)
    }

    /// A virtual host by its name.
    pub fn vhost(&self, name: &str) -> Option<VhostHandle> {
        self.state().vhosts.get(name).cloned()
    }

    /// All of them, by name.
    pub fn vhosts(&self) -> Vec<VhostHandle> {
        let mut all: Vec<_> = self.state().vhosts.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Changes who may do what: written to the disk first, then told to all virtual hosts.
    ///
    /// # Errors
    /// When it cannot be written; then nothing changes.
    pub fn edit_access<T>(&self, edit: impl FnOnce(&mut Access) -> T) -> Result<T, StoreError> {
        let mut state = self.state();
        let mut access = Access::clone(&state.access);
        let outcome = edit(&mut access);
        crate::access::store::save(&self.data_dir.join(super::ACCESS_FILE), &access)?;
        state.access = Arc::new(access);
        for vhost in state.vhosts.values() {
            let access = Arc::clone(&state.access);
            let call: Call = Box::new(move |vhost| vhost.set_access(access));
            if vhost.commands.try_send(Command::Call(call)).is_err() {
                tracing::warn!(vhost = &*vhost.name, "too busy to hear of new rights now");
            }
        }
        Ok(outcome)
    }

    /// Connections that are open.
    pub fn connection_count(&self) -> u64 {
        self.counts.connections()
    }
}
