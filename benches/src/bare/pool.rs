//! Connections to the one upstream: HTTP/1.1 ones are lent whole, one HTTP/2 connection is shared by all.

use std::{cell::RefCell, net::SocketAddr};

use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Local;

/// Idle connections that are kept.
const IDLE_MAX: usize = 256;

/// See the module.
pub(super) struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<http1::SendRequest<Incoming>>>,
    shared: tokio::sync::OnceCell<http2::SendRequest<Incoming>>,
}

impl Pool {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        Self { upstream, idle: RefCell::default(), shared: tokio::sync::OnceCell::new() }
    }

    pub(super) async fn dial(&self) -> anyhow::Result<TcpStream> {
        let io = TcpStream::connect(self.upstream).await?;
        io.set_nodelay(true)?;
        Ok(io)
    }

    /// A connection that nobody else uses.
    pub(super) async fn http1(&self) -> anyhow::Result<http1::SendRequest<Incoming>> {
        while let Some(sender) = self.newest() {
            if sender.is_ready() {
                return Ok(sender);
            }
        }
        let (sender, connection) = http1::handshake(TokioIo::new(self.dial().await?)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    /// The answer was read to its end.
    pub(super) fn give_back(&self, sender: http1::SendRequest<Incoming>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }

    /// The connection that all use.
    pub(super) async fn http2(&self) -> anyhow::Result<http2::SendRequest<Incoming>> {
        let made = self.shared.get_or_try_init(async || {
            let (sender, connection) = http2::handshake(Local, TokioIo::new(self.dial().await?)).await?;
            tokio::task::spawn_local(connection);
            anyhow::Ok(sender)
        });
        Ok(made.await?.clone())
    }

    fn newest(&self) -> Option<http1::SendRequest<Incoming>> {
        self.idle.borrow_mut().pop()
    }
}
