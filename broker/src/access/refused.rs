//! Why somebody may not: RabbitMQ 4's texts, without the name of the code that `amqp` puts before them.
//! RabbitMQ 3.10 leaves out the action: `access to queue 'q' in vhost '/' refused for user 'u'`.

use thiserror::Error;

use super::permission::Action;

/// AMQP 0-9-1: a soft error, the channel is closed. At login it closes the connection.
pub const ACCESS_REFUSED: u16 = 403;
/// AMQP 0-9-1: a soft error, the channel is closed.
pub const PRECONDITION_FAILED: u16 = 406;
/// AMQP 0-9-1: a hard error, the connection is closed.
pub const NOT_ALLOWED: u16 = 530;

/// Somebody is not let in, or may not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// No such user, or another password.
    #[error("user '{user}' - invalid credentials")]
    Credentials {
        /// Who it said it is.
        user: Box<str>,
    },
    /// An empty password is never right.
    #[error("user '{user}' attempted to log in with a blank password, which is prohibited")]
    BlankPassword {
        /// Who it said it is.
        user: Box<str>,
    },
    /// One of the loopback users from elsewhere.
    #[error("user '{user}' can only connect via localhost")]
    NotFromHere {
        /// The user.
        user: Box<str>,
    },
    /// No such virtual host.
    #[error("vhost {vhost} not found")]
    NoVhost {
        /// Its name.
        vhost: Box<str>,
    },
    /// No permissions in that virtual host.
    #[error("access to vhost '{vhost}' refused for user '{user}'")]
    Vhost {
        /// The user.
        user: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
    },
    /// The virtual host has its connections.
    #[error("access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached")]
    VhostConnections {
        /// The user.
        user: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// How many it may have.
        limit: u64,
    },
    /// The user has its connections.
    #[error("Connection refused for user '{user}': user connection limit ({limit}) is reached")]
    UserConnections {
        /// The user.
        user: Box<str>,
        /// How many it may have.
        limit: u64,
    },
    /// The user has its channels.
    #[error(
        "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({limit})"
    )]
    UserChannels {
        /// The user.
        user: Box<str>,
        /// How many it may have.
        limit: u64,
    },
    /// The virtual host has its queues.
    #[error("cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached")]
    VhostQueues {
        /// The one too many.
        queue: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// How many it may have.
        limit: u64,
    },
    /// No pattern of the user's permission matches.
    #[error("{action} access to {kind} '{name}' in vhost '{vhost}' refused for user '{user}'")]
    Resource {
        /// What was asked for.
        action: Action,
        /// `exchange` or `queue`.
        kind: &'static str,
        /// Its name; `amq.default` for the default exchange.
        name: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// The user.
        user: Box<str>,
    },
    /// The topic permission does not match the routing key.
    #[error(
        "{action} access to topic '{routing_key}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{user}'"
    )]
    Topic {
        /// What was asked for.
        action: Action,
        /// The key.
        routing_key: Box<str>,
        /// The exchange.
        exchange: Box<str>,
        /// The virtual host.
        vhost: Box<str>,
        /// The user.
        user: Box<str>,
    },
}

impl Refused {
    /// The reply code of AMQP 0-9-1.
    pub fn reply_code(&self) -> u16 {
        match self {
            Self::Credentials { .. }
            | Self::BlankPassword { .. }
            | Self::NotFromHere { .. }
            | Self::Resource { .. }
            | Self::Topic { .. } => ACCESS_REFUSED,
            Self::VhostQueues { .. } => PRECONDITION_FAILED,
            Self::NoVhost { .. }
            | Self::Vhost { .. }
            | Self::VhostConnections { .. }
            | Self::UserConnections { .. }
            | Self::UserChannels { .. } => NOT_ALLOWED,
        }
    }

    /// What a client may learn. Of a refused login that is nothing but the fact; the log has the reason.
    pub fn client_text(&self, mechanism: &str) -> String {
        match self {
            Self::Credentials { .. } | Self::BlankPassword { .. } | Self::NotFromHere { .. } => format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            ),
            _ => self.to_string(),
        }
    }
}
