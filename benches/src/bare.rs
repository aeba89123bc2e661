//! The floor: hyper as a proxy, on one thread, with a pool and nothing else: no names, no choice, no policy, no
//! metrics, no record. What the sidecar costs above it is the price of being a mesh.

mod body;
mod pool;

use std::{future::Future, net::SocketAddr, rc::Rc};

use anyhow::Context;
use clap::ValueEnum;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use self::{body::Returning, pool::Pool};

/// What is spoken on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Bytes.
    Tcp,
}

/// What `bare-proxy` takes.
#[derive(Debug, clap::Parser)]
#[command(name = "bare-proxy", version, about = "hyper as a proxy, with nothing of a mesh around it")]
pub struct BareArgs {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where everything goes
    #[arg(long)]
    upstream: SocketAddr,
    /// What is spoken on both sides
    #[arg(long)]
    wire: Wire,
}

/// Tasks of this thread, which need not be `Send`.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// Proxies until it is ended.
///
/// # Errors
/// When it cannot listen.
pub fn run(args: &BareArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(args.listen).await.context("cannot listen")?;
        let pool = Rc::new(Pool::new(args.upstream));
        loop {
            let (io, _) = listener.accept().await?;
            io.set_nodelay(true)?;
            let (pool, wire) = (Rc::clone(&pool), args.wire);
            // How a connection ends is seen by the load.
            tokio::task::spawn_local(async move { serve(pool, wire, io).await });
        }
    })
}

async fn serve(pool: Rc<Pool>, wire: Wire, mut io: TcpStream) -> anyhow::Result<()> {
    match wire {
        Wire::Http1 => {
            let service = service_fn(move |request| http1_call(Rc::clone(&pool), request));
            http1::Builder::new().serve_connection(TokioIo::new(io), service).await?;
        }
        Wire::Http2 => {
            let service = service_fn(move |request| http2_call(Rc::clone(&pool), request));
            http2::Builder::new(Local).serve_connection(TokioIo::new(io), service).await?;
        }
        Wire::Tcp => {
            let mut upstream = pool.dial().await?;
            tokio::io::copy_bidirectional(&mut io, &mut upstream).await?;
        }
    }
    Ok(())
}

async fn http1_call(pool: Rc<Pool>, request: Request<Incoming>) -> anyhow::Result<Response<Returning>> {
    let mut sender = pool.http1().await?;
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| Returning::new(body, sender, pool)))
}

async fn http2_call(pool: Rc<Pool>, request: Request<Incoming>) -> anyhow::Result<Response<Incoming>> {
    let mut sender = pool.http2().await?;
    Ok(sender.send_request(request).await?)
}
