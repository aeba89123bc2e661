//! The registry: who is there, and who is alive. One task owns the state and talks to the store; readers get
//! immutable [`Catalog`]s. It knows neither HTTP nor gRPC.
//!
//! ```text
//!  HTTP API, Attach ──commands──▶ owner ──▶ draft ──one commit at a time──▶ store
//!                                  ▲  │                                       │
//!   probes, lease and TTL wheels ──┘  └◀──────────── committed ◀──────────────┘
//!   (live: memory only)               ▼
//!                            Arc<Catalog> (watch channel) ──▶ blocking queries, discovery
//! ```
//! What arrives while a commit is under way goes together into the next one: a burst of hundreds of changes
//! costs a handful of fsyncs, and the catalog still shows only what is stored, in the order of its revisions.
//! One exception, on purpose: see `owner`, "Truth before durability".

pub mod catalog;
pub mod handle;
pub mod registration;
pub mod stats;

mod batch;
mod command;
mod draft;
mod edit;
mod error;
mod lease;
mod live;
mod owner;
mod probes;
mod record;
mod status;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, Check, Instance, Node, Origin, ServiceView, TaggedAddress};
pub use error::RegistryError;
pub use handle::{DEREGISTER_AFTER_DEFAULT, LEASE_DEFAULT, Registry, RegistryOptions};
pub use lease::Lease;
pub use registration::{CheckRegistration, Registration, maintenance_check_id, service_check_id};
pub use stats::RegistryStats;
