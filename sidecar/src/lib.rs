//! The sidecar: carries the calls in and out of one service instance. It never decides who is alive for
//! others, and its data path never waits for the control plane for what it has dialled before.
//!
//! ```text
//!  application ─▶ outbound ─▶ table ─▶ balance ─▶ pool ─▶ hop ─▶ the other sidecar's inbound ─▶ its application
//!                               ▲
//!  control plane ◀─▶ discovery ─┘ (own runtime; the table is swapped, never locked)
//! ```

pub mod admin;
pub mod app;
pub mod config;
pub mod discovery;
pub mod inbound;
pub mod outbound;
pub mod run;
pub mod table;
