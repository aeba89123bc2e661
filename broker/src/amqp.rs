//! The wire of AMQP 0-9-1: bytes in, values out, and back. No socket, no clock, no tokio.
//!
//! ```text
//!  buffer ─▶ frame ─▶ method ─┬─▶ handshake (until the connection is open)
//!                             └─▶ content ─▶ properties ─▶ table ─▶ value
//! ```

pub mod content;
pub mod frame;
pub mod handshake;
pub mod heartbeat;
pub mod method;
pub mod properties;
pub mod reply;
pub mod table;
pub mod value;
pub mod wire;
