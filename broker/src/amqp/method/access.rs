//! Class 30: tickets of AMQP 0-8. Deprecated, and still answered by RabbitMQ: with ticket 1.

use crate::amqp::method::define::class;

class! {
    'a;
    /// Methods of class `access`.
    Access<'a> = 30;

    /// `access.request`.
    Request<'a> = 10, "access.request" {
        fields {
            /// The realm.
            realm: &'a str,
        }
        bits {
            /// Of no effect.
            exclusive,
            /// Of no effect.
            passive,
            /// Of no effect.
            active,
            /// Of no effect.
            write,
            /// Of no effect.
            read,
        }
    }

    /// `access.request-ok`.
    RequestOk = 11, "access.request_ok" {
        fields {
            /// Goes into later methods, which disregard it.
            ticket: u16,
        }
    }
}
