//! What all threads of a broker know: who may do what, which virtual hosts there are, who is connected.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    counts::Counts,
    handle::VhostHandle,
    watermarks::{Alarms, Usage, Watermarks},
};
use crate::{
    access::{Access, store::StoreError},
    vhost::VhostLimits,
};

/// What is known of a broker that runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Connections at most.
    pub connections_max: usize,
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
    standing: watch::Sender<Standing>,
    /// As it was seen last.
    pub(super) usage: Mutex<Usage>,
    /// Held by who changes `standing.access`, while it is written to the disk as well.
    editing: Mutex<()>,
    /// Held by who opens or removes a virtual host.
    pub(super) opening: Mutex<()>,
    pub(super) state: Mutex<State>,
}

/// What holds for all virtual hosts. Their threads watch it: it cannot be lost, however busy they are.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// Who may do what.
    pub(super) access: Arc<Access>,
    /// Why publishers wait.
    pub(super) alarms: Alarms,
}

/// What runs.
#[derive(Debug)]
pub(super) struct State {
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
        Self {
            data_dir,
            limits,
            node,
            facts,
            counts: Arc::default(),
            standing: watch::Sender::new(Standing { access: Arc::new(access), alarms: Alarms::default() }),
            usage: Mutex::default(),
            editing: Mutex::new(()),
            opening: Mutex::new(()),
            state: Mutex::new(State { vhosts: HashMap::new(), threads: HashMap::new() }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds it; if something did, what it left is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a virtual host may use.
    pub fn limits(&self) -> VhostLimits {
        self.limits
    }

    /// Who may do what, as of now.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.standing.borrow().access)
    }

    /// The alarms that all virtual hosts, also those that open later, are told of.
    pub fn alarms(&self) -> Alarms {
        self.standing.borrow().alarms
    }

    pub(super) fn set_alarms(&self, alarms: Alarms) {
        self.standing.send_if_modified(|standing| std::mem::replace(&mut standing.alarms, alarms) != alarms);
    }

    /// What holds for all virtual hosts, from now on.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// A virtual host by its name, if it runs.
    pub fn vhost(&self, name: &str) -> Option<VhostHandle> {
        self.state().vhosts.get(name).filter(|vhost| vhost.is_running()).cloned()
    }

    /// All that run, by name.
    pub fn vhosts(&self) -> Vec<VhostHandle> {
        let mut all: Vec<_> =
            self.state().vhosts.values().filter(|vhost| vhost.is_running()).cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Changes who may do what: written to the disk first, then told to all virtual hosts. Blocks.
    ///
    /// # Errors
    /// When it cannot be written; then nothing changes.
    pub fn edit_access<T>(&self, edit: impl FnOnce(&mut Access) -> T) -> Result<T, StoreError> {
        // Where an edit panicked, nothing was changed.
        let _one_at_a_time = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut access = Access::clone(&self.access());
        let outcome = edit(&mut access);
        crate::access::store::save(&self.data_dir.join(super::ACCESS_FILE), &access)?;
        self.standing.send_modify(|standing| standing.access = Arc::new(access));
        Ok(outcome)
    }

    /// Connections that are open.
    pub fn connection_count(&self) -> u64 {
        self.counts.connections()
    }
}
