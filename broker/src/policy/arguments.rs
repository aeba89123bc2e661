//! The look at `queue.declare` for a new queue: types and values of its arguments, and what its type of queue refuses.
//! `consume` does the same for `basic.consume` and has its errors from here.
//! RabbitMQ's order, codes and texts, which `docs/compatibility.md` compares.

use thiserror::Error;

use super::{
    kind::{QUEUE_TYPE, QueueKind},
    queue_settings::{CACHE_SIZE, CACHE_TTL, DEDUPLICATION, max_age_ms},
};
use crate::amqp::value::{FieldTable, FieldValue};

/// Bytes of a stream's segment at most.
pub const SEGMENT_BYTES_MAX: i64 = 3_000_000_000;
/// Milliseconds of `x-expires` and `x-message-ttl` at most: ten years of 365 days.
pub const EXPIRY_MS_MAX: i64 = 315_360_000_000;
/// The highest `x-max-priority`.
pub const PRIORITY_MAX: i64 = 255;
/// The reply code of all errors here: PRECONDITION_FAILED, a soft error.
pub const REPLY_CODE: u16 = 406;

const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

/// A `queue.declare` as it came.
#[derive(Debug, Clone, Copy)]
pub struct Declaration<'a> {
    /// The virtual host.
    pub vhost: &'a str,
    /// The queue's name; the one that was made up when `is_server_named`.
    pub queue: &'a str,
    /// Whether the client left the name to the broker.
    pub is_server_named: bool,
    /// `durable`
    pub durable: bool,
    /// `exclusive`
    pub exclusive: bool,
    /// `auto-delete`
    pub auto_delete: bool,
    /// `arguments`, after `kind::add_default`.
    pub arguments: &'a FieldTable,
}

/// Why it is refused: 406 with RabbitMQ's text, without the name of the code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// An argument of a wrong type or value.
    #[error("invalid arg '{argument}' for {queue}: {fault}")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// Of which queue.
        queue: QueueName,
        /// What is wrong.
        fault: Fault,
    },
    /// An argument of other types of queue.
    #[error("invalid arg '{argument}' for {queue} of queue type {}", kind.module())]
    NotOfKind {
        /// Its name.
        argument: Box<str>,
        /// Of which queue.
        queue: QueueName,
        /// The type.
        kind: QueueKind,
    },
    /// The dead-letter exchange is no text.
    #[error("invalid type '{found}' for arg '{DEAD_LETTER_EXCHANGE}' in {queue}")]
    DeadLetterExchange {
        /// The type it is.
        found: &'static str,
        /// Of which queue.
        queue: QueueName,
    },
    /// Only classic queues can be that.
    #[error("invalid property '{property}' for {queue}")]
    Property {
        /// What was asked for.
        property: &'static str,
        /// Of which queue.
        queue: QueueName,
    },
    /// Only classic queues get a name from the broker.
    #[error("Cannot declare a server-named queue for type {}", kind.module())]
    ServerNamed {
        /// The type.
        kind: QueueKind,
    },
    /// Larger than a segment may be.
    #[error("Exceeded max value for x-stream-max-segment-size-bytes")]
    Segment,
    /// Not from 16 to 255.
    #[error("Invalid value for  x-stream-filter-size-bytes")]
    FilterSize,
}

/// A queue as error texts name it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("queue '{queue}' in vhost '{vhost}'")]
pub struct QueueName {
    /// Its name.
    pub queue: Box<str>,
    /// Its virtual host.
    pub vhost: Box<str>,
}

