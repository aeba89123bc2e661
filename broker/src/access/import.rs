//! The part of definitions that [`Access`] holds, in and out: users, virtual hosts and their limits, permissions, topic
//! permissions, global parameters. Queues, exchanges, bindings and policies are for the virtual hosts themselves.

use std::str::FromStr;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{
    Access,
    definitions::{
        Definitions, GlobalParameterDefinition, ParameterDefinition, PermissionDefinition,
        TopicPermissionDefinition, UserDefinition, VhostDefinition,
    },
    edit::EditError,
    limits::{UserLimits, VhostLimits},
    password::{Hashing, PasswordHash, SALT_BYTES},
    permission::{Action, Permission},
    topic::TopicPermission,
    user::{Tag, User},
    vhost::VirtualHost,
};
use crate::policy::kind::QueueKind;

/// The component of parameters that holds the limits of a virtual host, and the name of the only one.
const VHOST_LIMITS: (&str, &str) = ("vhost-limits", "limits");

/// Why definitions are refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImportError {
    /// A change that is not allowed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A user that cannot be.
    #[error("user '{user}' has neither password_hash nor password")]
    NoPassword {
        /// Its name.
        user: String,
    },
    /// A type of queue that is none.
    #[error("vhost '{vhost}': unsupported queue type '{kind}'")]
    QueueType {
        /// The virtual host.
        vhost: String,
        /// The type.
        kind: String,
    },
    /// Limits of a virtual host that are no object, or of none.
    #[error("limits of vhost '{vhost}' are malformed")]
    Limits {
        /// The virtual host.
        vhost: String,
    },
}

impl Access {
    /// Adds what `definitions` say to what is there; all of it or nothing. `salt` gives random bytes for passwords in
    /// clear.
    ///
    /// # Errors
    /// The first entry that is refused.
    pub fn import(
        &mut self,
        definitions: &Definitions,
        mut salt: impl FnMut() -> [u8; SALT_BYTES],
    ) -> Result<(), ImportError> {
        let mut next = self.clone();
        let legacy = is_before_salted_sha256(definitions.version());
        for user in &definitions.users {
            next.put_user(read_user(user, legacy, &mut salt)?)?;
        }
        for vhost in &definitions.vhosts {
            let read = read_vhost(vhost, next.vhost(&vhost.name))?;
            next.put_vhost(read)?;
        }
        for parameter in &definitions.parameters {
            next.import_limits(parameter)?;
        }
        for permission in &definitions.permissions {
            next.set_permission(&permission.user, &permission.vhost, read_permission(permission)?)?;
        }
        for topic in &definitions.topic_permissions {
            let read = read_topic(topic)?;
            next.set_topic_permission(&topic.user, &topic.vhost, &topic.exchange, read)?;
        }
        for parameter in &definitions.global_parameters {
            next.set_global_parameter(&parameter.name, parameter.value.clone())?;
        }
        *self = next;
        Ok(())
    }

    /// Writes what is here into `definitions`, in place of what stands there.
    pub fn export(&self, definitions: &mut Definitions) {
        definitions.users = self.users().map(|user| write_user(user)).collect();
        definitions.vhosts = self.vhosts().map(write_vhost).collect();
        definitions.parameters.retain(|parameter| parameter.component != VHOST_LIMITS.0);
        definitions.parameters.extend(self.vhosts().filter_map(write_limits));
        definitions.permissions = self.permissions().map(write_permission).collect();
        definitions.topic_permissions = self.topic_permissions().map(write_topic).collect();
        definitions.global_parameters = self
            .global_parameters()
            .map(|(name, value)| GlobalParameterDefinition { name: name.to_owned(), value: value.clone() })
            .collect();
    }

    fn import_limits(&mut self, parameter: &ParameterDefinition) -> Result<(), ImportError> {
        if parameter.component != VHOST_LIMITS.0 {
            return Ok(());
        }
        let vhost = parameter.vhost.as_deref().unwrap_or_default();
        let malformed = || ImportError::Limits { vhost: vhost.to_owned() };
        let limits = match &parameter.value {
            Value::Object(limits) => limits.clone(),
            Value::Array(none) if none.is_empty() => Map::new(),
            _ => return Err(malformed()),
        };
        let mut changed = self.vhost(vhost).ok_or_else(malformed)?.clone();
        changed.limits = VhostLimits::parse(&limits).map_err(EditError::from)?;
        Ok(self.put_vhost(changed)?)
    }
}

/// Versions before 3.6 did not say which algorithm: it was MD5.
fn is_before_salted_sha256(version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    let mut numbers = version.split('.').map(|number| u32::from_str(number).unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(3), Some(minor)) => minor < 6,
        (Some(major), _) => (1..3).contains(&major),
        _ => false,
    }
}

