//! What a change to the topology did, as values: for the log, for events, for whoever holds messages of an exchange.

use std::sync::Arc;

use crate::exchange::{ExchangeId, arguments::Arguments};

/// One thing that happened. Those of one call are in the order in which they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A binding is new.
    Bound(NamedBinding),
    /// A binding is no more.
    Unbound(NamedBinding),
    /// An exchange is no more; what it held (delayed) goes with it.
    ExchangeDeleted {
        /// Its number, which the next exchange may get.
        id: ExchangeId,
        /// Its name.
        name: Arc<str>,
        /// Whether it was durable.
        durable: bool,
    },
}

/// A binding by the names of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBinding {
    /// The exchange that it leaves.
    pub source: Arc<str>,
    /// Where it leads.
    pub destination: End,
    /// Its key, or pattern.
    pub key: Arc<str>,
    /// Its arguments.
    pub arguments: Arguments,
    /// Whether both ends are durable, so that it outlives the broker.
    pub durable: bool,
}

/// The end of a binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The queue of that name.
    Queue(Arc<str>),
    /// The exchange of that name.
    Exchange(Arc<str>),
}

/// The end that a client names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The queue of that name.
    Queue(&'a str),
    /// The exchange of that name.
    Exchange(&'a str),
}

impl End {
    /// The same, borrowed.
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::Queue(name) => Target::Queue(name),
            Self::Exchange(name) => Target::Exchange(name),
        }
    }
}
