//! The control plane: knows registrations, leases, health and configuration, and tells every sidecar. It
//! never carries a request or a message.
//!
//! ```text
//!  HTTP 8500 (Consul API, /v1/weft) ──▶ registry ──▶ store (memory | sled)
//!  gRPC 8502 (Attach) ────────────────▶    │
//!                                          ▼ catalog (immutable snapshot)
//!  gRPC 8502 (delta ADS) ◀──────────── discovery
//! ```

pub mod config;
pub mod discovery;
pub mod http;
pub mod metrics;
pub mod registry;
pub mod resources;
pub mod server;
pub mod store;
