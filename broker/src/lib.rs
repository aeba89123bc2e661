//! The message broker: AMQP 0-9-1 with RabbitMQ's extensions, exchanges, queues, and the log that keeps what was
//! confirmed. A library; the sidecar hosts it.
//!
//! ```text
//!  socket ─▶ server ─▶ amqp ─▶ vhost ─▶ exchange ─▶ queue ─▶ vhost ─▶ amqp ─▶ server ─▶ socket
//!                                │                    │
//!                                └──────▶ log ◀───────┘  (one thread writes and syncs)
//! ```

pub mod amqp;
