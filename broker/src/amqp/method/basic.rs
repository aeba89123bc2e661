//! Class 60: publishing, consuming and acknowledging.

use crate::amqp::{method::define::class, table::RawTable};

class! {
    'a;
    /// Methods of class `basic`.
    Basic<'a> = 60;

    /// `basic.qos`.
    Qos = 10, "basic.qos" {
        fields {
            /// Octets; RabbitMQ refuses all but 0.
            prefetch_size: u32,
            /// Messages, 0 for no limit.
            prefetch_count: u16,
        }
        bits {
            /// For the channel as a whole, as RabbitMQ reads it, rather than for each new consumer.
            global,
        }
    }

    /// `basic.qos-ok`.
    QosOk = 11, "basic.qos_ok" {}

    /// `basic.consume`.
    Consume<'a> = 20, "basic.consume" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
            /// The consumer's name; empty for one of the server's making.
            consumer_tag: &'a str,
        }
        bits {
            /// Of no effect in RabbitMQ.
            no_local,
            /// Deliveries count as acknowledged.
            no_ack,
            /// The only consumer of its queue.
            exclusive,
            /// Wants no answer.
            no_wait,
        }
        then {
            /// `x-priority`, `x-stream-offset` and others.
            arguments: RawTable<'a>,
        }
    }

    /// `basic.consume-ok`.
    ConsumeOk<'a> = 21, "basic.consume_ok" {
        fields {
            /// The consumer's name.
            consumer_tag: &'a str,
        }
    }

    /// `basic.cancel`: of the client, or of the server whose queue is gone (RabbitMQ).
    Cancel<'a> = 30, "basic.cancel" {
        fields {
            /// The consumer's name.
            consumer_tag: &'a str,
        }
        bits {
            /// Wants no answer.
            no_wait,
        }
    }

    /// `basic.cancel-ok`.
    CancelOk<'a> = 31, "basic.cancel_ok" {
        fields {
            /// The consumer's name.
            consumer_tag: &'a str,
        }
    }

    /// `basic.publish`; content follows.
    Publish<'a> = 40, "basic.publish" {
        skip u16;
        fields {
            /// The exchange; empty for the default one.
            exchange: &'a str,
            /// The key.
            routing_key: &'a str,
        }
        bits {
            /// Comes back where no queue takes it.
            mandatory,
            /// Refused by RabbitMQ with 540.
            immediate,
        }
    }

    /// `basic.return`: what could not be routed; content follows.
    Return<'a> = 50, "basic.return" {
        fields {
            /// 312.
            reply_code: u16,
            /// `NO_ROUTE`.
            reply_text: &'a str,
            /// As it was published.
            exchange: &'a str,
            /// As it was published.
            routing_key: &'a str,
        }
    }

    /// `basic.deliver`; content follows.
    Deliver<'a> = 60, "basic.deliver" {
        fields {
            /// The consumer's name.
            consumer_tag: &'a str,
            /// The channel's number for this delivery, from 1.
            delivery_tag: u64,
        }
        bits {
            /// Whether it may have been delivered before.
            redelivered,
        }
        then {
            /// As it was published.
            exchange: &'a str,
            /// As it was published.
            routing_key: &'a str,
        }
    }

    /// `basic.get`.
    Get<'a> = 70, "basic.get" {
        skip u16;
        fields {
            /// The name; empty for the one declared last on this channel.
            queue: &'a str,
        }
        bits {
            /// Counts as acknowledged.
            no_ack,
        }
    }

    /// `basic.get-ok`; content follows.
    GetOk<'a> = 71, "basic.get_ok" {
        fields {
            /// The channel's number for this delivery, from 1.
            delivery_tag: u64,
        }
        bits {
            /// Whether it may have been delivered before.
            redelivered,
        }
        then {
            /// As it was published.
            exchange: &'a str,
            /// As it was published.
            routing_key: &'a str,
            /// Messages that are left.
            message_count: u32,
        }
    }

    /// `basic.get-empty`.
    GetEmpty = 72, "basic.get_empty" {
        end &'a str;
    }

    /// `basic.ack`: of a consumer, or of the server as a confirm (RabbitMQ).
    Ack = 80, "basic.ack" {
        fields {
            /// The delivery, or 0 with `multiple` for all.
            delivery_tag: u64,
        }
        bits {
            /// Up to and with that one.
            multiple,
        }
    }

    /// `basic.reject`.
    Reject = 90, "basic.reject" {
        fields {
            /// The delivery.
            delivery_tag: u64,
        }
        bits {
            /// Back to its queue, rather than dropped or dead-lettered.
            requeue,
        }
    }

    /// `basic.recover-async`, deprecated.
    RecoverAsync = 100, "basic.recover_async" {
        bits {
            /// Back to the queue; RabbitMQ refuses its absence with 540.
            requeue,
        }
    }

    /// `basic.recover`.
    Recover = 110, "basic.recover" {
        bits {
            /// Back to the queue; RabbitMQ refuses its absence with 540.
            requeue,
        }
    }

    /// `basic.recover-ok`.
    RecoverOk = 111, "basic.recover_ok" {}

    /// `basic.nack` (RabbitMQ).
    Nack = 120, "basic.nack" {
        fields {
            /// The delivery, or 0 with `multiple` for all.
            delivery_tag: u64,
        }
        bits {
            /// Up to and with that one.
            multiple,
            /// Back to its queue, rather than dropped or dead-lettered.
            requeue,
        }
    }
}
