//! The wire of AMQP 0-9-1: bytes in, values out, and back. No socket, no clock, no tokio.

pub mod value;
