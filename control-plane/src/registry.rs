//! The registry: who is there, and who is alive. One task owns the state and talks to the store; readers get
//! immutable [`Catalog`]s. It knows neither HTTP nor gRPC.
//!
//! ```text
//!  HTTP API, Attach ──commands──▶ owner task ──commits──▶ store
//!                                    │  ▲ lease wheel, check results, clock
//!                                    ▼
//!                              Arc<Catalog> (watch channel) ──▶ blocking queries, discovery
//! ```

pub mod catalog;
pub mod handle;

pub use catalog::{Catalog, Check, Instance, Node, Origin, ServiceView, TaggedAddress};
pub use handle::{Lease, Registration, Registry, RegistryError};
