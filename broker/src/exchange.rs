//! Exchanges: which queues a message goes to. Names, keys and headers in; queue numbers out.
//!
//! It owns exchanges, bindings and the names of queues. It knows no message, no queue's inside, no socket, no clock
//! and no log: what changes is handed back as values ([`topology::Effect`]) for the caller to write down.
//!
//! ```text
//!  name, keys, headers ─▶ topology ─▶ routes ─▶ direct | fanout | topic | headers ─▶ destinations
//!                            ▲  │        (bindings, and the index of one kind)          │
//!                            │  └─▶ queues, held (delayed)                              │
//!                            └────────── exchange to exchange, alternate ◀──────────────┘
//! ```

pub mod arguments;
mod bindings;
mod bucket;
pub mod default;
pub mod delayed;
mod direct;
mod fanout;
pub mod header;
mod headers;
pub mod kind;
pub mod message;
pub mod routes;
mod topic;
pub mod topology;

#[cfg(test)]
mod tests;

/// The number of a queue within its virtual host: small and dense, for marks are kept in vectors indexed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// The number of an exchange within its virtual host: small and dense; one that was deleted is given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u32);

/// Where a binding leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// A queue.
    Queue(QueueId),
    /// Another exchange, which routes on.
    Exchange(ExchangeId),
}
