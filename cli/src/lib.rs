//! The command line of Weft: runs a mesh of local processes, and shows what the control plane knows. It holds
//! no state of its own, and speaks to the mesh only as anybody could: by processes, files, HTTP and AMQP.
//!
//! ```text
//!  args ─▶ commands ─▶ api ─▶ client ──HTTP──▶ weft-control-plane
//!              ├─────▶ sidecars ──HTTP──▶ admin servers
//!              ├─────▶ broker ──HTTP, AMQP, files──▶ message broker
//!              ├─────▶ up ──processes──▶ weft-control-plane, weft-sidecar × replicas
//!              └─────▶ demo ──▶ `weft up` + load + faults
//! ```

pub mod api;
pub mod args;
pub mod broker;
pub mod client;
pub mod commands;
pub mod demo;
pub mod environment;
pub mod manifest;
pub mod mesh;
pub mod objects;
pub mod output;
pub mod samples;
pub mod sidecars;
pub mod up;
