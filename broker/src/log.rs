//! The log of one virtual host: what was confirmed is here, and comes back after any crash.
//!
//! ```text
//!  vhost ──Record──▶ appender ──Group──▶ writer thread ──▶ segments ──▶ recovery ──▶ State
//!    │                  ▲                    │                              ▲
//!    │                  └──── Completed ─────┘        checkpoint ───────────┘
//!    └─ index (a queue), segments (space)   reader: messages back by position
//! ```
//! `record`, `frame`, `appender`, `index`, `segments` and `state` are pure. Only `disk` touches files; `writer`,
//! `reader`, `recovery`, `checkpoint` and `open` do so through it. `docs/log-format.md` describes what is written.
//!
//! What holds: a group is confirmed only after one fdatasync covered it; a segment is begun only when the one before it
//! is safe; after a failed sync nothing more is written; a position is never written twice with different bytes.

pub mod appender;
pub mod checkpoint;
pub mod disk;
pub mod frame;
pub mod group;
pub mod identity;
pub mod index;
pub mod inspect;
pub mod lock;
pub mod open;
pub mod position;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod segment;
pub mod segments;
pub mod settles;
pub mod state;
mod wire;
pub mod writer;

#[cfg(test)]
pub(crate) mod tests;

/// The format that this version writes; a later one is refused.
pub const FORMAT: u32 = 1;
/// The size of a segment, zero-filled ahead.
pub const SEGMENT_BYTES: u32 = 64 << 20;
/// A disk with less than this beside the next segment counts as full. A checkpoint of five million messages fits into it;
/// without one, no dead segment could be deleted.
pub const FREE_BYTES_MIN: u64 = 128 << 20;