fn read_user(
    user: &UserDefinition,
    legacy: bool,
    salt: &mut impl FnMut() -> [u8; SALT_BYTES],
) -> Result<User, ImportError> {
    let refused = |source| EditError::Password { user: user.name.as_str().into(), source };
    let password = match (&user.password_hash, &user.password) {
        (Some(hash), _) => {
            let hashing = match &user.hashing_algorithm {
                Some(name) => name.parse().map_err(refused)?,
                None if legacy => Hashing::Md5,
                None => Hashing::Sha256,
            };
            PasswordHash::parse(hash, hashing).map_err(refused)?
        }
        (None, Some(password)) if password.is_empty() => None,
        (None, Some(password)) => Some(PasswordHash::make(password, salt())),
        (None, None) => return Err(ImportError::NoPassword { user: user.name.clone() }),
    };
    let tags = user.tags.iter().map(|tag| Tag::new(tag)).collect();
    let limits = UserLimits::parse(&user.limits).map_err(EditError::from)?;
    Ok(User { name: user.name.as_str().into(), password, tags, limits })
}

fn write_user(user: &User) -> UserDefinition {
    UserDefinition {
        name: user.name.to_string(),
        password_hash: Some(user.password.as_ref().map(PasswordHash::to_base64).unwrap_or_default()),
        password: None,
        hashing_algorithm: Some(
            user.password.as_ref().map_or(Hashing::default(), PasswordHash::hashing).name().to_owned(),
        ),
        tags: user.tags.iter().map(ToString::to_string).collect(),
        limits: user.limits.to_json(),
    }
}

/// Fields that are left out keep what `known` has.
fn read_vhost(vhost: &VhostDefinition, known: Option<&VirtualHost>) -> Result<VirtualHost, ImportError> {
    let mut read = known.cloned().unwrap_or_else(|| VirtualHost::new(&vhost.name));
    let of_metadata = |name| vhost.metadata.get(name).and_then(Value::as_str);
    if let Some(description) = vhost.description.as_deref().or_else(|| of_metadata("description")) {
        read.description = description.into();
    }
    let of_metadata_tags = || {
        let tags = vhost.metadata.get("tags")?.as_array()?;
        Some(tags.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    if let Some(tags) = vhost.tags.clone().or_else(of_metadata_tags) {
        read.tags = tags.into_iter().map(Into::into).collect();
    }
    if let Some(kind) = vhost.default_queue_type.as_deref().or_else(|| of_metadata("default_queue_type")) {
        read.default_queue_type = read_queue_type(&vhost.name, kind)?;
    }
    if let Some(tracing) = vhost.tracing {
        read.tracing = tracing;
    }
    if !vhost.limits.is_empty() {
        read.limits = VhostLimits::parse(&vhost.limits).map_err(EditError::from)?;
    }
    Ok(read)
}

/// Exports hold the type's name, or that of the module behind it, or `undefined`.
fn read_queue_type(vhost: &str, kind: &str) -> Result<Option<QueueKind>, ImportError> {
    if kind.is_empty() || kind == "undefined" {
        return Ok(None);
    }
    let found = QueueKind::ALL.into_iter().find(|known| known.as_str() == kind || known.module() == kind);
    let unknown = || ImportError::QueueType { vhost: vhost.to_owned(), kind: kind.to_owned() };
    found.map(Some).ok_or_else(unknown)
}

fn write_vhost(vhost: &VirtualHost) -> VhostDefinition {
    let tags: Vec<_> = vhost.tags.iter().map(ToString::to_string).collect();
    let kind = vhost.default_queue_type.map(QueueKind::as_str);
    let mut metadata = Map::new();
    metadata.insert("description".to_owned(), json!(vhost.description));
    metadata.insert("tags".to_owned(), json!(tags));
    metadata.extend(kind.map(|kind| ("default_queue_type".to_owned(), json!(kind))));
    VhostDefinition {
        name: vhost.name.to_string(),
        description: Some(vhost.description.to_string()),
        tags: Some(tags),
        default_queue_type: kind.map(str::to_owned),
        tracing: vhost.tracing.then_some(true),
        limits: Map::new(),
        metadata,
    }
}

fn write_limits(vhost: &VirtualHost) -> Option<ParameterDefinition> {
    let limits = vhost.limits.to_json();
    let (component, name) = VHOST_LIMITS;
    (!limits.is_empty()).then(|| ParameterDefinition {
        vhost: Some(vhost.name.to_string()),
        component: component.to_owned(),
        name: name.to_owned(),
        value: limits.into(),
    })
}

fn read_permission(permission: &PermissionDefinition) -> Result<Permission, EditError> {
    let PermissionDefinition { configure, write, read, .. } = permission;
    Permission::new(configure, write, read).map_err(|source| EditError::Pattern {
        pattern: format!("{configure} {write} {read}").into(),
        source,
    })
}

fn write_permission((user, vhost, permission): (&str, &str, &Permission)) -> PermissionDefinition {
    let of = |action| permission.pattern(action).as_str().to_owned();
    PermissionDefinition {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        configure: of(Action::Configure),
        write: of(Action::Write),
        read: of(Action::Read),
    }
}

fn read_topic(topic: &TopicPermissionDefinition) -> Result<TopicPermission, EditError> {
    TopicPermission::new(&topic.write, &topic.read, &topic.user, &topic.vhost).map_err(|source| {
        EditError::Pattern { pattern: format!("{} {}", topic.write, topic.read).into(), source }
    })
}

fn write_topic(
    (user, vhost, exchange, topic): (&str, &str, &str, &TopicPermission),
) -> TopicPermissionDefinition {
    TopicPermissionDefinition {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        exchange: exchange.to_owned(),
        write: topic.write().to_owned(),
        read: topic.read().to_owned(),
    }
}

#[cfg(test)]
mod tests;
