//! Names: DNS labels, services, instances. Parsed once, at the edge; nothing downstream checks again.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The namespace of a name that says none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The last label of a mesh host name: `orders.default.mesh`.
pub const MESH_DOMAIN: &str = "mesh";
/// The longest instance id and node name, in bytes.
pub const ID_LENGTH_MAX: usize = 255;
/// The longest DNS label, in bytes (RFC 1035 section 2.3.4).
pub const LABEL_LENGTH_MAX: usize = 63;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a DNS label.
    #[error("`{0}` is not a DNS label: 1 to 63 letters, digits and hyphens, no hyphen at either end")]
    Label(String),
    /// Not `name`, `name.namespace` or `name.namespace.mesh`.
    #[error("`{0}` is not a service name: give `name`, `name.namespace` or `name.namespace.mesh`")]
    Service(String),
    /// Not a node name or instance id.
    #[error(
        "`{0}` is not a node name or instance id: 1 to 255 printable characters without spaces; a node has no `/`"
    )]
    Id(String),
}

/// One DNS label, lower-cased.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(Arc<str>);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let shape = !bytes.is_empty()
            && bytes.len() <= LABEL_LENGTH_MAX
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !shape {
            return Err(NameError::Label(clip(text)));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

/// A service: name and namespace. Shown as `orders.default`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    /// `default` in `orders.default`.
    pub namespace: Label,
    /// `orders` in `orders.default`.
    pub name: Label,
}

impl ServiceName {
    /// From two texts.
    ///
    /// # Errors
    /// When either is not a DNS label.
    pub fn new(name: &str, namespace: &str) -> Result<Self, NameError> {
        Ok(Self { namespace: namespace.parse()?, name: name.parse()? })
    }

    /// From a host: `orders`, `orders.default` or `orders.default.mesh`, without a port. A host of one label
    /// is in `namespace`, that of the caller.
    ///
    /// # Errors
    /// When the host has another shape, so cannot be a service of the mesh.
    pub fn from_host(host: &str, namespace: &Label) -> Result<Self, NameError> {
        let mut labels = host.split('.');
        let (name, second, third, more) = (labels.next(), labels.next(), labels.next(), labels.next());
        let name = name.ok_or_else(|| NameError::Service(clip(host)))?.parse()?;
        match (second, third, more) {
            (None, _, _) => Ok(Self { namespace: namespace.clone(), name }),
            (Some(ns), None, _) => Ok(Self { namespace: ns.parse()?, name }),
            (Some(ns), Some(domain), None) if domain.eq_ignore_ascii_case(MESH_DOMAIN) => {
                Ok(Self { namespace: ns.parse()?, name })
            }
            _ => Err(NameError::Service(clip(host))),
        }
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    /// `orders` is in the default namespace.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_host(text, &Label(DEFAULT_NAMESPACE.into()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.namespace)
    }
}

/// A node name or an instance id: printable, no spaces, 255 bytes at most.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Arc<str>);

impl Id {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For a node, which stands in front of the id in an endpoint's name and so has no `/`.
    ///
    /// # Errors
    /// When it is not an id, or holds a `/`.
    pub fn node(text: &str) -> Result<Self, NameError> {
        if text.contains('/') { Err(NameError::Id(clip(text))) } else { text.parse() }
    }
}

impl FromStr for Id {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let shape = !text.is_empty()
            && text.len() <= ID_LENGTH_MAX
            && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if shape { Ok(Self(text.into())) } else { Err(NameError::Id(clip(text))) }
    }
}

/// One instance of a service: what an endpoint is the address of. Shown as `orders.default/<node>/<id>`, the
/// name of its discovery resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceKey {
    /// The service.
    pub service: ServiceName,
    /// The node, without `/`.
    pub node: Id,
    /// Unique a node, as in Consul.
    pub id: Id,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.service, self.node, self.id)
    }
}

impl FromStr for InstanceKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(service), Some(node), Some(id)) => {
                Ok(Self { service: service.parse()?, node: Id::node(node)?, id: id.parse()? })
            }
            _ => Err(NameError::Id(clip(text))),
        }
    }
}

/// At most 64 characters of outside text, for an error message.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

macro_rules! text_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}
macro_rules! serde_by_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_name!(Label);
text_name!(Id);
serde_by_text!(Label);
serde_by_text!(Id);
serde_by_text!(ServiceName);
serde_by_text!(InstanceKey);

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_one_two_or_three_labels_names_a_service() {
        let ns: Label = "shop".parse().unwrap();
        for (host, name) in [
            ("orders", "orders.shop"),
            ("orders.default", "orders.default"),
            ("Orders.Default.MESH", "orders.default"),
        ] {
            assert_eq!(ServiceName::from_host(host, &ns).unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_host_outside_the_mesh_is_refused() {
        let ns: Label = "default".parse().unwrap();
        for host in ["", "a.b.com", "a.b.mesh.x", "a..mesh", "-a", "a_b", "10.0.0.1", "orders."] {
            assert!(ServiceName::from_host(host, &ns).is_err(), "{host}");
        }
    }

    #[test]
    fn an_instance_key_survives_its_text() {
        let key: InstanceKey = "orders.default/node-1/a/b:80".parse().unwrap();
        assert_eq!(key.id.as_str(), "a/b:80");
        assert_eq!(key.to_string().parse::<InstanceKey>().unwrap(), key);
    }
}
