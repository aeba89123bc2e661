//! The three types of queue, and which arguments and policies each of them knows. RabbitMQ: "Queues", "Quorum
//! Queues: policies", "Streams".

use crate::amqp::value::{FieldTable, FieldValue};

/// The type of a queue: `x-queue-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum QueueKind {
    /// `classic`
    #[default]
    Classic,
    /// `quorum`
    Quorum,
    /// `stream`
    Stream,
}

/// The argument that says which type a queue is.
pub const QUEUE_TYPE: &str = "x-queue-type";

const CLASSIC_ARGUMENTS: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-queue-master-locator",
    "x-queue-leader-locator",
];

const QUORUM_ARGUMENTS: &[&str] = &[
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
];

const STREAM_ARGUMENTS: &[&str] = &[
    "x-max-length-bytes",
    "x-queue-type",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
];

const NOT_IN_CLASSIC: &[&str] = &[
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
    "delivery-limit",
    "dead-letter-strategy",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "target-group-size",
];

const NOT_IN_QUORUM: &[&str] = &[
    "queue-mode",
    "queue-master-locator",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
];

const NOT_IN_STREAM: &[&str] = &[
    "expires",
    "message-ttl",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "max-length",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "overflow",
    "queue-mode",
    "queue-master-locator",
    "delivery-limit",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "target-group-size",
];

impl QueueKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Quorum, Self::Stream];

    /// The type of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The type that checked arguments give: classic where they say nothing.
    pub fn of(arguments: &FieldTable) -> Self {
        arguments.find(QUEUE_TYPE).and_then(FieldValue::as_str).and_then(Self::find).unwrap_or_default()
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// What RabbitMQ's error texts call it.
    pub fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }

    /// The `apply-to` of a policy for this type alone.
    pub fn apply_to(self) -> &'static str {
        match self {
            Self::Classic => "classic_queues",
            Self::Quorum => "quorum_queues",
            Self::Stream => "streams",
        }
    }

    /// Arguments that this type knows, in the order in which a second declaration compares them.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Classic => CLASSIC_ARGUMENTS,
            Self::Quorum => QUORUM_ARGUMENTS,
            Self::Stream => STREAM_ARGUMENTS,
        }
    }

    /// Whether this type refuses `argument`: another type knows it, and this one does not.
    pub fn refuses(self, argument: &str) -> bool {
        !self.arguments().contains(&argument)
            && Self::ALL.into_iter().any(|kind| kind.arguments().contains(&argument))
    }

    /// Whether a policy with `key` may be for a queue of this type. One that holds a key which may not is passed
    /// over as a whole.
    pub fn knows_policy(self, key: &str) -> bool {
        let unknown = match self {
            Self::Classic => NOT_IN_CLASSIC,
            Self::Quorum => NOT_IN_QUORUM,
            Self::Stream => NOT_IN_STREAM,
        };
        !unknown.contains(&key)
    }

    /// Whether a queue with these attributes can be of this type.
    pub fn is_compatible(self, durable: bool, exclusive: bool, auto_delete: bool) -> bool {
        self == Self::Classic || (durable && !exclusive && !auto_delete)
    }
}

/// Writes the virtual host's default type into `arguments` that say none, where such a queue can be of that type.
/// RabbitMQ does so before it compares or stores them.
pub fn add_default(
    arguments: &mut FieldTable,
    default: Option<QueueKind>,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
) {
    if let Some(kind) = default
        && arguments.find(QUEUE_TYPE).is_none()
        && kind.is_compatible(durable, exclusive, auto_delete)
    {
        arguments.set(QUEUE_TYPE, FieldValue::text(kind.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_refuses_what_only_others_know() {
        assert!(QueueKind::Quorum.refuses("x-max-priority"));
        assert!(QueueKind::Classic.refuses("x-max-age"));
        assert!(QueueKind::Stream.refuses("x-message-ttl"));
        assert!(!QueueKind::Quorum.refuses("x-of-somebody"));
        assert!(!QueueKind::Classic.refuses("x-max-length"));
    }

    #[test]
    fn the_default_type_is_written_where_it_can_be() {
        let added = |durable, exclusive, auto_delete| {
            let mut arguments = FieldTable::new();
            add_default(&mut arguments, Some(QueueKind::Quorum), durable, exclusive, auto_delete);
            QueueKind::of(&arguments)
        };
        assert_eq!(added(true, false, false), QueueKind::Quorum);
        assert_eq!(added(true, true, false), QueueKind::Classic);
        assert_eq!(added(true, false, true), QueueKind::Classic);
        assert_eq!(added(false, false, false), QueueKind::Classic);
    }

    #[test]
    fn a_type_that_was_asked_for_stays() {
        let mut arguments = FieldTable::new();
        arguments.set(QUEUE_TYPE, FieldValue::text("classic"));
        add_default(&mut arguments, Some(QueueKind::Stream), true, false, false);
        assert_eq!(QueueKind::of(&arguments), QueueKind::Classic);
    }
}
