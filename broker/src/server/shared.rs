//! What all threads of a broker know: who may do what, which virtual hosts there are, who is connected.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    host::{Call, Command},
    watermarks::{Usage, Watermarks},
};
use crate::{
    access::{Access, decide::OpenConnections, store::StoreError},
    vhost::{Vhost, VhostLimits},
};

/// One virtual host, from outside its thread.
#[derive(Clone)]
pub struct VhostHandle {
    pub(super) name: Arc<str>,
    pub(super) commands: mpsc::Sender<Command>,
    /// The id of its log, as text.
    pub log_id: Arc<str>,
    /// How often its log was opened.
    pub fencing: u64,
}

/// A virtual host does not answer: it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the virtual host is ending")]
pub struct Ending;

impl VhostHandle {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its thread has ended.
    pub fn has_ended(&self) -> bool {
        self.commands.is_closed()
    }

    /// Does something with the state on its thread, and brings back what comes of it.
    ///
    /// # Errors
    /// When it ends.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vhost) -> T + Send + 'static,
    ) -> Result<T, Ending> {
        let (tell, told) = oneshot::channel();
        let call: Call = Box::new(move |vhost| {
            let _asker_has_gone = tell.send(work(vhost));
        });
        self.commands.send(Command::Call(call)).await.map_err(|_| Ending)?;
        told.await.map_err(|_| Ending)
    }
}

impl VhostHandle {
    /// As [`Self::with`], and the answer comes when all that was done is safe on the disk.
    ///
    /// # Errors
    /// When it ends, or its log takes nothing more.
    pub async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vhost) -> T + Send + 'static,
    ) -> Result<T, Ending> {
        let (tell, told) = oneshot::channel();
        let call: Call = Box::new(move |vhost| {
            let outcome = work(vhost);
            vhost.when_durable(Box::new(move || {
                let _asker_has_gone = tell.send(outcome);
            }));
        });
        self.commands.send(Command::Call(call)).await.map_err(|_| Ending)?;
        told.await.map_err(|_| Ending)
    }
}

impl std::fmt::Debug for VhostHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VhostHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

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
    pub(super) state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) access: Arc<Access>,
    pub(super) vhosts: HashMap<Arc<str>, VhostHandle>,
    pub(super) threads: HashMap<Arc<str>, std::thread::JoinHandle<()>>,
    connections_of_user: HashMap<String, u64>,
    connections_of_vhost: HashMap<String, u64>,
}

impl Shared {
    pub(super) fn new(
        data_dir: PathBuf,
        node: String,
        facts: Facts,
        limits: VhostLimits,
        access: Access,
    ) -> Self {
        let state = State {
            access: Arc::new(access),
            vhosts: HashMap::new(),
            threads: HashMap::new(),
            connections_of_user: HashMap::new(),
            connections_of_vhost: HashMap::new(),
        };
        Self { data_dir, limits, node, facts, state: Mutex::new(state) }
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

    /// What is open of a user and in a virtual host.
    pub(super) fn open_connections(&self, user: &str, vhost: &str) -> OpenConnections {
        let state = self.state();
        OpenConnections {
            of_user: state.connections_of_user.get(user).copied().unwrap_or(0),
            of_vhost: state.connections_of_vhost.get(vhost).copied().unwrap_or(0),
        }
    }

    /// Connections that are open.
    pub fn connection_count(&self) -> u64 {
        self.state().connections_of_vhost.values().sum()
    }

    /// Counts a connection until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>, user: &str, vhost: &str) -> Counted {
        let mut state = self.state();
        *state.connections_of_user.entry(user.to_owned()).or_insert(0) += 1;
        *state.connections_of_vhost.entry(vhost.to_owned()).or_insert(0) += 1;
        Counted { shared: Arc::clone(self), user: user.to_owned(), vhost: vhost.to_owned() }
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(super) struct Counted {
    shared: Arc<Shared>,
    user: String,
    vhost: String,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        uncount(&mut state.connections_of_user, &self.user);
        uncount(&mut state.connections_of_vhost, &self.vhost);
    }
}

fn uncount(counts: &mut HashMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(name);
        }
    }
}
