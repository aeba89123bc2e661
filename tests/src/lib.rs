//! The harness of the end-to-end tests: real processes on loopback, ports of the system's choice, conditions
//! waited for with a deadline, nothing left running. It holds no assertion of its own.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails here says so, which is its job"
)]

pub mod amqp;
pub mod broker;
pub mod collector;
pub mod hostile;
pub mod http;
pub mod interop;
pub mod load;
pub mod machine;
pub mod mesh;
pub mod process;
pub mod quota;
pub mod scale;
pub mod up;
pub mod upstream;
pub mod wait;

pub use broker::Broker;
pub use mesh::{ControlPlane, Replica, Sidecar};
pub use process::Process;
pub use scale::Scale;
