//! Stands in for the data path until it lands: binds its ports and serves nothing on them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use weft_runtime::listen::{ListenError, bind_shared};

use crate::{
    config::{SidecarConfig, Upstream},
    table::Directory,
};

#[derive(Debug)]
pub(super) struct Listeners {
    outbound: Vec<TcpListener>,
    inbound: Vec<TcpListener>,
    upstreams: Vec<UpstreamListeners>,
}

#[derive(Debug)]
pub(super) struct UpstreamListeners {
    pub(super) upstream: Upstream,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    pub(super) fn bind(config: &SidecarConfig) -> Result<Self, ListenError> {
        let shared = |at, what| bind_shared(at, what, config.insecure_listen, config.data_threads);
        let outbound = shared(config.outbound, "outbound calls (--outbound)")?;
        let inbound = shared(config.inbound, "inbound calls (--inbound)")?;
        let mut upstreams = Vec::new();
        for upstream in &config.upstreams {
            let sockets = shared(upstream.listen, "an upstream (--upstream)")?;
            upstreams.push(UpstreamListeners { upstream: upstream.clone(), sockets });
        }
        Ok(Self { outbound, inbound, upstreams })
    }

    pub(super) fn outbound(&self) -> Option<SocketAddr> {
        self.outbound.first()?.local_addr().ok()
    }

    pub(super) fn inbound(&self) -> Option<SocketAddr> {
        self.inbound.first()?.local_addr().ok()
    }

    pub(super) fn upstreams(&self) -> &[UpstreamListeners] {
        &self.upstreams
    }
}

impl UpstreamListeners {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.sockets.first()?.local_addr().ok()
    }
}

#[derive(Debug)]
pub(super) struct DataThreads(#[allow(dead_code, reason = "holds the ports")] Listeners);

pub(super) fn spawn(
    _config: &Arc<SidecarConfig>,
    _directory: &Directory,
    listeners: Listeners,
) -> io::Result<DataThreads> {
    Ok(DataThreads(listeners))
}

#[allow(clippy::unused_async, reason = "the shape of what will stand here")]
impl DataThreads {
    pub(super) fn begin_drain(&self) {}
    pub(super) async fn drained(&self) {}
    pub(super) async fn shutdown(self) {}
}
