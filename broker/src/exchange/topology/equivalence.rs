//! Whether a second declaration means what stands already (`exchange.declare` of AMQP 0-9-1; RabbitMQ's
//! documentation, "Declaration Equivalence"), and if not, where it differs.

use std::fmt;

use super::{Attributes, Declaration, show};
use crate::{
    amqp::value::{FieldTable, FieldValue},
    exchange::{header::HeaderValue, kind::DELAYED_TYPE},
};

/// The argument that names the alternate exchange.
pub const ALTERNATE: &str = "alternate-exchange";

/// The first field in which a declaration differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `type`, `durable`, `auto_delete`, `internal`, or the name of an argument.
    pub field: String,
    /// What was asked for.
    pub received: Shown,
    /// What stands.
    pub current: Shown,
}

/// One side of a difference, in RabbitMQ's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// No such argument.
    Absent,
    /// The value.
    Value(String),
    /// The value and its type, where the other side has none.
    Typed {
        /// The value.
        value: String,
        /// RabbitMQ's name of its type.
        kind: &'static str,
    },
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Value(value) => write!(f, "'{value}'"),
            Self::Typed { value, kind } => write!(f, "the value '{value}' of type '{kind}'"),
        }
    }
}

/// The first difference, in RabbitMQ's order of fields. Of arguments, RabbitMQ compares the alternate exchange
/// and those that its type knows.
pub(super) fn difference(current: &Attributes, asked: &Declaration<'_>) -> Option<Difference> {
    plain("type", current.kind, asked.kind, |kind| kind.name().to_owned())
        .or_else(|| plain("durable", current.durable, asked.durable, |value| value.to_string()))
        .or_else(|| plain("auto_delete", current.auto_delete, asked.auto_delete, |value| value.to_string()))
        .or_else(|| plain("internal", current.internal, asked.internal, |value| value.to_string()))
        .or_else(|| arguments(&current.arguments, asked.arguments))
}

/// Compares what is shown: two delayed kinds differ in an argument, not in their type.
fn plain<T>(field: &str, current: T, received: T, show: impl Fn(T) -> String) -> Option<Difference> {
    let (current, received) = (show(current), show(received));
    (current != received).then(|| Difference {
        field: field.to_owned(),
        received: Shown::Value(received),
        current: Shown::Value(current),
    })
}

fn arguments(current: &FieldTable, received: &FieldTable) -> Option<Difference> {
    [ALTERNATE, DELAYED_TYPE]
        .into_iter()
        .find_map(|name| argument(name, current.find(name), received.find(name)))
}

fn argument(name: &str, current: Option<&FieldValue>, received: Option<&FieldValue>) -> Option<Difference> {
    let (received, current) = match (received, current) {
        (None, None) => return None,
        (Some(received), Some(current)) if alike(received, current) => return None,
        (Some(received), Some(current)) => {
            (Shown::Value(show::plain(received)), Shown::Value(show::plain(current)))
        }
        (received, current) => (typed(received), typed(current)),
    };
    Some(Difference { field: name.to_owned(), received, current })
}

fn typed(value: Option<&FieldValue>) -> Shown {
    value.map_or(Shown::Absent, |value| Shown::Typed { value: show::plain(value), kind: value.type_name() })
}

/// Integers of different widths are alike, and so are floats; otherwise the type counts.
fn alike(a: &FieldValue, b: &FieldValue) -> bool {
    match (HeaderValue::from(a), HeaderValue::from(b)) {
        (HeaderValue::Float(a), HeaderValue::Float(b)) => a == b,
        _ => match (a.as_integer(), b.as_integer()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}
