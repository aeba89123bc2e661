//! Arguments of a queue and the policy that holds for it, as one typed value.
//!
//! Where both speak, the lower number holds; of the rest the argument holds, but for what RabbitMQ leaves to the
//! policy: `overflow` and `dead-letter-strategy` of quorum queues, and all of a stream. What was checked at declare and at
//! `put policy` is not complained about again: a value that does not fit is passed over.

use serde_json::{Map, Value};

use super::{
    definition::lower,
    kind::{QUEUE_TYPE, QueueKind},
};
use crate::amqp::value::{FieldTable, FieldValue};

/// Returns of a message before a quorum queue parks it, when nobody says how many. RabbitMQ 4's default.
pub const DELIVERY_LIMIT_DEFAULT: u64 = 20;
/// Identifiers that a deduplicating queue remembers when nobody says how many.
pub const DEDUPLICATION_CACHE_DEFAULT: u64 = 65_536;
/// Identifiers that a deduplicating queue remembers at most.
pub const DEDUPLICATION_CACHE_MAX: u64 = 1 << 20;

/// The argument that switches deduplication on, of the plugin `rabbitmq-message-deduplication`.
pub(super) const DEDUPLICATION: &str = "x-message-deduplication";
pub(super) const CACHE_SIZE: &str = "x-cache-size";
pub(super) const CACHE_TTL: &str = "x-cache-ttl";

/// Arguments and policy keys (with `x-` before them) that something follows from.
const ACTED_ON: &[&str] = &[
    QUEUE_TYPE,
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
    "x-consumer-timeout",
    "x-max-age",
    DEDUPLICATION,
    CACHE_SIZE,
    CACHE_TTL,
];

/// What happens to a message that a full queue has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// `drop-head`: the oldest goes.
    #[default]
    DropHead,
    /// `reject-publish`: the new one is nacked.
    RejectPublish,
    /// `reject-publish-dlx`: and dead-lettered.
    RejectPublishDlx,
}

impl Overflow {
    fn find(name: &str) -> Option<Self> {
        match name {
            "drop-head" => Some(Self::DropHead),
            "reject-publish" => Some(Self::RejectPublish),
            "reject-publish-dlx" => Some(Self::RejectPublishDlx),
            _ => None,
        }
    }
}

/// How surely a dead letter arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadLetterStrategy {
    /// `at-most-once`
    #[default]
    AtMostOnce,
    /// `at-least-once`: it leaves the queue when its new queue has confirmed it. Asks for `reject-publish`.
    AtLeastOnce,
}

/// A queue that takes a message of an identifier once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deduplication {
    /// Identifiers remembered.
    pub cache_size: u64,
    /// Milliseconds for which each is remembered; `None`: until it is pushed out.
    pub cache_ttl_ms: Option<u64>,
}

/// All that a queue needs to know. `None` is "without".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueSettings {
    /// Its type.
    pub kind: QueueKind,
    /// Milliseconds that a message may wait.
    pub message_ttl_ms: Option<u64>,
    /// Milliseconds that the queue may be unused.
    pub expires_ms: Option<u64>,
    /// Messages ready at most.
    pub max_length: Option<u64>,
    /// Bytes of bodies ready at most; for a stream, bytes of segments.
    pub max_length_bytes: Option<u64>,
    /// What a full queue does.
    pub overflow: Overflow,
    /// Where dead letters go; the default exchange is `Some("")`.
    pub dead_letter_exchange: Option<Box<str>>,
    /// With which key; `None` keeps the message's own.
    pub dead_letter_routing_key: Option<Box<str>>,
    /// How surely.
    pub dead_letter_strategy: DeadLetterStrategy,
    /// The highest priority; above it counts as it.
    pub max_priority: Option<u8>,
    /// Whether one consumer at a time is served.
    pub single_active_consumer: bool,
    /// Returns of a message before it is parked.
    pub delivery_limit: Option<u64>,
    /// Milliseconds that a consumer may take for an acknowledgement.
    pub consumer_timeout_ms: Option<u64>,
    /// Milliseconds that a stream keeps a segment.
    pub max_age_ms: Option<u64>,
    /// Whether and how messages are deduplicated.
    pub deduplication: Option<Deduplication>,
    /// Arguments and policy keys that were taken and that nothing follows from.
    pub not_acted_on: Vec<String>,
}

impl QueueSettings {
    /// What follows from checked `arguments` and the merged definition of the policies that hold.
    pub fn resolve(arguments: &FieldTable, definition: &Map<String, Value>) -> Self {
        let kind = QueueKind::of(arguments);
        let of = Sources { kind, arguments, definition };
        let mut settings = Self {
            kind,
            message_ttl_ms: of.limit("message-ttl"),
            expires_ms: of.limit("expires"),
            max_length: of.limit("max-length"),
            max_length_bytes: of.limit("max-length-bytes"),
            overflow: of.text("overflow").and_then(Overflow::find).unwrap_or_default(),
            dead_letter_exchange: of.text("dead-letter-exchange").map(Into::into),
            dead_letter_routing_key: of.text("dead-letter-routing-key").map(Into::into),
            dead_letter_strategy: of.strategy(),
            max_priority: of.argument("x-max-priority").and_then(|n| u8::try_from(n).ok()),
            single_active_consumer: of.flag("x-single-active-consumer"),
            delivery_limit: of.delivery_limit(),
            consumer_timeout_ms: of.limit("consumer-timeout"),
            max_age_ms: of.text("max-age").and_then(max_age_ms),
            deduplication: of.deduplication(),
            not_acted_on: of.not_acted_on(),
        };
        settings.leave_out_what_quorum_queues_lack();
        settings
    }

