//! What a policy may set: its keys, the values each takes, and how an operator's value meets a user's.
//!
//! Keys of mirrored queues and of federation are taken and shown, and nothing follows from them: definitions that
//! hold them can be imported. (RabbitMQ 4 itself refuses those of mirrored queues.)

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    Level,
    erlang::{Binary, Term, separated},
    kind::QueueKind,
    queue_settings::max_age_ms,
};

/// Why a definition is refused. The texts are RabbitMQ's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DefinitionError {
    /// It sets nothing.
    #[error("no policy provided")]
    Empty,
    /// A value that its key does not take.
    #[error("{} is not a valid {what}", Term(value))]
    Value {
        /// The key.
        key: Box<str>,
        /// What it should be.
        what: &'static str,
        /// What it was.
        value: Value,
    },
    /// Keys that are none.
    #[error("{keys} are not recognised policy settings")]
    Keys {
        /// They and their values.
        keys: Unknown,
    },
}

/// Keys and values that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub Vec<(String, Value)>);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        separated(f, self.0.iter(), |f, (key, value)| write!(f, "{{{},{}}}", Binary(key), Term(value)))?;
        f.write_str("]")
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
enum Takes {
    Text,
    /// A whole number, at least this.
    From(i64),
    OneOf(&'static [&'static str]),
    Version,
    Age,
    Anything,
}

impl Takes {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::From(least) => value.as_i64().is_some_and(|number| number >= least),
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Version => matches!(value.as_i64(), Some(1 | 2)),
            Self::Age => value.as_str().and_then(max_age_ms).is_some(),
            Self::Anything => true,
        }
    }
}

struct Key {
    name: &'static str,
    takes: Takes,
    /// For the error text: "… is not a valid `what`".
    what: &'static str,
    /// Whether operators may set it too.
    of_operators: bool,
}

const fn key(name: &'static str, takes: Takes, what: &'static str, of_operators: bool) -> Key {
    Key { name, takes, what, of_operators }
}

/// The smallest number that RabbitMQ's integers of any size are taken down to.
const ANY: i64 = i64::MIN;

const KEYS: &[Key] = &[
    key("alternate-exchange", Takes::Text, "alternate exchange name", false),
    key("consumer-timeout", Takes::From(0), "consumer timeout", true),
    key("dead-letter-exchange", Takes::Text, "dead letter exchange name", false),
    key("dead-letter-routing-key", Takes::Text, "dead letter routing key", false),
    key(
        "dead-letter-strategy",
        Takes::OneOf(&["at-most-once", "at-least-once"]),
        "dead letter strategy",
        false,
    ),
    key("delivery-limit", Takes::From(ANY), "delivery limit", true),
    key("expires", Takes::From(1), "queue expiry", true),
    key("initial-cluster-size", Takes::From(0), "cluster size", false),
    key("max-age", Takes::Age, "max age", false),
    key("max-in-memory-bytes", Takes::From(0), "maximum memory in bytes", true),
    key("max-in-memory-length", Takes::From(0), "maximum memory in bytes", true),
    key("max-length", Takes::From(0), "maximum length", true),
    key("max-length-bytes", Takes::From(0), "maximum length in bytes", true),
    key("message-ttl", Takes::From(0), "message TTL", true),
    key(
        "overflow",
        Takes::OneOf(&["drop-head", "reject-publish", "reject-publish-dlx"]),
        "overflow value",
        false,
    ),
    key(
        "queue-leader-locator",
        Takes::OneOf(&["client-local", "balanced", "random", "least-leaders"]),
        "queue leader locator value",
        false,
    ),
    key("queue-master-locator", Takes::Text, "queue master locator", false),
    key("queue-mode", Takes::OneOf(&["default", "lazy"]), "queue-mode value", false),
    key("queue-version", Takes::Version, "queue-version value", false),
    key("stream-filter-size-bytes", Takes::From(16), "filter size", false),
    key("stream-max-segment-size-bytes", Takes::From(0), "segment size", false),
    key("target-group-size", Takes::From(1), "qq target count value", true),
    key("ha-mode", Takes::Anything, "ha-mode", true),
    key("ha-params", Takes::Anything, "ha-params", true),
    key("ha-sync-mode", Takes::Anything, "ha-sync-mode", true),
    key("ha-sync-batch-size", Takes::Anything, "ha-sync-batch-size", false),
    key("ha-promote-on-shutdown", Takes::Anything, "ha-promote-on-shutdown", false),
    key("ha-promote-on-failure", Takes::Anything, "ha-promote-on-failure", false),
    key("federation-upstream", Takes::Text, "federation upstream", false),
    key("federation-upstream-set", Takes::Text, "federation upstream set", false),
    key("federation-upstream-pattern", Takes::Text, "federation upstream pattern", false),
];

/// Keys and values that were found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition(Map<String, Value>);

impl Definition {
    /// Checks keys and values; values of known keys first, as RabbitMQ does.
    ///
    /// # Errors
    /// [`DefinitionError`].
    pub fn check(level: Level, map: Map<String, Value>) -> Result<Self, DefinitionError> {
        if map.is_empty() {
            return Err(DefinitionError::Empty);
        }
        let mut unknown = Vec::new();
        for (name, value) in &map {
            match KEYS.iter().find(|key| key.name == name && (level == Level::User || key.of_operators)) {
                Some(key) if !key.takes.accepts(value) => {
                    let (what, value) = (key.what, value.clone());
                    return Err(DefinitionError::Value { key: name.as_str().into(), what, value });
                }
                Some(_) => {}
                None => unknown.push((name.clone(), value.clone())),
            }
        }
        if unknown.is_empty() {
            return Ok(Self(map));
        }
        unknown.sort_by(|(a, _), (b, _)| a.cmp(b));
        Err(DefinitionError::Keys { keys: Unknown(unknown) })
    }

    /// The keys and values.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether a queue of that type knows all of the keys.
    pub fn suits(&self, kind: QueueKind) -> bool {
        self.0.keys().all(|key| kind.knows_policy(key))
    }
}

/// An operator's value met by a user's: the lower of two limits, the larger of two group sizes, and of all else what
/// the operator says.
pub(super) fn merge(key: &str, user: &Value, operator: &Value) -> Value {
    match (user.as_i64(), operator.as_i64()) {
        (Some(of_user), Some(of_operator)) if key == "target-group-size" => of_user.max(of_operator).into(),
        (Some(of_user), Some(of_operator)) => lower(of_user, of_operator).into(),
        _ => operator.clone(),
    }
}

/// The lower of two limits, where a negative one is no limit (`delivery-limit`: -1).
pub(super) fn lower(a: i64, b: i64) -> i64 {
    if a < 0 || b < 0 { a.max(b) } else { a.min(b) }
}
