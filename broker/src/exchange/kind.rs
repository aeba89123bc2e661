//! The kinds of exchange, by their names on the wire, and what each refuses.

use std::fmt;

use super::{headers, topology::show};
use crate::amqp::value::{FieldTable, FieldValue};

/// The argument that names the inner kind of a delayed exchange.
pub const DELAYED_TYPE: &str = "x-delayed-type";

/// The name of the delayed kind.
const DELAYED: &str = "x-delayed-message";

/// The name of the deduplicating kind.
pub const DEDUPLICATING: &str = "x-message-deduplication";

/// The argument that says how many messages a deduplicating exchange remembers.
pub const CACHE_SIZE: &str = "x-cache-size";

/// How keys and headers choose destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matching {
    /// The key is equal.
    Direct,
    /// Always.
    Fanout,
    /// The key matches a pattern of words.
    Topic,
    /// The headers match.
    Headers,
}

/// The type of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Routes at once.
    Plain(Matching),
    /// May hold a message first; then routes so.
    Delayed(Matching),
    /// Lets a message pass once, to all that is bound.
    Deduplicating,
}

/// What a kind refuses. The text is RabbitMQ's without its code, which is `PRECONDITION_FAILED` for all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KindError {
    /// `exchange.declare` named a type that there is not.
    #[error("unknown exchange type '{name}'")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The same, with no name at all.
    #[error("invalid exchange type ''")]
    Empty,
    /// A delayed exchange without a proper `x-delayed-type`.
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    DelayedType,
    /// A deduplicating exchange without a proper `x-cache-size`.
    #[error("Invalid argument, 'x-cache-size' must be an integer above 0")]
    CacheSize,
    /// A binding's `x-match` is a text, but none of the four.
    #[error("Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x", show::binary(value.as_bytes()))]
    MatchValue {
        /// The text.
        value: String,
    },
    /// A binding's `x-match` is no text.
    #[error(
        "Invalid x-match field type {} (value {}); expected longstr",
        value.type_name(),
        show::term(value)
    )]
    MatchType {
        /// What it is.
        value: FieldValue,
    },
}

impl Matching {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "direct" => Self::Direct,
            "fanout" => Self::Fanout,
            "topic" => Self::Topic,
            "headers" => Self::Headers,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    /// Refuses a binding that this matching cannot read.
    pub fn check_binding(self, arguments: &FieldTable) -> Result<(), KindError> {
        match self {
            Self::Headers => headers::check(arguments),
            Self::Direct | Self::Fanout | Self::Topic => Ok(()),
        }
    }
}

impl Kind {
    /// The kind of that name; a delayed one takes its inner kind from the arguments.
    pub fn parse(name: &str, arguments: &FieldTable) -> Result<Self, KindError> {
        if name == DEDUPLICATING {
            let size = arguments.find(CACHE_SIZE).and_then(FieldValue::as_integer);
            return if size.is_some_and(|size| size > 0) {
                Ok(Self::Deduplicating)
            } else {
                Err(KindError::CacheSize)
            };
        }
        if name != DELAYED {
            let matching = Matching::named(name).ok_or_else(|| match name {
                "" => KindError::Empty,
                _ => KindError::Unknown { name: name.to_owned() },
            })?;
            return Ok(Self::Plain(matching));
        }
        let inner =
            arguments.find(DELAYED_TYPE).and_then(FieldValue::as_str).ok_or(KindError::DelayedType)?;
        match Matching::named(inner) {
            Some(matching) => Ok(Self::Delayed(matching)),
            None if inner == DELAYED => Err(KindError::DelayedType),
            None => Err(KindError::Unknown { name: inner.to_owned() }),
        }
    }

    /// How it chooses, held or not.
    pub fn matching(self) -> Matching {
        match self {
            Self::Plain(matching) | Self::Delayed(matching) => matching,
            Self::Deduplicating => Matching::Fanout,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(matching) => matching.name(),
            Self::Delayed(_) => DELAYED,
            Self::Deduplicating => DEDUPLICATING,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
