//! What stands behind every proxy: one process with a port a protocol. Answers are made once and repeated, so
//! that it costs little beside the proxy that is measured.

mod h1;
mod h2;
mod source;

use std::{
    future::Future,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, net::TcpStream, task::LocalSet};

/// Bytes of a small answer, and of a gRPC message.
pub const SMALL: usize = 128;
/// Bytes of a large one.
pub const LARGE: usize = 16 * 1_024;
/// The frame around a gRPC message: a flag and its length.
pub const GRPC_FRAME: usize = 5;

/// Where it listens; told on standard output as one line of JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ports {
    /// HTTP/1.1, [`SMALL`]; on every address of the machine, so that one backend can be a thousand endpoints.
    pub http1_small: u16,
    /// HTTP/1.1, [`LARGE`].
    pub http1_large: u16,
    /// HTTP/2 with prior knowledge, [`SMALL`].
    pub http2: u16,
    /// gRPC: sends back what it gets.
    pub grpc: u16,
    /// TCP: sends without end.
    pub source: u16,
}

/// Serves until standard input ends: with its owner.
///
/// # Errors
/// When it cannot listen.
pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let ports = Ports {
            http1_small: serve(Ipv4Addr::UNSPECIFIED, h1::backend(SMALL)).await?,
            http1_large: serve(Ipv4Addr::LOCALHOST, h1::backend(LARGE)).await?,
            http2: serve(Ipv4Addr::LOCALHOST, h2::backend(h2::Kind::Plain)).await?,
            grpc: serve(Ipv4Addr::LOCALHOST, h2::backend(h2::Kind::Grpc)).await?,
            source: serve(Ipv4Addr::LOCALHOST, source::connection).await?,
        };
        writeln!(io::stdout(), "{}", serde_json::to_string(&ports)?)?;
        until_standard_input_ends().await
    })
}

/// Waits for the owner's end of the pipe to close.
///
/// # Errors
/// When it cannot be read.
pub async fn until_standard_input_ends() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    Ok(())
}

async fn serve<F>(address: Ipv4Addr, connection: impl Fn(TcpStream) -> F + 'static) -> anyhow::Result<u16>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let listener = TcpListener::bind((address, 0)).await.context("the backend cannot listen")?;
    let port = listener.local_addr()?.port();
    let connection = Rc::new(connection);
    tokio::task::spawn_local(async move {
        while let Ok((io, peer)) = listener.accept().await {
            if !is_ours(peer) || io.set_nodelay(true).is_err() {
                continue;
            }
            let connection = Rc::clone(&connection);
            // How a connection ends is seen by the load.
            tokio::task::spawn_local(async move { connection(io).await });
        }
    });
    Ok(port)
}

/// One port listens on every address: nobody from outside is answered there.
fn is_ours(peer: SocketAddr) -> bool {
    peer.ip().is_loopback()
}
