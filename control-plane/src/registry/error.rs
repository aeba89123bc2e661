//! Why the registry did not do as asked. Turning these into HTTP or gRPC answers is the edges' business.

use weft_model::name::{Id, InstanceKey};

use crate::store::StoreError;

/// Why the registry did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// No instance by that id on that node.
    #[error("unknown service ID {id:?} on node {node}")]
    NoInstance {
        /// The node.
        node: Id,
        /// The id asked for.
        id: String,
    },
    /// No check by that id on that node.
    #[error("unknown check ID {id:?} on node {node}")]
    NoCheck {
        /// The node.
        node: Id,
        /// The id asked for.
        id: String,
    },
    /// A TTL report for a check of another kind.
    #[error("check ID {id:?} is not a TTL check")]
    NotTtl {
        /// The id asked for.
        id: String,
    },
    /// A younger incarnation holds the id.
    #[error(
        "{key} is held by a newer incarnation {held}; this one is {offered}: give another --instance, or stop the other"
    )]
    OldIncarnation {
        /// The instance.
        key: InstanceKey,
        /// Who holds it.
        held: u64,
        /// Who asked.
        offered: u64,
    },
    /// The lease is no longer this caller's: another incarnation took the id over, or it was removed.
    #[error(
        "the lease on {key} has ended: another sidecar took it over, or it was deregistered; attach again"
    )]
    LeaseLost {
        /// The instance.
        key: InstanceKey,
    },
    /// Too many of something.
    #[error("{what} is over its limit of {limit}")]
    Limit {
        /// Names the limit.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A record of the store cannot be read.
    #[error(
        "the store's record {key} cannot be read: {reason}; it was written by a newer version, or is damaged"
    )]
    Record {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry is closing.
    #[error("the registry is closed")]
    Closed,
}
