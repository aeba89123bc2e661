//! A second `queue.declare` of a queue that is there: whether it says the same. RabbitMQ compares the attributes and
//! those arguments that the queue's type knows; numbers of all integer types are equal by value.

use std::fmt;

use thiserror::Error;

use super::{
    arguments::QueueName,
    kind::{QUEUE_TYPE, QueueKind},
};
use crate::amqp::value::{FieldTable, FieldValue};

/// AMQP 0-9-1: PRECONDITION_FAILED, a soft error.
pub const PRECONDITION_FAILED: u16 = 406;
/// AMQP 0-9-1: RESOURCE_LOCKED, a soft error.
pub const RESOURCE_LOCKED: u16 = 405;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// `durable`
    pub durable: bool,
    /// `exclusive`
    pub exclusive: bool,
    /// `auto-delete`
    pub auto_delete: bool,
    /// `arguments`, after `kind::add_default`.
    pub arguments: &'a FieldTable,
}

/// The first difference. The text is RabbitMQ's, without the name of the code.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Inequivalent {
    /// Of another connection, or exclusive now and not before, or the other way round. RabbitMQ does not tell them
    /// apart.
    #[error(
        "cannot obtain exclusive access to locked {queue}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration."
    )]
    Locked {
        /// The queue.
        queue: QueueName,
    },
    /// An attribute or argument is another.
    #[error("inequivalent arg '{field}' for {queue}: received {received} but current is {current}")]
    Field {
        /// `durable`, `auto_delete` or the argument.
        field: &'static str,
        /// The queue.
        queue: QueueName,
        /// What came.
        received: Box<Shown>,
        /// What is.
        current: Box<Shown>,
    },
}

impl Inequivalent {
    /// The reply code of AMQP 0-9-1.
    pub fn reply_code(&self) -> u16 {
        match self {
            Self::Locked { .. } => RESOURCE_LOCKED,
            Self::Field { .. } => PRECONDITION_FAILED,
        }
    }
}

/// A value as the text shows it: with its type where the other side has none.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Not there.
    None,
    /// Both are there.
    Plain(FieldValue),
    /// The other is not there.
    Typed(FieldValue),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Plain(value) => write!(f, "'{}'", Plain(value)),
            Self::Typed(value) => write!(f, "the value '{}' of type '{}'", Plain(value), value.type_name()),
        }
    }
}

struct Plain<'a>(&'a FieldValue);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => {
                f.write_str(&String::from_utf8_lossy(bytes))
            }
            FieldValue::Bool(flag) => flag.fmt(f),
            FieldValue::F32(number) => write!(f, "{number:?}"),
            FieldValue::F64(number) => write!(f, "{number:?}"),
            FieldValue::Timestamp(seconds) => seconds.fmt(f),
            FieldValue::Void => f.write_str("undefined"),
            other => match other.as_integer() {
                Some(number) => number.fmt(f),
                None => write!(f, "{other:?}"),
            },
        }
    }
}

/// Compares what came with what is.
///
/// # Errors
/// The first difference in RabbitMQ's order.
pub fn check(
    vhost: &str,
    queue: &str,
    current: Attributes<'_>,
    received: Attributes<'_>,
) -> Result<(), Inequivalent> {
    let name = || QueueName { queue: queue.into(), vhost: vhost.into() };
    if current.exclusive != received.exclusive {
        return Err(Inequivalent::Locked { queue: name() });
    }
    let flags = [
        ("durable", current.durable, received.durable),
        ("auto_delete", current.auto_delete, received.auto_delete),
    ];
    let of_flag = |flag| Box::new(Shown::Plain(FieldValue::Bool(flag)));
    if let Some((field, is, came)) = flags.into_iter().find(|(_, is, came)| is != came) {
        let (received, current) = (of_flag(came), of_flag(is));
        return Err(Inequivalent::Field { field, queue: name(), received, current });
    }
    for field in QueueKind::of(current.arguments).arguments() {
        let (is, came) = (current.arguments.find(field), received.arguments.find(field));
        if !are_equal(field, is, came) {
            let (received, current) = shown(came, is);
            return Err(Inequivalent::Field { field, queue: name(), received, current });
        }
    }
    Ok(())
}

fn are_equal(field: &str, current: Option<&FieldValue>, received: Option<&FieldValue>) -> bool {
    match (current, received) {
        (None, None) => true,
        (Some(current), Some(received)) => match (current.as_integer(), received.as_integer()) {
            (Some(current), Some(received)) => current == received,
            _ => current == received,
        },
        // A classic queue may say what it is or not.
        (Some(one), None) | (None, Some(one)) => field == QUEUE_TYPE && one.as_str() == Some("classic"),
    }
}

fn shown(received: Option<&FieldValue>, current: Option<&FieldValue>) -> (Box<Shown>, Box<Shown>) {
    match (received.cloned(), current.cloned()) {
        (Some(received), Some(current)) => {
            (Box::new(Shown::Plain(received)), Box::new(Shown::Plain(current)))
        }
        (received, current) => {
            let typed = |value: Option<FieldValue>| Box::new(value.map_or(Shown::None, Shown::Typed));
            (typed(received), typed(current))
        }
    }
}

#[cfg(test)]
mod tests;
