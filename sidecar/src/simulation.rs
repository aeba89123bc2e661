//! Seeded simulation of a mesh.
mod network;
mod socket;
mod trace;

pub(crate) use self::socket::{Acceptor, Place, Socket, epoch};
