//! The management API, as RabbitMQ's: read, declare, delete, purge, get, publish, export, import; and its metrics.
//!
//! It owns HTTP and JSON. What it shows are values that virtual hosts hand out (`vhost::views`), and what it changes it
//! says as a client of AMQP would (`vhost::visit`), by the rights of whoever asks. It knows no queue's inside.
//!
//! ```text
//!  socket ─▶ listen ─▶ login ─▶ route ─▶ queues | exchanges | users | … ─▶ vhost threads
//!                        │                      │
//!                        └──── answer ◀─────────┘   (the one place that turns failures into statuses)
//! ```

mod access;
mod answer;
mod bindings;
mod body;
mod connections;
mod context;
mod definitions;
mod exchanges;
mod health;
mod home;
mod json;
mod listen;
mod login;
mod messages;
mod metrics;
mod nodes;
mod overview;
mod paging;
mod parameters;
mod patient;
mod policies;
mod process;
mod queues;
mod rates;
mod request;
mod route;
mod stats;
mod text;
mod users;
mod vhosts;
mod visit;

pub use listen::serve;
