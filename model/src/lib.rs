//! The domain of Weft: names, endpoints, policies, resources and the state machines over them.
//!
//! Everything here is pure: bytes, events and a time go in, decisions come out. There is no tokio, hyper,
//! tonic or protobuf in this crate, no clock and no environment; conversions stand at the edges of the
//! crates that have them.

pub mod backoff;
pub mod balance;
pub mod budget;
pub mod check;
pub mod discovery;
pub mod endpoint;
pub mod error_code;
pub mod ewma;
pub mod gradient;
pub mod health;
pub mod lease;
pub mod mesh_file;
pub mod name;
pub mod outlier;
pub mod policy;
pub mod rate_limit;
pub mod resource;
pub mod retry;
pub mod success_rate;
pub mod traffic;
