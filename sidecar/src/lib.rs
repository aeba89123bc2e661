//! The sidecar: carries the calls in and out of one service instance. It never decides who is alive for
//! others, and its data path never waits for the control plane for what it has dialled before.
//!
//! ```text
//!  application ─▶ outbound ─▶ table ─▶ balance ─▶ pool ─▶ hop ─▶ the other sidecar's inbound ─▶ its application
//!                               ▲
//!  control plane ◀─▶ discovery ─┘ (own runtime; the table is swapped, never locked)
//! ```

pub mod admin;
mod answer;
pub mod app;
mod body;
pub mod clock;
pub mod concurrency;
pub mod config;
pub mod data;
pub mod detect;
pub mod discovery;
mod exchange;
mod exec;
mod expect;
pub mod fields;
mod forward;
mod forwarded;
pub mod hop;
mod idle;
mod inbound;
pub mod limits;
mod load;
mod local_error;
mod memory;
pub mod metrics;
mod net;
mod outbound;
mod pool;
mod record;
mod relay;
mod replay;
pub mod run;
mod stream;
pub mod strict;
pub mod table;
#[cfg(test)]
mod tests;
mod trace;
mod unread;
mod upgrade;
