//! RabbitMQ's `definitions.json` as it is written: exports of a broker or of one virtual host, to read and to write.
//!
//! It owns the shape and no meaning: `import` and `policy::transfer` turn parts of it into what they stand for. Fields
//! that nobody here knows are passed over, as RabbitMQ does. Sources: RabbitMQ, "Schema Definition Export and Import".

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Bytes of a document at most, for whoever reads one.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definitions {
    /// The version of the broker that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rabbit_version: Option<String>,
    /// The same, under its later name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rabbitmq_version: Option<String>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    /// In which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_version: Option<String>,
    /// `cluster` or `single_virtual_host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rabbitmq_definition_format: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_cluster_name: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Users.
    pub users: Vec<UserDefinition>,
    /// Virtual hosts.
    pub vhosts: Vec<VhostDefinition>,
    /// Permissions.
    pub permissions: Vec<PermissionDefinition>,
    /// Topic permissions.
    pub topic_permissions: Vec<TopicPermissionDefinition>,
    /// Parameters of virtual hosts; limits and operator policies are among them.
    pub parameters: Vec<ParameterDefinition>,
    /// Global parameters.
    pub global_parameters: Vec<GlobalParameterDefinition>,
    /// Policies.
    pub policies: Vec<PolicyDefinition>,
    /// Queues.
    pub queues: Vec<QueueDefinition>,
    /// Exchanges.
    pub exchanges: Vec<ExchangeDefinition>,
    /// Bindings.
    pub bindings: Vec<BindingDefinition>,
}

/// A user. One of `password_hash` and `password` is there; an empty hash is "no password".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserDefinition {
    /// Its name.
    pub name: String,
    /// Base64 of salt and digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// In clear: read, and never written.
    #[serde(default, skip_serializing)]
    pub password: Option<String>,
    /// The algorithm's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashing_algorithm: Option<String>,
    /// Read as an array or as a text with commas.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// Limits by name.
    #[serde(default, deserialize_with = "object")]
    pub limits: Map<String, Value>,
}

/// A virtual host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VhostDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The type of queues that say none; `undefined` where there is no such default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_queue_type: Option<String>,
    /// Whether messages are traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<bool>,
    /// Limits by name; most exports have them among the parameters instead.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "object")]
    pub limits: Map<String, Value>,
    /// Description, tags and default type once more.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "object")]
    pub metadata: Map<String, Value>,
}

/// A permission.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PermissionDefinition {
    /// Whose.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// Pattern of names to declare and delete.
    pub configure: String,
    /// Pattern of names to write to.
    pub write: String,
    /// Pattern of names to read from.
    pub read: String,
}

/// A topic permission.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TopicPermissionDefinition {
    /// Whose.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// For which exchange.
    pub exchange: String,
    /// Pattern of keys to publish with.
    pub write: String,
    /// Pattern of keys to bind with.
    pub read: String,
}

/// A parameter of a virtual host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterDefinition {
    /// Where; an export of one virtual host leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Of what: `vhost-limits`, `operator_policy`, `federation-upstream`, `shovel`.
    pub component: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Value,
}

/// A parameter of the broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GlobalParameterDefinition {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Value,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyDefinition {
    /// Where; an export of one virtual host leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The pattern of names.
    pub pattern: String,
    /// What it is for.
    #[serde(rename = "apply-to", default = "all")]
    pub apply_to: String,
    /// Keys and values.
    pub definition: Map<String, Value>,
    /// The highest holds.
    #[serde(default)]
    pub priority: i64,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueDefinition {
    /// Its name.
    pub name: String,
    /// Where; an export of one virtual host leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Its type, in exports of RabbitMQ 4; the arguments say it too.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it outlives the broker.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it goes with its last consumer.
    #[serde(default)]
    pub auto_delete: bool,
    /// Its arguments; `json_table` makes a table of them.
    #[serde(default, deserialize_with = "object")]
    pub arguments: Map<String, Value>,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeDefinition {
    /// Its name.
    pub name: String,
    /// Where; an export of one virtual host leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it outlives the broker.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it goes with its last binding.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Its arguments.
    #[serde(default, deserialize_with = "object")]
    pub arguments: Map<String, Value>,
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BindingDefinition {
    /// The exchange messages come from.
    pub source: String,
    /// Where; an export of one virtual host leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// Where they go.
    pub destination: String,
    /// `queue` or `exchange`.
    pub destination_type: String,
    /// The key.
    #[serde(default)]
    pub routing_key: String,
    /// Its arguments.
    #[serde(default, deserialize_with = "object")]
    pub arguments: Map<String, Value>,
}

impl Definitions {
    /// Says `vhost` where an export of one virtual host says none.
    pub fn place_in(&mut self, vhost: &str) {
        let places = (self.parameters.iter_mut().map(|p| &mut p.vhost))
            .chain(self.policies.iter_mut().map(|p| &mut p.vhost))
            .chain(self.queues.iter_mut().map(|q| &mut q.vhost))
            .chain(self.exchanges.iter_mut().map(|x| &mut x.vhost))
            .chain(self.bindings.iter_mut().map(|b| &mut b.vhost));
        for place in places.filter(|place| place.is_none()) {
            *place = Some(vhost.to_owned());
        }
    }

    /// The version of the broker that wrote it, whichever field says it.
    pub fn version(&self) -> Option<&str> {
        self.rabbitmq_version.as_deref().or(self.rabbit_version.as_deref())
    }
}

fn yes() -> bool {
    true
}

fn all() -> String {
    "all".to_owned()
}

/// Tags in either form.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Commas(String),
}

fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Tags::deserialize(deserializer)? {
        Tags::List(tags) => tags,
        Tags::Commas(text) => {
            text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// An object; Erlang writes an empty one as `[]` at times.
#[derive(Deserialize)]
#[serde(untagged)]
enum Object {
    Map(Map<String, Value>),
    Empty([Value; 0]),
    Null(()),
}

fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Object::deserialize(deserializer)? {
        Object::Map(map) => map,
        Object::Empty(_) | Object::Null(()) => Map::new(),
    })
}

#[cfg(test)]
mod tests;
