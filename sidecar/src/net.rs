//! The one door of the data path to connections. Outside of this crate's own unit tests what stands here is
//! tokio's, by another name; inside of them a connection may be one of a simulated network instead (see
//! `tests/simulation.rs`).

#[cfg(test)]
mod either;

#[cfg(not(test))]
pub(crate) use tokio::net::{TcpListener, TcpStream};

#[cfg(test)]
pub(crate) use self::either::{TcpListener, TcpStream};
