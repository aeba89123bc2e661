//! Class 20: opening, pausing and closing of channels.

use crate::amqp::method::define::class;

class! {
    'a;
    /// Methods of class `channel`.
    Channel<'a> = 20;

    /// `channel.open`.
    Open = 10, "channel.open" {
        end &'a str;
    }

    /// `channel.open-ok`.
    OpenOk = 11, "channel.open_ok" {
        end &'a [u8];
    }

    /// `channel.flow`: deliveries stop or go on.
    Flow = 20, "channel.flow" {
        bits {
            /// Whether deliveries go on.
            active,
        }
    }

    /// `channel.flow-ok`.
    FlowOk = 21, "channel.flow_ok" {
        bits {
            /// What counts now.
            active,
        }
    }

    /// `channel.close`: the channel ends, with the reason.
    Close<'a> = 40, "channel.close" {
        fields {
            /// See [`ReplyCode`](crate::amqp::reply::ReplyCode).
            reply_code: u16,
            /// `CODE_NAME - explanation`.
            reply_text: &'a str,
            /// The class of the method that failed, 0 where none did.
            class_id: u16,
            /// The method that failed, 0 where none did.
            method_id: u16,
        }
    }

    /// `channel.close-ok`.
    CloseOk = 41, "channel.close_ok" {}
}
