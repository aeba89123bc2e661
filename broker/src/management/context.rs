//! What handlers share: the broker, and how its virtual hosts are asked.

use std::sync::Arc;

use serde_json::Value;

use super::{answer::Failure, login, rates::Rates, request::Request};
use crate::{
    access::{Access, UserRef},
    server::{Ending, Shared, VhostHandle},
    vhost::{Vhost, views::Piece},
};

/// Values that a virtual host hands out in one go: its thread is busy with it for a millisecond or so.
pub(super) const PIECE: usize = 1000;

/// What handlers share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) rates: Rates,
}

impl Context {
    /// Who may do what, as of now.
    pub(super) fn access(&self) -> Arc<Access> {
        self.shared.access()
    }

    /// The name of the node.
    pub(super) fn node(&self) -> &str {
        &self.shared.node
    }

    /// The name of the cluster: a global parameter, or the node's.
    pub(super) fn cluster_name(&self) -> String {
        let access = self.access();
        let named = access.global_parameter("cluster_name").and_then(Value::as_str).map(str::to_owned);
        named.unwrap_or_else(|| self.shared.node.clone())
    }

    /// The virtual hosts that a user sees.
    pub(super) fn seen(&self, user: &UserRef) -> Vec<VhostHandle> {
        let access = self.access();
        let mut all = self.shared.vhosts();
        all.retain(|vhost| login::sees(&access, user, vhost.name()));
        all
    }

    /// One of them, or all.
    pub(super) fn seen_of(
        &self,
        request: &Request,
        vhost: Option<&str>,
    ) -> Result<Vec<VhostHandle>, Failure> {
        match vhost {
            Some(name) => Ok(vec![self.see(request, name)?]),
            None => Ok(self.seen(&request.user)),
        }
    }

    /// A virtual host that is to be read.
    pub(super) fn see(&self, request: &Request, vhost: &str) -> Result<VhostHandle, Failure> {
        let access = self.access();
        access.vhost(vhost).ok_or(Failure::NotFound)?;
        self.allowed(vhost, login::sees(&access, &request.user, vhost))
    }

    /// A virtual host that is to be changed: only who has permissions in it may.
    pub(super) fn enter(&self, request: &Request, vhost: &str) -> Result<VhostHandle, Failure> {
        let access = self.access();
        access.vhost(vhost).ok_or_else(|| Failure::Missing("vhost_not_found".to_owned()))?;
        self.allowed(vhost, access.permission(&request.user.name, vhost).is_some())
    }

    fn allowed(&self, vhost: &str, may: bool) -> Result<VhostHandle, Failure> {
        if !may {
            return Err(Failure::Denied("User not authorised to access virtual host".to_owned()));
        }
        self.running(vhost)
    }

    /// A virtual host that answers.
    pub(super) fn running(&self, vhost: &str) -> Result<VhostHandle, Failure> {
        let running = self.shared.vhost(vhost);
        running.ok_or_else(|| Failure::Unavailable(format!("vhost '{vhost}' is down")))
    }

    /// Changes who may do what, off the threads that serve: it is written to the disk.
    pub(super) async fn edit<T: Send + 'static>(
        &self,
        edit: impl FnOnce(&mut Access) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.edit_access(edit)).await?.map_err(Failure::from)
    }
}

/// Something that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::Internal("a task of the management API ended by a panic".to_owned()))
}

/// All values of some virtual hosts, each with the name of its virtual host; one that has ended is left out.
pub(super) async fn gather<T: Send + 'static>(
    vhosts: &[VhostHandle],
    piece: fn(&Vhost, u64, usize) -> Piece<T>,
) -> Vec<(Arc<str>, T)> {
    let mut all = Vec::new();
    for vhost in vhosts {
        let name: Arc<str> = vhost.name().into();
        match gather_of(vhost, piece).await {
            Ok(items) => all.extend(items.into_iter().map(|item| (Arc::clone(&name), item))),
            Err(Ending) => tracing::debug!(vhost = vhost.name(), "has ended and is left out"),
        }
    }
    all
}

/// All values of a virtual host, piece by piece.
pub(super) async fn gather_of<T: Send + 'static>(
    vhost: &VhostHandle,
    piece: fn(&Vhost, u64, usize) -> Piece<T>,
) -> Result<Vec<T>, Ending> {
    let (mut all, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let Piece { items, next } = vhost.with(move |vhost| piece(vhost, at, PIECE)).await?;
        all.extend(items);
        from = next;
    }
    Ok(all)
}
