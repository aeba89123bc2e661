//! Class 40: exchanges and the bindings between them.

use crate::amqp::{method::define::class, table::RawTable};

class! {
    'a;
    /// Methods of class `exchange`.
    Exchange<'a> = 40;

    /// `exchange.declare`.
    Declare<'a> = 10, "exchange.declare" {
        skip u16;
        fields {
            /// The name.
            exchange: &'a str,
            /// `type`: direct, fanout, topic, headers and others.
            kind: &'a str,
        }
        bits {
            /// Asks only whether it is there.
            passive,
            /// Outlives the broker.
            durable,
            /// Goes with its last binding.
            auto_delete,
            /// Takes nothing from clients.
            internal,
            /// Wants no answer.
            no_wait,
        }
        then {
            /// `alternate-exchange` and others.
            arguments: RawTable<'a>,
        }
    }

    /// `exchange.declare-ok`.
    DeclareOk = 11, "exchange.declare_ok" {}

    /// `exchange.delete`.
    Delete<'a> = 20, "exchange.delete" {
        skip u16;
        fields {
            /// The name.
            exchange: &'a str,
        }
        bits {
            /// Only where nothing is bound to it.
            if_unused,
            /// Wants no answer.
            no_wait,
        }
    }

    /// `exchange.delete-ok`.
    DeleteOk = 21, "exchange.delete_ok" {}

    /// `exchange.bind` (RabbitMQ).
    Bind<'a> = 30, "exchange.bind" {
        skip u16;
        fields {
            /// The exchange that will receive.
            destination: &'a str,
            /// The exchange that passes on.
            source: &'a str,
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

    /// `exchange.bind-ok` (RabbitMQ).
    BindOk = 31, "exchange.bind_ok" {}

    /// `exchange.unbind` (RabbitMQ).
    Unbind<'a> = 40, "exchange.unbind" {
        skip u16;
        fields {
            /// The exchange that receives.
            destination: &'a str,
            /// The exchange that passes on.
            source: &'a str,
            /// The binding's key.
            routing_key: &'a str,
        }
        bits {
            /// Wants no answer.
            no_wait,
        }
        then {
            /// Those of the binding.
            arguments: RawTable<'a>,
        }
    }

    /// `exchange.unbind-ok` (RabbitMQ), whose id breaks the row.
    UnbindOk = 51, "exchange.unbind_ok" {}
}
