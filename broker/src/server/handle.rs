//! A virtual host from outside its thread: what others hold of it, and how they ask.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::host::{Call, Command};
use crate::vhost::Vhost;

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

/// A virtual host does not answer: it ends, or has ended by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the virtual host is ending")]
pub struct Ending;

impl VhostHandle {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its thread is there to answer.
    pub(super) fn is_running(&self) -> bool {
        !self.commands.is_closed()
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
