//! The registry over a memory store on a paused clock: what users of it see.

mod attached;
mod checked;
mod random;
mod refused;
mod support;
