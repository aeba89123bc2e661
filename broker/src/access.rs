//! Who may do what: virtual hosts, users, permissions, limits, global parameters.
//!
//! A value without lock and clock. Its owner edits a copy, saves it (`store`) and publishes it as a snapshot; all
//! others read snapshots. Policies are not here: they are records of each virtual host's log (`policy`).
//!
//! ```text
//!  management, definitions ─▶ edit ─▶ Access ─▶ store ─▶ disk
//!                                       │ snapshot
//!              connection.start-ok ─▶ decide: authenticate
//!              connection.open     ─▶ decide: open_connection
//!              every method        ─▶ decide: check
//! ```

pub mod decide;
pub mod definitions;
pub mod edit;
pub mod import;
pub mod json_table;
pub mod limits;
pub mod password;
pub mod pattern;
pub mod permission;
pub mod refused;
pub mod store;
pub mod topic;
pub mod user;
pub mod vhost;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use self::{
    password::{PasswordHash, SALT_BYTES},
    permission::Permission,
    topic::TopicPermission,
    user::{Tag, User},
    vhost::VirtualHost,
};

/// The user that RabbitMQ begins with.
pub const GUEST: &str = "guest";
/// The virtual host that RabbitMQ begins with.
pub const VHOST_DEFAULT: &str = "/";

/// A user as a connection holds it: what it was at login.
pub type UserRef = Arc<User>;

/// The whole of it. Copies are cheap: they share users and compiled patterns.
#[derive(Debug, Clone)]
pub struct Access {
    /// Counts edits; decisions taken under another number are void.
    revision: u64,
    vhosts: BTreeMap<Box<str>, Arc<VirtualHost>>,
    users: BTreeMap<Box<str>, UserRef>,
    /// User, then virtual host.
    grants: BTreeMap<Box<str>, BTreeMap<Box<str>, Grant>>,
    global_parameters: BTreeMap<Box<str>, Value>,
    loopback_users: BTreeSet<Box<str>>,
}

/// What a user has in a virtual host.
#[derive(Debug, Clone, Default, PartialEq)]
struct Grant {
    permission: Option<Arc<Permission>>,
    /// By exchange.
    topics: BTreeMap<Box<str>, Arc<TopicPermission>>,
}

impl Grant {
    fn is_empty(&self) -> bool {
        self.permission.is_none() && self.topics.is_empty()
    }
}

impl Access {
    /// Nobody and nothing; `guest` will be held to the loopback should it be added.
    pub fn empty() -> Self {
        Self {
            revision: 0,
            vhosts: BTreeMap::new(),
            users: BTreeMap::new(),
            grants: BTreeMap::new(),
            global_parameters: BTreeMap::new(),
            loopback_users: BTreeSet::from([GUEST.into()]),
        }
    }

    /// What a new broker begins with: the virtual host `/` and the administrator `guest` with password `guest`, from
    /// the loopback only.
    pub fn initial(salt: [u8; SALT_BYTES]) -> Self {
        let mut access = Self::empty();
        let mut vhost = VirtualHost::new(VHOST_DEFAULT);
        vhost.description = "Default virtual host".into();
        access.vhosts.insert(VHOST_DEFAULT.into(), Arc::new(vhost));
        let guest = User {
            password: Some(PasswordHash::make(GUEST, salt)),
            tags: vec![Tag::Administrator],
            ..User::new(GUEST)
        };
        access.users.insert(GUEST.into(), Arc::new(guest));
        if let Ok(all) = Permission::new(".*", ".*", ".*") {
            access.grant_mut(GUEST, VHOST_DEFAULT).permission = Some(Arc::new(all));
        }
        access
    }

    /// Counts edits. Another number means that what was decided before may not hold.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A virtual host.
    pub fn vhost(&self, name: &str) -> Option<&VirtualHost> {
        self.vhosts.get(name).map(AsRef::as_ref)
    }

    /// All virtual hosts by name.
    pub fn vhosts(&self) -> impl Iterator<Item = &VirtualHost> {
        self.vhosts.values().map(AsRef::as_ref)
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<&UserRef> {
        self.users.get(name)
    }

    /// All users by name.
    pub fn users(&self) -> impl Iterator<Item = &UserRef> {
        self.users.values()
    }

    /// The permission of a user in a virtual host.
    pub fn permission(&self, user: &str, vhost: &str) -> Option<&Permission> {
        self.grant(user, vhost)?.permission.as_deref()
    }

    /// All permissions: user, virtual host, patterns.
    pub fn permissions(&self) -> impl Iterator<Item = (&str, &str, &Permission)> {
        self.all_grants().filter_map(|(user, vhost, grant)| Some((user, vhost, grant.permission.as_deref()?)))
    }

    /// All topic permissions: user, virtual host, exchange, patterns.
    pub fn topic_permissions(&self) -> impl Iterator<Item = (&str, &str, &str, &TopicPermission)> {
        self.all_grants().flat_map(|(user, vhost, grant)| {
            grant.topics.iter().map(move |(exchange, topic)| (user, vhost, &**exchange, &**topic))
        })
    }

    /// Virtual hosts that `user` may enter, by name.
    pub fn vhosts_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a VirtualHost> {
        self.vhosts().filter(move |vhost| self.permission(user, &vhost.name).is_some())
    }

    /// A global parameter, as `cluster_name` is one.
    pub fn global_parameter(&self, name: &str) -> Option<&Value> {
        self.global_parameters.get(name)
    }

    /// All global parameters by name.
    pub fn global_parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.global_parameters.iter().map(|(name, value)| (&**name, value))
    }

    /// Users that must come over the loopback.
    pub fn loopback_users(&self) -> impl Iterator<Item = &str> {
        self.loopback_users.iter().map(AsRef::as_ref)
    }

    fn all_grants(&self) -> impl Iterator<Item = (&str, &str, &Grant)> {
        self.grants
            .iter()
            .flat_map(|(user, vhosts)| vhosts.iter().map(move |(vhost, grant)| (&**user, &**vhost, grant)))
    }

    fn grant(&self, user: &str, vhost: &str) -> Option<&Grant> {
        self.grants.get(user)?.get(vhost)
    }

    fn grant_mut(&mut self, user: &str, vhost: &str) -> &mut Grant {
        self.grants.entry(user.into()).or_default().entry(vhost.into()).or_default()
    }
}

/// Equal content; the count of edits may differ.
impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        self.vhosts == other.vhosts
            && self.users == other.users
            && self.grants == other.grants
            && self.global_parameters == other.global_parameters
            && self.loopback_users == other.loopback_users
    }
}

#[cfg(test)]
mod tests;
