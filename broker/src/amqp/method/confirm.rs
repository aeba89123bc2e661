//! Class 85: publisher confirms (RabbitMQ).

use crate::amqp::method::define::class;

class! {
    'a;
    /// Methods of class `confirm`.
    Confirm = 85;

    /// `confirm.select`: publishes of this channel are confirmed from here on.
    Select = 10, "confirm.select" {
        bits {
            /// Wants no answer.
            no_wait,
        }
    }

    /// `confirm.select-ok`.
    SelectOk = 11, "confirm.select_ok" {}
}