/// What is wrong with a value; shown as RabbitMQ shows its terms.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Another type than this argument takes.
    #[error("{{unacceptable_type,{0}}}")]
    Type(&'static str),
    /// No whole number.
    #[error("\"expected integer, got {0}\"")]
    NotInteger(&'static str),
    /// Below zero.
    #[error("{{value_negative,{0}}}")]
    Negative(i64),
    /// Zero where there must be more.
    #[error("{{value_zero,0}}")]
    Zero,
    /// More than there may be.
    #[error("{{max_value_exceeded,{0}}}")]
    TooMuch(i64),
    /// A time longer than [`EXPIRY_MS_MAX`].
    #[error("{{value_too_large,{0}}}")]
    TooLong(i64),
    /// `x-dead-letter-routing-key` alone.
    #[error("routing_key_but_no_dlx_defined")]
    RoutingKeyAlone,
    /// None of the words that this argument takes.
    #[error("{0}")]
    Word(&'static str),
    /// No place in a stream.
    #[error("{{invalid_stream_offset_arg,{0}}}")]
    StreamOffset(Box<str>),
    /// None of the values that this argument takes.
    #[error("\"unsupported {what} '{value}'\"")]
    Unsupported {
        /// Of what.
        what: &'static str,
        /// The value.
        value: Box<str>,
    },
}

type Check = fn(&FieldValue, &FieldTable) -> Result<(), Fault>;

/// In RabbitMQ's order: the first fault is the one that is told. `x-delivery-limit` and `x-consumer-timeout` are not
/// looked at, as there: one that is no number is without effect.
const CHECKS: &[(&str, Check)] = &[
    ("x-expires", |value, _| at_least_one(value).and_then(|()| time(value))),
    ("x-message-ttl", |value, _| time(value)),
    ("x-dead-letter-exchange", |value, _| text(value).map(|_| ())),
    ("x-dead-letter-routing-key", dead_letter_routing_key),
    ("x-dead-letter-strategy", |value, _| {
        word(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
    }),
    ("x-max-length", |value, _| from_zero(value)),
    ("x-max-length-bytes", |value, _| from_zero(value)),
    ("x-max-in-memory-length", |value, _| from_zero(value)),
    ("x-max-in-memory-bytes", |value, _| from_zero(value)),
    ("x-max-priority", |value, _| max_priority(value)),
    ("x-overflow", |value, _| {
        word(value, &["drop-head", "reject-publish", "reject-publish-dlx"], "invalid_overflow")
    }),
    ("x-queue-mode", |value, _| one_of(value, &["default", "lazy"], "queue mode")),
    ("x-queue-version", |value, _| version(value)),
    ("x-single-active-consumer", |value, _| flag(value)),
    ("x-quorum-initial-group-size", |value, _| at_least_one(value)),
    ("x-max-age", |value, _| max_age(value)),
    ("x-stream-max-segment-size-bytes", |value, _| from_zero(value)),
    ("x-initial-cluster-size", |value, _| at_least_one(value)),
    ("x-queue-leader-locator", |value, _| {
        word(value, &["client-local", "balanced", "random", "least-leaders"], "invalid_queue_locator_arg")
    }),
    (DEDUPLICATION, |value, _| flag_or_word(value)),
    (CACHE_SIZE, |value, arguments| where_deduplicated(arguments, || at_least_one(value))),
    (CACHE_TTL, |value, arguments| where_deduplicated(arguments, || from_zero(value))),
];

/// Looks at a declaration of a queue that is not there yet.
///
/// # Errors
/// The first that RabbitMQ would tell of.
pub fn check(declaration: &Declaration<'_>) -> Result<QueueKind, ArgumentError> {
    let arguments = declaration.arguments;
    let kind = check_kind(declaration)?;
    if declaration.is_server_named && kind != QueueKind::Classic {
        return Err(ArgumentError::ServerNamed { kind });
    }
    if let Some(value) = arguments.find(DEAD_LETTER_EXCHANGE)
        && !matches!(value, FieldValue::LongString(_))
    {
        return Err(ArgumentError::DeadLetterExchange {
            found: value.type_name(),
            queue: declaration.queue_name(),
        });
    }
    for (name, check) in CHECKS {
        if let Some(value) = arguments.find(name)
            && !kind.refuses(name)
        {
            check(value, arguments).map_err(|fault| declaration.fault(name, fault))?;
        }
    }
    if let Some((name, _)) = arguments.iter().find(|(name, _)| kind.refuses(name)) {
        let queue = declaration.queue_name();
        return Err(ArgumentError::NotOfKind { argument: name.into(), queue, kind });
    }
    check_attributes(declaration, kind)?;
    Ok(kind)
}

fn check_kind(declaration: &Declaration<'_>) -> Result<QueueKind, ArgumentError> {
    let Some(value) = declaration.arguments.find(QUEUE_TYPE) else { return Ok(QueueKind::default()) };
    let found = text(value).and_then(|name| {
        QueueKind::find(name).ok_or_else(|| Fault::Unsupported { what: "queue type", value: name.into() })
    });
    found.map_err(|fault| declaration.fault(QUEUE_TYPE, fault))
}

/// What quorum queues and streams cannot be.
fn check_attributes(declaration: &Declaration<'_>, kind: QueueKind) -> Result<(), ArgumentError> {
    if kind == QueueKind::Classic {
        return Ok(());
    }
    let refused = [
        (declaration.auto_delete, "auto-delete"),
        (declaration.exclusive, "exclusive-owner"),
        (!declaration.durable, "non-durable"),
    ];
    if let Some((_, property)) = refused.into_iter().find(|(is_refused, _)| *is_refused) {
        return Err(ArgumentError::Property { property, queue: declaration.queue_name() });
    }
    let number = |name| declaration.arguments.find(name).and_then(FieldValue::as_integer);
    if number("x-stream-max-segment-size-bytes").is_some_and(|bytes| bytes > SEGMENT_BYTES_MAX) {
        return Err(ArgumentError::Segment);
    }
    let filter = number("x-stream-filter-size-bytes");
    if kind == QueueKind::Stream && filter.is_some_and(|bytes| !(16..=255).contains(&bytes)) {
        return Err(ArgumentError::FilterSize);
    }
    Ok(())
}

impl Declaration<'_> {
    fn queue_name(&self) -> QueueName {
        QueueName { queue: self.queue.into(), vhost: self.vhost.into() }
    }

    fn fault(&self, argument: &'static str, fault: Fault) -> ArgumentError {
        ArgumentError::Argument { argument, queue: self.queue_name(), fault }
    }
}

pub(super) fn integer(value: &FieldValue) -> Result<i64, Fault> {
    value.as_integer().ok_or_else(|| Fault::NotInteger(value.type_name()))
}

fn from_zero(value: &FieldValue) -> Result<(), Fault> {
    match integer(value)? {
        number if number < 0 => Err(Fault::Negative(number)),
        _ => Ok(()),
    }
}

fn at_least_one(value: &FieldValue) -> Result<(), Fault> {
    match integer(value)? {
        0 => Err(Fault::Zero),
        number if number < 0 => Err(Fault::Negative(number)),
        _ => Ok(()),
    }
}

fn time(value: &FieldValue) -> Result<(), Fault> {
    from_zero(value)?;
    match integer(value)? {
        ms if ms > EXPIRY_MS_MAX => Err(Fault::TooLong(ms)),
        _ => Ok(()),
    }
}

fn max_priority(value: &FieldValue) -> Result<(), Fault> {
    from_zero(value)?;
    match integer(value)? {
        number if number > PRIORITY_MAX => Err(Fault::TooMuch(number)),
        _ => Ok(()),
    }
}

fn version(value: &FieldValue) -> Result<(), Fault> {
    from_zero(value)?;
    match integer(value)? {
        1 | 2 => Ok(()),
        number => Err(Fault::Unsupported { what: "queue version", value: number.to_string().into() }),
    }
}

pub(super) fn flag(value: &FieldValue) -> Result<(), Fault> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        other => Err(Fault::Type(other.type_name())),
    }
}

