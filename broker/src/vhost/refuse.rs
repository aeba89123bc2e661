//! What refusals of the other rooms become, as AMQP says them.

pub(super) use crate::amqp::reply::Refusal;
use crate::{
    access::refused::Refused,
    amqp::{reply::ReplyCode, table::TableError, wire::WireError},
    exchange::{
        kind::KindError,
        topology::{Fault, TopologyError},
    },
    policy::{arguments::ArgumentError, equivalence::Inequivalent},
};

/// Of the topology: all of them close the channel.
pub(super) fn topology(error: &TopologyError) -> Refusal {
    let code = match error.fault() {
        Fault::NotFound => ReplyCode::NotFound,
        Fault::AccessRefused => ReplyCode::AccessRefused,
        Fault::PreconditionFailed => ReplyCode::PreconditionFailed,
    };
    Refusal::new(code, error)
}

/// Of a type of exchange.
pub(super) fn kind(error: &KindError) -> Refusal {
    Refusal::new(ReplyCode::PreconditionFailed, error)
}

/// Of rights and limits.
pub(super) fn access(refused: &Refused) -> Refusal {
    Refusal::new(ReplyCode::of(refused.reply_code()).unwrap_or(ReplyCode::AccessRefused), refused)
}

/// Of a queue's arguments.
pub(super) fn declare(error: &ArgumentError) -> Refusal {
    Refusal::new(ReplyCode::PreconditionFailed, error)
}

/// Of a second declaration.
pub(super) fn inequivalent(error: &Inequivalent) -> Refusal {
    Refusal::new(ReplyCode::of(error.reply_code()).unwrap_or(ReplyCode::PreconditionFailed), error)
}

/// Of a table.
pub(super) fn table(error: TableError) -> Refusal {
    Refusal::new(ReplyCode::SyntaxError, WireError::Table(error))
}

/// A method that only servers send, or that belongs to channel 0 and came on another.
pub(super) fn unimplemented() -> Refusal {
    Refusal::new(ReplyCode::CommandInvalid, "unimplemented method")
}

/// A method that may not be said on channel 0, or not any more.
pub(super) fn unexpected() -> Refusal {
    Refusal::new(ReplyCode::ChannelError, "unexpected method in connection state running")
}
