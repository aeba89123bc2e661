//! A user: name, password hash, tags and limits. What a user may touch is in `permission` and `topic`.

use std::fmt;

use super::{limits::UserLimits, password::PasswordHash};

/// What a user may do with the management API. RabbitMQ: "Management Plugin: access and permissions".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Everything.
    Administrator,
    /// Sees all connections, channels and nodes.
    Monitoring,
    /// Sets policies and parameters in the virtual hosts it may enter.
    Policymaker,
    /// Sees its own virtual hosts.
    Management,
    /// May publish with another `user-id`.
    Impersonator,
    /// One that means something to others; kept.
    Other(Box<str>),
}

impl Tag {
    /// The tag of that name.
    pub fn new(name: &str) -> Self {
        match name {
            "administrator" => Self::Administrator,
            "monitoring" => Self::Monitoring,
            "policymaker" => Self::Policymaker,
            "management" => Self::Management,
            "impersonator" => Self::Impersonator,
            other => Self::Other(other.into()),
        }
    }

    /// Tags from a list with commas, as versions before 3.9 export them and `rabbitmqadmin` sends them.
    pub fn list(text: &str) -> Vec<Self> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Self::new).collect()
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Administrator => "administrator",
            Self::Monitoring => "monitoring",
            Self::Policymaker => "policymaker",
            Self::Management => "management",
            Self::Impersonator => "impersonator",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name it logs in with.
    pub name: Box<str>,
    /// Without one no password is right; certificates and other proofs may still do.
    pub password: Option<PasswordHash>,
    /// In the order they were given.
    pub tags: Vec<Tag>,
    /// Connections and channels it may have.
    pub limits: UserLimits,
}

impl User {
    /// A user without password, tags and limits.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), password: None, tags: Vec::new(), limits: UserLimits::default() }
    }

    /// Whether it is an administrator.
    pub fn is_administrator(&self) -> bool {
        self.has_any(&[Tag::Administrator])
    }

    /// Whether it may see what is not its own.
    pub fn may_monitor(&self) -> bool {
        self.has_any(&[Tag::Administrator, Tag::Monitoring])
    }

    /// Whether it may set policies and parameters.
    pub fn may_make_policies(&self) -> bool {
        self.has_any(&[Tag::Administrator, Tag::Policymaker])
    }

    /// Whether it may use the management API at all.
    pub fn may_manage(&self) -> bool {
        self.has_any(&[Tag::Administrator, Tag::Monitoring, Tag::Policymaker, Tag::Management])
    }

    /// Whether it may publish in the name of another (the property `user-id`).
    pub fn may_impersonate(&self) -> bool {
        self.has_any(&[Tag::Impersonator])
    }

    fn has_any(&self, tags: &[Tag]) -> bool {
        self.tags.iter().any(|tag| tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_from_a_list_with_commas() {
        let tags = Tag::list("administrator, monitoring,,team-a");
        assert_eq!(tags, [Tag::Administrator, Tag::Monitoring, Tag::Other("team-a".into())]);
        assert_eq!(Tag::list(""), []);
    }

    #[test]
    fn each_tag_opens_what_the_plugin_says() {
        let rights = |tag| {
            let user = User { tags: vec![Tag::new(tag)], ..User::new("u") };
            [user.is_administrator(), user.may_monitor(), user.may_make_policies(), user.may_manage()]
        };
        assert_eq!(rights("administrator"), [true; 4]);
        assert_eq!(rights("monitoring"), [false, true, false, true]);
        assert_eq!(rights("policymaker"), [false, false, true, true]);
        assert_eq!(rights("management"), [false, false, false, true]);
        assert_eq!(rights("impersonator"), [false; 4]);
    }
}
