//! Class 50: queues and their bindings.

use crate::amqp::{method::define::class, table::RawTable};

class! {
    'a;
    /// Methods of class `queue`.
    Queue<'a> = 50;

    /// `queue.declare`.
    Declare<'a> = 10, "queue.declare" {
        skip u16;
        fields {
            /// The name; empty for one of the server's making.
            queue: &'a str,
        }
        bits {
            /// Asks only whether it is there.
            passive,
            /// Outlives the broker.
            durable,
            /// For this connection alone, and gone with it.
            exclusive,
            /// Goes with its last consumer.
            auto_delete,
            /// Wants no answer.
            no_wait,
        }
        then {
            /// `x-queue-type`, `x-message-ttl` and others.
            arguments: RawTable<'a>,
        }
    }

    /// `queue.declare-ok`.
    DeclareOk<'a> = 11, "queue.declare_ok" {
        fields {
            /// The name, also of the server's making.
            queue: &'a str,
            /// Messages ready for delivery.
            message_count: u32,
            /// Consumers.
            consumer_count: u32,
        }
    }

    /// `queue.bind`.
    Bind<'a> = 20, "queue.bind" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
            /// The exchange.
            exchange: &'a str,
            /// The binding's key.
            routing_key: &'a str,
        }
        bits {
            /// Wants no answer.
            no_wait,
        }
        then {
            /// What a headers exchange compares.
            arguments: RawTable<'a>,
        }
    }

    /// `queue.bind-ok`.
    BindOk = 21, "queue.bind_ok" {}

    /// `queue.purge`.
    Purge<'a> = 30, "queue.purge" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
        }
        bits {
            /// Wants no answer.
            no_wait,
        }
    }

    /// `queue.purge-ok`.
    PurgeOk = 31, "queue.purge_ok" {
        fields {
            /// Messages taken out.
            message_count: u32,
        }
    }

    /// `queue.delete`.
    Delete<'a> = 40, "queue.delete" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
        }
        bits {
            /// Only where it has no consumer.
            if_unused,
            /// Only where it has no message.
            if_empty,
            /// Wants no answer.
            no_wait,
        }
    }

    /// `queue.delete-ok`.
    DeleteOk = 41, "queue.delete_ok" {
        fields {
            /// Messages that went with it.
            message_count: u32,
        }
    }

    /// `queue.unbind`.
    Unbind<'a> = 50, "queue.unbind" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
            /// The exchange.
            exchange: &'a str,
            /// The binding's key.
            routing_key: &'a str,
        }
        then {
            /// Those of the binding.
            arguments: RawTable<'a>,
        }
    }

    /// `queue.unbind-ok`.
    UnbindOk = 51, "queue.unbind_ok" {}
}
