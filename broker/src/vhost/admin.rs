//! What operators change that no method of AMQP says: policies, and connections that must go.

use super::{Vhost, records, session::SessionId};
use crate::{
    amqp::reply::ReplyCode,
    policy::{Level, Policy, PolicyError, PolicySet},
};

impl Vhost {
    /// Its policies.
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Adds or replaces a policy and applies it. Says whether it is new.
    ///
    /// # Errors
    /// When there are too many.
    pub fn put_policy(&mut self, level: Level, policy: Policy, now_ms: u64) -> Result<bool, PolicyError> {
        self.put_policies(vec![(level, policy)], now_ms).map(|new| new > 0)
    }

    /// Adds or replaces policies, all of them or none, and applies them once. Says how many are new.
    ///
    /// # Errors
    /// When there are too many.
    pub fn put_policies(
        &mut self,
        policies: Vec<(Level, Policy)>,
        now_ms: u64,
    ) -> Result<usize, PolicyError> {
        self.set_time(now_ms);
        let mut next = self.policies.clone();
        let mut new = 0;
        let mut written = Vec::with_capacity(policies.len());
        for (level, policy) in policies {
            new += usize::from(next.find(level, &policy.name).is_none());
            written.push((records::policy_key(level, &policy.name), records::policy(&policy)));
            next.put(level, policy)?;
        }
        self.policies = next;
        for (key, value) in written {
            self.store.declare(&key, Some(&value));
        }
        self.apply_policies();
        self.tend_all();
        Ok(new)
    }

    /// Takes a policy away. Says whether it was there.
    pub fn delete_policy(&mut self, level: Level, name: &str, now_ms: u64) -> bool {
        self.set_time(now_ms);
        if !self.policies.delete(level, name) {
            return false;
        }
        self.store.declare(&records::policy_key(level, name), None);
        self.apply_policies();
        self.tend_all();
        true
    }

    /// Closes a connection by its name with 320 and this reason. Says who it was.
    pub fn close_connection(&mut self, name: &str, reason: &str, now_ms: u64) -> Option<SessionId> {
        self.set_time(now_ms);
        let id = self.sessions.iter().find(|(_, session)| &*session.name == name)?.0;
        self.force_close(id, ReplyCode::ConnectionForced, reason);
        Some(id)
    }
}
