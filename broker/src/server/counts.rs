//! How many connections are open, by user and by virtual host, and the channels of each user: what limits are measured
//! against.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{access::decide::OpenConnections, vhost::UserChannels};

/// All counts. Touched when connections come and go, and by nothing else.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    of_user: HashMap<String, OfUser>,
    of_vhost: HashMap<String, u64>,
}

/// What a user has open.
#[derive(Debug, Default)]
struct OfUser {
    connections: u64,
    channels: UserChannels,
}

impl Counts {
    /// What is open of a user and in a virtual host.
    pub(super) fn open(&self, user: &str, vhost: &str) -> OpenConnections {
        let state = self.state();
        OpenConnections {
            of_user: state.of_user.get(user).map_or(0, |of_user| of_user.connections),
            of_vhost: state.of_vhost.get(vhost).copied().unwrap_or(0),
        }
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> u64 {
        self.state().of_vhost.values().sum()
    }

    /// Counts a connection until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>, user: &str, vhost: &str) -> Counted {
        let mut state = self.state();
        let of_user = state.of_user.entry(user.to_owned()).or_default();
        of_user.connections += 1;
        let channels = of_user.channels.clone();
        *state.of_vhost.entry(vhost.to_owned()).or_insert(0) += 1;
        Counted { counts: Arc::clone(self), user: user.to_owned(), vhost: vhost.to_owned(), channels }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds it; if something did, what it left is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Arc<Counts>,
    user: String,
    vhost: String,
    /// Those that the user has open, in all its connections.
    pub(super) channels: UserChannels,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.counts.state();
        if let Some(of_user) = state.of_user.get_mut(&self.user) {
            of_user.connections = of_user.connections.saturating_sub(1);
            if of_user.connections == 0 {
                state.of_user.remove(&self.user);
            }
        }
        if let Some(of_vhost) = state.of_vhost.get_mut(&self.vhost) {
            *of_vhost = of_vhost.saturating_sub(1);
            if *of_vhost == 0 {
                state.of_vhost.remove(&self.vhost);
            }
        }
    }
}
