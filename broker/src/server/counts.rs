//! How many connections are open, by user and by virtual host: what their limits are measured against.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::access::decide::OpenConnections;

/// All counts. Touched when connections come and go, and by nothing else.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    of_user: HashMap<String, u64>,
    of_vhost: HashMap<String, u64>,
}

impl Counts {
    /// What is open of a user and in a virtual host.
    pub(super) fn open(&self, user: &str, vhost: &str) -> OpenConnections {
        let state = self.state();
        let count = |counts: &HashMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or(0);
        OpenConnections { of_user: count(&state.of_user, user), of_vhost: count(&state.of_vhost, vhost) }
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> u64 {
        self.state().of_vhost.values().sum()
    }

    /// Counts a connection until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>, user: &str, vhost: &str) -> Counted {
        let mut state = self.state();
        *state.of_user.entry(user.to_owned()).or_insert(0) += 1;
        *state.of_vhost.entry(vhost.to_owned()).or_insert(0) += 1;
        Counted { counts: Arc::clone(self), user: user.to_owned(), vhost: vhost.to_owned() }
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
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.counts.state();
        uncount(&mut state.of_user, &self.user);
        uncount(&mut state.of_vhost, &self.vhost);
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
