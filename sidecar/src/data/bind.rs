//! The listening sockets: one a thread and port, sharing the port (`SO_REUSEPORT`), so that the kernel spreads
//! connections and no thread hands one to another.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{SidecarConfig, Upstream};

/// Connections waiting to be accepted, at most (the kernel may allow fewer).
const BACKLOG: i32 = 1_024;

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: stop what holds the port, or give another")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// `outbound`, `inbound` or the upstream's name.
    pub purpose: String,
    /// The system's word.
    #[source]
    pub source: io::Error,
}

/// The sockets of all threads.
#[derive(Debug)]
pub struct Listeners {
    outbound: Vec<TcpListener>,
    inbound: Vec<TcpListener>,
    upstreams: Vec<UpstreamListeners>,
    threads: usize,
}

/// The sockets of one upstream port.
#[derive(Debug)]
pub struct UpstreamListeners {
    /// What it leads to.
    pub upstream: Upstream,
    sockets: Vec<TcpListener>,
}

/// One thread's share.
#[derive(Debug, Default)]
pub(super) struct ThreadListeners {
    pub(super) outbound: Option<TcpListener>,
    pub(super) inbound: Option<TcpListener>,
    pub(super) upstreams: Vec<(Upstream, TcpListener)>,
}

impl Listeners {
    /// Binds all ports that the configuration names; port 0 is the system's choice. Inbound only where there
    /// is an instance.
    ///
    /// # Errors
    /// Names the port that is taken.
    pub fn bind(config: &SidecarConfig) -> Result<Self, BindError> {
        let threads = config.data_threads.max(1);
        let outbound = bind_all(config.outbound, threads, "outbound calls")?;
        let inbound = match &config.instance {
            Some(_) => bind_all(config.inbound, threads, "inbound calls")?,
            None => Vec::new(),
        };
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| {
                let purpose = format!("upstream {}", upstream.service);
                let sockets = bind_all(upstream.listen, threads, &purpose)?;
                Ok(UpstreamListeners { upstream: upstream.clone(), sockets })
            })
            .collect::<Result<_, BindError>>()?;
        Ok(Self { outbound, inbound, upstreams, threads })
    }

    /// Where the application's calls come in.
    pub fn outbound(&self) -> Option<SocketAddr> {
        self.outbound.first()?.local_addr().ok()
    }

    /// Where other sidecars' calls come in.
    pub fn inbound(&self) -> Option<SocketAddr> {
        self.inbound.first()?.local_addr().ok()
    }

    /// The fixed ports.
    pub fn upstreams(&self) -> &[UpstreamListeners] {
        &self.upstreams
    }

    pub(super) fn split(self) -> Vec<ThreadListeners> {
        let mut shares: Vec<_> = (0..self.threads).map(|_| ThreadListeners::default()).collect();
        for (share, socket) in shares.iter_mut().zip(self.outbound) {
            share.outbound = Some(socket);
        }
        for (share, socket) in shares.iter_mut().zip(self.inbound) {
            share.inbound = Some(socket);
        }
        for port in self.upstreams {
            for (share, socket) in shares.iter_mut().zip(port.sockets) {
                share.upstreams.push((port.upstream.clone(), socket));
            }
        }
        shares
    }
}

impl UpstreamListeners {
    /// The port that was bound.
    pub fn address(&self) -> Option<SocketAddr> {
        self.sockets.first()?.local_addr().ok()
    }
}

fn bind_all(address: SocketAddr, count: usize, purpose: &str) -> Result<Vec<TcpListener>, BindError> {
    let fail = |source| BindError { address, purpose: purpose.to_owned(), source };
    let first = bind_one(address, count > 1).map_err(fail)?;
    // With port 0 the first socket's port is everyone's.
    let bound = first.local_addr().map_err(fail)?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bind_one(bound, true).map_err(fail)?);
    }
    Ok(sockets)
}

/// The port is shared only where several threads need it: otherwise a second sidecar on the same port would
/// silently take half of the connections.
fn bind_one(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