/// The plugin takes the words too.
fn flag_or_word(value: &FieldValue) -> Result<(), Fault> {
    match value.as_str() {
        Some("true" | "false") => Ok(()),
        _ => flag(value),
    }
}

fn text(value: &FieldValue) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| Fault::Type(value.type_name()))
}

fn word(value: &FieldValue, words: &[&str], fault: &'static str) -> Result<(), Fault> {
    if words.contains(&text(value)?) { Ok(()) } else { Err(Fault::Word(fault)) }
}

fn one_of(value: &FieldValue, words: &[&str], what: &'static str) -> Result<(), Fault> {
    match text(value)? {
        word if words.contains(&word) => Ok(()),
        other => Err(Fault::Unsupported { what, value: other.into() }),
    }
}

fn max_age(value: &FieldValue) -> Result<(), Fault> {
    max_age_ms(text(value)?).map(|_| ()).ok_or(Fault::Word("invalid_max_age"))
}

fn dead_letter_routing_key(value: &FieldValue, arguments: &FieldTable) -> Result<(), Fault> {
    text(value)?;
    arguments.find(DEAD_LETTER_EXCHANGE).map(|_| ()).ok_or(Fault::RoutingKeyAlone)
}

/// Other queues may carry arguments of those names for somebody else.
fn where_deduplicated(arguments: &FieldTable, check: impl Fn() -> Result<(), Fault>) -> Result<(), Fault> {
    if arguments.find(DEDUPLICATION).is_some() { check() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
