//! Why a topology refuses. The texts are RabbitMQ's, without the code's name and dash before them.

use super::equivalence::Difference;
use crate::exchange::kind::KindError;

/// Which reply code a refusal has. All of them close the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 404 NOT_FOUND
    NotFound,
    /// 403 ACCESS_REFUSED
    AccessRefused,
    /// 406 PRECONDITION_FAILED
    PreconditionFailed,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// There is no such exchange.
    #[error("no exchange '{name}' in vhost '{vhost}'")]
    NoExchange {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// There is no such queue.
    #[error("no queue '{name}' in vhost '{vhost}'")]
    NoQueue {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// A declaration of a new exchange whose name only the broker may use.
    #[error("exchange name '{name}' contains reserved prefix 'amq.*'")]
    Reserved {
        /// Its name.
        name: Box<str>,
    },
    /// A deletion of what the broker declares itself.
    #[error("deletion of system exchange '{name}' in vhost '{vhost}' not allowed")]
    System {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// The default exchange is neither declared, deleted, nor bound.
    #[error("operation not permitted on the default exchange")]
    Default,
    /// A client published to an internal exchange.
    #[error("cannot publish to internal exchange '{name}' in vhost '{vhost}'")]
    Internal {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// `exchange.delete` with if-unused while bindings leave the exchange.
    #[error("exchange '{name}' in vhost '{vhost}' in use")]
    InUse {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// The exchange exists and is another one than was declared.
    #[error(
        "inequivalent arg '{}' for exchange '{name}' in vhost '{vhost}': received {} but current is {}",
        difference.field, difference.received, difference.current
    )]
    Inequivalent {
        /// Its name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// Where they differ.
        difference: Box<Difference>,
    },
    /// An argument of `exchange.declare` has a type that it cannot have.
    #[error("invalid type '{kind}' for arg '{argument}' in exchange '{name}' in vhost '{vhost}'")]
    ArgumentType {
        /// The exchange's name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// The argument.
        argument: &'static str,
        /// RabbitMQ's name of the type that it has.
        kind: &'static str,
    },
    /// The type, or a binding's arguments for it.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// There are as many exchanges as there may be.
    #[error("cannot declare exchange '{name}' in vhost '{vhost}': exchange limit of {max} is reached")]
    ExchangeLimit {
        /// The exchange's name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// The limit.
        max: usize,
    },
    /// As many bindings leave the exchange as may.
    #[error("cannot bind to exchange '{name}' in vhost '{vhost}': binding limit of {max} is reached")]
    BindingLimit {
        /// The exchange's name.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// The limit.
        max: usize,
    },
}

impl TopologyError {
    /// The reply code.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoExchange { .. } | Self::NoQueue { .. } => Fault::NotFound,
            Self::Reserved { .. } | Self::System { .. } | Self::Default | Self::Internal { .. } => {
                Fault::AccessRefused
            }
            Self::InUse { .. }
            | Self::Inequivalent { .. }
            | Self::ArgumentType { .. }
            | Self::Kind(_)
            | Self::ExchangeLimit { .. }
            | Self::BindingLimit { .. } => Fault::PreconditionFailed,
        }
    }
}
