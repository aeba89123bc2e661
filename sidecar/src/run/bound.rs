//! The addresses of a sidecar once its listeners are bound: what `ports.json` holds, what the wrapped
//! application is told, what others are told to dial.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use anyhow::Context;
use serde::Serialize;
use weft_model::name::ServiceName;

use crate::{
    config::{QueueHostConfig, SidecarConfig},
    data::Listeners,
};

/// Documentation addresses (RFC 5737): no packet is sent there, only the route is looked up.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// As the system chose them where port 0 was asked for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bound {
    pub(super) outbound: SocketAddr,
    pub(super) inbound: SocketAddr,
    pub(super) admin: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<SocketAddr>,
    /// Of a queue host.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) queue_host: Option<QueueHostConfig>,
    /// By the name that the application dials: bare in our own namespace.
    upstreams: BTreeMap<String, SocketAddr>,
    #[serde(skip)]
    pub(super) upstream_list: Vec<(ServiceName, SocketAddr)>,
}

impl Bound {
    pub(super) fn new(
        config: &SidecarConfig,
        data: &Listeners,
        admin: &TcpListener,
        queue_host: Option<QueueHostConfig>,
    ) -> anyhow::Result<Self> {
        let bound = "a listener that is bound has an address";
        let mut upstream_list = Vec::new();
        for listener in data.upstreams() {
            upstream_list.push((listener.upstream.service.clone(), listener.address().context(bound)?));
        }
        let dialled = |service: &ServiceName| match service.namespace == config.namespace {
            true => service.name.to_string(),
            false => service.to_string(),
        };
        Ok(Self {
            outbound: data.outbound().context(bound)?,
            inbound: data.inbound().context(bound)?,
            admin: admin.local_addr()?,
            queue_host,
            app: config.instance.as_ref().map(|instance| instance.app),
            upstreams: upstream_list.iter().map(|(service, at)| (dialled(service), *at)).collect(),
            upstream_list,
        })
    }

    /// What others are told to dial: what was said, else the inbound address, else, where that is any
    /// address, the one that leads to the control plane.
    pub(super) fn advertised(&self, config: &SidecarConfig) -> SocketAddr {
        let address = config.advertise.unwrap_or(self.inbound);
        let port = if address.port() == 0 { self.inbound.port() } else { address.port() };
        let ip = match address.ip().is_unspecified() {
            true => towards(config.control_plane.as_deref()),
            false => address.ip(),
        };
        SocketAddr::new(ip, port)
    }
}

/// Our own address on the route there. A control plane that cannot be resolved now (its DNS may start after
/// us) leaves the default route; without any, loopback.
fn towards(control_plane: Option<&str>) -> IpAddr {
    let authority = control_plane.and_then(|url| url.strip_prefix("http://"));
    let own = |connect: &dyn Fn(&UdpSocket) -> std::io::Result<()>| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        connect(&socket).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    authority
        .and_then(|authority| own(&|socket| socket.connect(authority)))
        .or_else(|| own(&|socket| socket.connect(SOMEWHERE)))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_towards_a_control_plane_on_this_machine_is_loopback() {
        assert_eq!(towards(Some("http://127.0.0.1:8502")), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(!towards(Some("http://name.invalid:8502")).is_unspecified());
    }
}
