//! The comparison of the sidecar with its peers: nginx, HAProxy, Envoy, and a bare hyper proxy as the floor. It
//! knows the peers by their programs and their documented configuration, and the sidecar in the same way: no
//! crate of the mesh is imported here.
//!
//! ```text
//!   core 0: load ─▶┐                      ┌─▶ backend :core 0
//!                  └─▶ core 1: one proxy ─┘
//!   driver: start all peers of a case ─▶ rounds, one peer after the other ─▶ medians ─▶ docs/benchmarks.md
//! ```

pub mod backend;
pub mod bare;
pub mod brokers;
pub mod case;
pub mod cli;
pub mod driver;
pub mod load;
pub mod memory;
pub mod peer;
pub mod process;
pub mod report;
pub mod sample;
pub mod statistics;
pub mod wire;
