//! The data path in one process: a caller's sidecar, the replicas' sidecars, their applications. Each case
//! asserts one behaviour of DESIGN.md, "The sidecar's path of a call" and "What happens when".

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of this is test code; clippy sees tests only in functions marked as such"
)]

mod across;
mod answers;
mod balance;
mod concurrency;
mod early;
mod edges;
mod ejection;
mod failure;
mod features;
mod hedging;
mod http;
mod idle;
mod limits;
mod load;
mod mesh;
mod opaque;
mod retries;
mod reuse;
mod routes;
mod tunnel;
