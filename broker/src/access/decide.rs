//! The questions that connections and channels ask of [`Access`], in RabbitMQ's order where the order is seen.

use super::{
    Access, UserRef,
    password::{PasswordHash, SALT_BYTES},
    permission::{Action, DecisionCache, Resource},
    refused::Refused,
};

/// What is open before one more is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenConnections {
    /// In the virtual host.
    pub of_vhost: u64,
    /// Of the user.
    pub of_user: u64,
}

impl Access {
    /// A login with name and password (PLAIN, AMQPLAIN, basic authentication).
    ///
    /// An unknown user costs the same hash as a known one, and where a loopback user came from is looked at only
    /// after its password was right: a stranger learns nothing from either.
    ///
    /// # Errors
    /// [`Refused`]; a client gets its `client_text`, the log its text.
    pub fn authenticate(&self, user: &str, password: &str, is_loopback: bool) -> Result<UserRef, Refused> {
        if password.is_empty() {
            return Err(Refused::BlankPassword { user: user.into() });
        }
        let found = self.users.get(user);
        let is_right = match found.and_then(|user| user.password.as_ref()) {
            Some(hash) => hash.verify(password),
            None => {
                std::hint::black_box(PasswordHash::make(password, [0; SALT_BYTES]));
                false
            }
        };
        match found {
            Some(found) if is_right => self.let_in(found, is_loopback),
            _ => Err(Refused::Credentials { user: user.into() }),
        }
    }

    /// A login that was proved elsewhere (EXTERNAL: a certificate): the user must be known.
    ///
    /// # Errors
    /// [`Refused::Credentials`] or [`Refused::NotFromHere`].
    pub fn authenticate_proved(&self, user: &str, is_loopback: bool) -> Result<UserRef, Refused> {
        let found = self.users.get(user).ok_or_else(|| Refused::Credentials { user: user.into() })?;
        self.let_in(found, is_loopback)
    }

    fn let_in(&self, user: &UserRef, is_loopback: bool) -> Result<UserRef, Refused> {
        if !is_loopback && self.loopback_users.contains(&user.name) {
            return Err(Refused::NotFromHere { user: user.name.clone() });
        }
        Ok(user.clone())
    }

    /// `connection.open`: the virtual host is there, has room, as has the user, who may enter it.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn open_connection(&self, user: &str, vhost: &str, open: OpenConnections) -> Result<(), Refused> {
        let host = self.vhosts.get(vhost).ok_or_else(|| Refused::NoVhost { vhost: vhost.into() })?;
        if let Some(limit) = reached(host.limits.connections_max, open.of_vhost) {
            return Err(Refused::VhostConnections { user: user.into(), vhost: vhost.into(), limit });
        }
        let connections_max = self.users.get(user).and_then(|user| user.limits.connections_max);
        if let Some(limit) = reached(connections_max, open.of_user) {
            return Err(Refused::UserConnections { user: user.into(), limit });
        }
        self.may_enter(user, vhost)
    }

    /// Whether a user has permissions in a virtual host, whatever they are.
    ///
    /// # Errors
    /// [`Refused::NoVhost`] or [`Refused::Vhost`].
    pub fn may_enter(&self, user: &str, vhost: &str) -> Result<(), Refused> {
        if !self.vhosts.contains_key(vhost) {
            return Err(Refused::NoVhost { vhost: vhost.into() });
        }
        match self.permission(user, vhost) {
            Some(_) => Ok(()),
            None => Err(Refused::Vhost { user: user.into(), vhost: vhost.into() }),
        }
    }

    /// `channel.open`: `open` is what the user has, over all its connections.
    ///
    /// # Errors
    /// [`Refused::UserChannels`].
    pub fn open_channel(&self, user: &str, open: u64) -> Result<(), Refused> {
        match reached(self.users.get(user).and_then(|user| user.limits.channels_max), open) {
            Some(limit) => Err(Refused::UserChannels { user: user.into(), limit }),
            None => Ok(()),
        }
    }

    /// A new queue: `count` is what the virtual host has.
    ///
    /// # Errors
    /// [`Refused::VhostQueues`].
    pub fn add_queue(&self, vhost: &str, queue: &str, count: u64) -> Result<(), Refused> {
        match reached(self.vhosts.get(vhost).and_then(|vhost| vhost.limits.queues_max), count) {
            Some(limit) => Err(Refused::VhostQueues { queue: queue.into(), vhost: vhost.into(), limit }),
            None => Ok(()),
        }
    }

    /// Whether `user` may do `action` to `resource` of `vhost`.
    ///
    /// # Errors
    /// [`Refused::Resource`].
    pub fn check(
        &self,
        user: &str,
        vhost: &str,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<(), Refused> {
        match self.permission(user, vhost) {
            Some(permission) if permission.allows(action, resource.name()) => Ok(()),
            _ => Err(Refused::Resource {
                action,
                kind: resource.kind(),
                name: resource.name().into(),
                vhost: vhost.into(),
                user: user.into(),
            }),
        }
    }

    /// As [`Self::check`], for a connection with a memory. A cache is of one user in one virtual host.
    ///
    /// # Errors
    /// [`Refused::Resource`].
    pub fn check_cached(
        &self,
        user: &str,
        vhost: &str,
        action: Action,
        resource: Resource<'_>,
        cache: &mut DecisionCache,
    ) -> Result<(), Refused> {
        if cache.knows(self.revision, action, resource) {
            return Ok(());
        }
        self.check(user, vhost, action, resource)?;
        cache.allowed(action, resource);
        Ok(())
    }

    /// Whether `user` may publish to (write) or bind to (read) a topic exchange with `routing_key`. Without a topic
    /// permission for that exchange everything is allowed.
    ///
    /// # Errors
    /// [`Refused::Topic`].
    pub fn check_topic(
        &self,
        user: &str,
        vhost: &str,
        action: Action,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), Refused> {
        match self.grant(user, vhost).and_then(|grant| grant.topics.get(exchange)) {
            Some(topic) if !topic.allows(action, routing_key) => Err(Refused::Topic {
                action,
                routing_key: routing_key.into(),
                exchange: exchange.into(),
                vhost: vhost.into(),
                user: user.into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The limit, if there is one and `count` is not below it.
fn reached(limit: Option<u64>, count: u64) -> Option<u64> {
    limit.filter(|limit| count >= *limit)
}
