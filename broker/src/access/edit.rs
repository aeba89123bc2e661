//! Changes to [`Access`]: what the management API and an import ask for. Each is whole or not at all.

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::{
    Access, Grant, limits::LimitError, password::PasswordError, pattern::PatternError,
    permission::Permission, topic::TopicPermission, user::User, vhost::VirtualHost,
};

/// Bytes of a name at most: what fits into a short string of AMQP.
pub const NAME_BYTES_MAX: usize = 255;
/// Users at most.
pub const USERS_MAX: usize = 100_000;
/// Virtual hosts at most; each has a log of its own.
pub const VHOSTS_MAX: usize = 10_000;
/// Tags of a user or a virtual host at most.
pub const TAGS_MAX: usize = 64;
/// Global parameters at most.
pub const GLOBAL_PARAMETERS_MAX: usize = 1000;

/// Why a change is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// An empty name, one too long, or with a zero byte.
    #[error("a {what} has a name of 1 to {NAME_BYTES_MAX} bytes")]
    Name {
        /// Of what.
        what: &'static str,
    },
    /// There are as many as may be.
    #[error("limit of {limit} {what} is reached")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No such user.
    #[error("no such user: {user}")]
    NoUser {
        /// Its name.
        user: Box<str>,
    },
    /// No such virtual host.
    #[error("no such vhost: {vhost}")]
    NoVhost {
        /// Its name.
        vhost: Box<str>,
    },
    /// A pattern that is none.
    #[error("invalid regular expression '{pattern}': {source}")]
    Pattern {
        /// As it was given.
        pattern: Box<str>,
        /// What is wrong.
        source: PatternError,
    },
    /// A limit that is none.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A password hash that is none.
    #[error("user '{user}': {source}")]
    Password {
        /// Whose.
        user: Box<str>,
        /// What is wrong.
        source: PasswordError,
    },
}

impl Access {
    /// Adds a virtual host or replaces what is known of it.
    ///
    /// # Errors
    /// For a name that is none, and when there are too many.
    pub fn put_vhost(&mut self, vhost: VirtualHost) -> Result<(), EditError> {
        name("virtual host", &vhost.name)?;
        room("tags", vhost.tags.len().saturating_sub(1), TAGS_MAX)?;
        if !self.vhosts.contains_key(&vhost.name) {
            room("virtual hosts", self.vhosts.len(), VHOSTS_MAX)?;
        }
        self.vhosts.insert(vhost.name.clone(), Arc::new(vhost));
        self.revised();
        Ok(())
    }

    /// Takes a virtual host out, and all permissions in it. Says whether it was there.
    pub fn delete_vhost(&mut self, vhost: &str) -> bool {
        let was = self.vhosts.remove(vhost).is_some();
        if was {
            self.grants.retain(|_, grants| {
                grants.remove(vhost);
                !grants.is_empty()
            });
            self.revised();
        }
        was
    }

    /// Adds a user or replaces it. Its permissions stay.
    ///
    /// # Errors
    /// For a name that is none, and when there are too many.
    pub fn put_user(&mut self, user: User) -> Result<(), EditError> {
        name("user", &user.name)?;
        room("tags", user.tags.len().saturating_sub(1), TAGS_MAX)?;
        if !self.users.contains_key(&user.name) {
            room("users", self.users.len(), USERS_MAX)?;
        }
        self.users.insert(user.name.clone(), Arc::new(user));
        self.revised();
        Ok(())
    }

    /// Takes a user out, and all its permissions. Says whether it was there.
    pub fn delete_user(&mut self, user: &str) -> bool {
        let was = self.users.remove(user).is_some();
        if was {
            self.grants.remove(user);
            self.revised();
        }
        was
    }

    /// Gives a user its permission in a virtual host.
    ///
    /// # Errors
    /// When one of both is not there.
    pub fn set_permission(
        &mut self,
        user: &str,
        vhost: &str,
        permission: Permission,
    ) -> Result<(), EditError> {
        self.both_exist(user, vhost)?;
        self.grant_mut(user, vhost).permission = Some(Arc::new(permission));
        self.revised();
        Ok(())
    }

    /// Takes a permission away. Says whether there was one.
    pub fn clear_permission(&mut self, user: &str, vhost: &str) -> bool {
        self.change_grant(user, vhost, |grant| grant.permission.take().is_some())
    }

    /// Gives a user its topic permission for an exchange.
    ///
    /// # Errors
    /// When user or virtual host is not there, and for a name that is none.
    pub fn set_topic_permission(
        &mut self,
        user: &str,
        vhost: &str,
        exchange: &str,
        topic: TopicPermission,
    ) -> Result<(), EditError> {
        self.both_exist(user, vhost)?;
        name("exchange", exchange)?;
        self.grant_mut(user, vhost).topics.insert(exchange.into(), Arc::new(topic));
        self.revised();
        Ok(())
    }

    /// Takes the topic permission for one exchange away, or for all with `None`. Says whether there was one.
    pub fn clear_topic_permission(&mut self, user: &str, vhost: &str, exchange: Option<&str>) -> bool {
        self.change_grant(user, vhost, |grant| match exchange {
            Some(exchange) => grant.topics.remove(exchange).is_some(),
            None => !std::mem::take(&mut grant.topics).is_empty(),
        })
    }

    /// Sets a global parameter.
    ///
    /// # Errors
    /// For a name that is none, and when there are too many.
    pub fn set_global_parameter(&mut self, parameter: &str, value: Value) -> Result<(), EditError> {
        name("global parameter", parameter)?;
        if !self.global_parameters.contains_key(parameter) {
            room("global parameters", self.global_parameters.len(), GLOBAL_PARAMETERS_MAX)?;
        }
        self.global_parameters.insert(parameter.into(), value);
        self.revised();
        Ok(())
    }

    /// Takes a global parameter out. Says whether it was there.
    pub fn clear_global_parameter(&mut self, parameter: &str) -> bool {
        let was = self.global_parameters.remove(parameter).is_some();
        if was {
            self.revised();
        }
        was
    }

    /// Says which users must come over the loopback.
    pub fn set_loopback_users<'a>(&mut self, users: impl IntoIterator<Item = &'a str>) {
        self.loopback_users = users.into_iter().map(Into::into).collect();
        self.revised();
    }

    fn both_exist(&self, user: &str, vhost: &str) -> Result<(), EditError> {
        if !self.users.contains_key(user) {
            return Err(EditError::NoUser { user: user.into() });
        }
        if !self.vhosts.contains_key(vhost) {
            return Err(EditError::NoVhost { vhost: vhost.into() });
        }
        Ok(())
    }

    /// Applies `change`, and drops what is empty after it.
    fn change_grant(&mut self, user: &str, vhost: &str, change: impl FnOnce(&mut Grant) -> bool) -> bool {
        let Some(vhosts) = self.grants.get_mut(user) else { return false };
        let Some(grant) = vhosts.get_mut(vhost) else { return false };
        let was = change(grant);
        if grant.is_empty() {
            vhosts.remove(vhost);
        }
        if vhosts.is_empty() {
            self.grants.remove(user);
        }
        if was {
            self.revised();
        }
        was
    }

    fn revised(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }
}

fn name(what: &'static str, name: &str) -> Result<(), EditError> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
    if is_name { Ok(()) } else { Err(EditError::Name { what }) }
}

/// Whether one more fits to `count`.
fn room(what: &'static str, count: usize, limit: usize) -> Result<(), EditError> {
    if count < limit { Ok(()) } else { Err(EditError::TooMany { what, limit }) }
}
