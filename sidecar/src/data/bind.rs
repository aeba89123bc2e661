//! The listening sockets: one a thread and port, sharing the port (`SO_REUSEPORT`), so that the kernel spreads
//! connections and no thread hands one to another.

use std::net::{SocketAddr, TcpListener};

use weft_runtime::listen::{ListenError, bind_shared};

use crate::config::{SidecarConfig, Upstream};

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
    /// Binds all ports that the configuration names; port 0 is the system's choice.
    ///
    /// # Errors
    /// Names the port that is taken, or the address that needs `--insecure-listen`.
    pub fn bind(config: &SidecarConfig) -> Result<Self, ListenError> {
        let threads = config.data_threads.max(1);
        let shared = |at, what| bind_shared(at, what, config.insecure_listen, threads);
        let outbound = shared(config.outbound, "outbound calls (--outbound)")?;
        let inbound = shared(config.inbound, "inbound calls (--inbound)")?;
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| {
                let sockets = shared(upstream.listen, "an upstream (--upstream)")?;
                Ok(UpstreamListeners { upstream: upstream.clone(), sockets })
            })
            .collect::<Result<_, ListenError>>()?;
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