    /// RabbitMQ: a quorum queue does not know `reject-publish-dlx` and drops its head instead; dead letters at least
    /// once need `reject-publish`.
    fn leave_out_what_quorum_queues_lack(&mut self) {
        if self.kind != QueueKind::Quorum {
            return;
        }
        if self.overflow == Overflow::RejectPublishDlx {
            self.overflow = Overflow::DropHead;
            self.not_acted_on.push("overflow: reject-publish-dlx".to_owned());
        }
        let at_least_once = self.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce;
        if at_least_once && self.overflow != Overflow::RejectPublish {
            self.dead_letter_strategy = DeadLetterStrategy::AtMostOnce;
            self.not_acted_on.push("dead-letter-strategy: at-least-once".to_owned());
        }
    }
}

/// Milliseconds of a text such as `7D`: a number above zero and one of Y, M, D, h, m, s. RabbitMQ: "Streams:
/// retention".
pub fn max_age_ms(text: &str) -> Option<u64> {
    const SECOND_MS: u64 = 1000;
    const DAY_MS: u64 = 24 * 3600 * SECOND_MS;
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "Y" => 365 * DAY_MS,
        "M" => 30 * DAY_MS,
        "D" => DAY_MS,
        "h" => 3600 * SECOND_MS,
        "m" => 60 * SECOND_MS,
        "s" => SECOND_MS,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    Some(number.saturating_mul(unit_ms))
}

struct Sources<'a> {
    kind: QueueKind,
    arguments: &'a FieldTable,
    definition: &'a Map<String, Value>,
}

impl<'a> Sources<'a> {
    fn argument(&self, name: &str) -> Option<i64> {
        self.arguments.find(name)?.as_integer()
    }

    /// The lower of both; of a stream what the policy says.
    fn number(&self, key: &str) -> Option<i64> {
        let policy = self.definition.get(key).and_then(Value::as_i64);
        match (self.argument(&format!("x-{key}")), policy) {
            (Some(_), Some(policy)) if self.kind == QueueKind::Stream => Some(policy),
            (Some(argument), Some(policy)) => Some(lower(argument, policy)),
            (argument, policy) => argument.or(policy),
        }
    }

    fn limit(&self, key: &str) -> Option<u64> {
        self.number(key).and_then(|number| u64::try_from(number).ok())
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        let argument = self.arguments.find(&format!("x-{key}")).and_then(FieldValue::as_str);
        let policy = self.definition.get(key).and_then(Value::as_str);
        if self.is_left_to_the_policy(key) { policy.or(argument) } else { argument.or(policy) }
    }

    fn is_left_to_the_policy(&self, key: &str) -> bool {
        match self.kind {
            QueueKind::Classic => false,
            QueueKind::Quorum => matches!(key, "overflow" | "dead-letter-strategy"),
            QueueKind::Stream => true,
        }
    }

    fn flag(&self, name: &str) -> bool {
        match self.arguments.find(name) {
            Some(FieldValue::Bool(flag)) => *flag,
            Some(value) => value.as_str() == Some("true"),
            None => false,
        }
    }

    fn strategy(&self) -> DeadLetterStrategy {
        match self.text("dead-letter-strategy") {
            Some("at-least-once") => DeadLetterStrategy::AtLeastOnce,
            _ => DeadLetterStrategy::AtMostOnce,
        }
    }

    /// Only quorum queues have one; a negative one is none.
    fn delivery_limit(&self) -> Option<u64> {
        if self.kind != QueueKind::Quorum {
            return None;
        }
        match self.number("delivery-limit") {
            Some(limit) => u64::try_from(limit).ok(),
            None => Some(DELIVERY_LIMIT_DEFAULT),
        }
    }

    fn deduplication(&self) -> Option<Deduplication> {
        if !self.flag(DEDUPLICATION) {
            return None;
        }
        let count = |name| self.argument(name).and_then(|number| u64::try_from(number).ok());
        let cache_size =
            count(CACHE_SIZE).unwrap_or(DEDUPLICATION_CACHE_DEFAULT).min(DEDUPLICATION_CACHE_MAX);
        Some(Deduplication { cache_size, cache_ttl_ms: count(CACHE_TTL) })
    }

    fn not_acted_on(&self) -> Vec<String> {
        let arguments = self.arguments.iter().map(|(name, _)| name).filter(|name| !ACTED_ON.contains(name));
        let policy = self.definition.keys().map(String::as_str).filter(|key| {
            *key != "alternate-exchange" && !ACTED_ON.iter().any(|name| name.strip_prefix("x-") == Some(key))
        });
        arguments.chain(policy).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;
