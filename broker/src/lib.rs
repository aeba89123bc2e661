//! The message broker: AMQP 0-9-1 with RabbitMQ's extensions, exchanges, queues, and the log that keeps what was
//! confirmed. A library; the sidecar hosts it.
//!
//! ```text
//!  socket ─▶ server ─▶ amqp ─▶ vhost ─▶ exchange ─▶ queue ─▶ vhost ─▶ amqp ─▶ server ─▶ socket
//!                                │                    │
//!                                └──────▶ log ◀───────┘  (one thread writes and syncs)
//! ```

pub mod access;
pub mod amqp;
pub mod exchange;
pub mod log;
pub mod management;
pub mod message;
pub mod policy;
pub mod queue;
pub mod server;
pub mod vhost;

/// The version of RabbitMQ whose behaviour this is: what clients and tools are told, for they decide by it.
pub const RABBITMQ_VERSION: &str = "4.1.4";
