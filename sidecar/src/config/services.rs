//! The lists of the settings: upstreams, subscriptions, and the services of a sidecar that runs alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use weft_model::{
    endpoint::{Endpoint, Health, HopTarget, Port, Protocol, TlsMode},
    name::{Id, InstanceKey, Label, ServiceName},
};

use super::{
    Faults, Upstream,
    faults::clip,
    settings::{RawEndpoint, RawUpstream, RawUpstreamFields, Settings},
    validate::socket_address,
};

/// The version of the hop header that an endpoint of the file reads.
const HOP_VERSION: u32 = 1;

/// What the lists of the settings hold.
pub(super) struct Lists {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) subscribe: Vec<ServiceName>,
    pub(super) services: Vec<(ServiceName, Vec<Endpoint>)>,
}

/// Takes the lists out of the settings.
pub(super) fn lists(settings: &mut Settings, namespace: &Label, node: &Id, faults: &mut Faults) -> Lists {
    let mut said = std::mem::take(&mut settings.upstreams);
    // A flag goes before the file, name by name.
    for flag in std::mem::take(&mut settings.upstream_flags) {
        match flag.split_once('=') {
            Some((name, at)) => {
                said.insert(name.trim().into(), RawUpstream::Address(at.trim().into()));
            }
            None => faults.add("upstream", format!("`{}` is not NAME=PORT", clip(&flag))),
        }
    }
    let services = std::mem::take(&mut settings.services);
    if settings.control_plane.is_some() && !services.is_empty() {
        faults.add("services", "are for a sidecar that runs alone: remove them, or the control plane");
    }
    let names: BTreeSet<ServiceName> = settings
        .subscribe
        .iter()
        .filter_map(|name| faults.keep("subscribe", ServiceName::from_host(name.trim(), namespace)))
        .collect();
    Lists {
        upstreams: upstreams(said, namespace, faults),
        subscribe: names.into_iter().collect(),
        services: services
            .into_iter()
            .filter_map(|(name, raw)| service(&name, raw, namespace, node, faults))
            .collect(),
    }
}

fn upstreams(said: BTreeMap<String, RawUpstream>, namespace: &Label, faults: &mut Faults) -> Vec<Upstream> {
    let mut ports = BTreeMap::new();
    let mut known = Vec::new();
    for (name, raw) in said {
        let field = format!("upstreams.{}", clip(&name));
        let Some(upstream) = upstream(&field, &name, raw, namespace, faults) else { continue };
        let port = upstream.listen.port();
        match (port != 0).then(|| ports.insert(upstream.listen, name)).flatten() {
            Some(other) => {
                faults.add(&field, format!("has port {port}, as `{other}` has: give it another, or 0"));
            }
            None => known.push(upstream),
        }
    }
    known
}

fn upstream(
    field: &str,
    name: &str,
    raw: RawUpstream,
    namespace: &Label,
    faults: &mut Faults,
) -> Option<Upstream> {
    let service = faults.keep(field, ServiceName::from_host(name, namespace));
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (listen, port_name, protocol) = match raw {
        RawUpstream::Port(port) => (Some(local(port)), String::new(), None),
        RawUpstream::Address(text) => match text.parse() {
            Ok(port) => (Some(local(port)), String::new(), None),
            Err(_) => (socket_address(field, &text, faults), String::new(), None),
        },
        RawUpstream::Full(RawUpstreamFields { port, port_name, protocol }) => {
            (Some(local(port)), port_name, protocol)
        }
    };
    let protocol = protocol.map_or(Some(Protocol::Auto), |text| faults.keep(field, text.parse()));
    Some(Upstream { service: service?, port_name, listen: listen?, protocol: protocol? })
}

fn service(
    name: &str,
    raw: Vec<RawEndpoint>,
    namespace: &Label,
    node: &Id,
    faults: &mut Faults,
) -> Option<(ServiceName, Vec<Endpoint>)> {
    let field = format!("services.{}", clip(name));
    let service = faults.keep(&field, ServiceName::from_host(name, namespace))?;
    let mut ids = BTreeSet::new();
    let endpoints = raw.into_iter().enumerate().filter_map(|(index, raw)| {
        let field = format!("{field}[{index}]");
        let endpoint = endpoint(&field, raw, &service, node, faults)?;
        if !ids.insert(endpoint.key.id.clone()) {
            faults.add(
                &field,
                format!("stands twice with id `{}`: give each an id of its own", endpoint.key.id),
            );
        }
        Some(endpoint)
    });
    let endpoints: Vec<Endpoint> = endpoints.collect();
    Some((service, endpoints))
}

fn endpoint(
    field: &str,
    raw: RawEndpoint,
    service: &ServiceName,
    node: &Id,
    faults: &mut Faults,
) -> Option<Endpoint> {
    if raw.port == 0 || raw.weight == Some(0) {
        faults.add(field, "a port and a weight are 1 to 65535");
    }
    if raw.address.is_empty()
        || raw.address.contains([':', '/', ' ']) && raw.address.parse::<std::net::IpAddr>().is_err()
    {
        faults.add(field, format!("`{}` is no IP address and no host name", clip(&raw.address)));
    }
    let protocol = raw.protocol.map_or(Some(Protocol::Auto), |text| faults.keep(field, text.parse()));
    let id = raw.id.unwrap_or_else(|| format!("{}:{}", raw.address, raw.port));
    let id = faults.keep(field, id.parse());
    let hop = match raw.sidecar {
        None => Some(HopTarget::Direct),
        Some(text) => socket_address(field, &text, faults).map(|address| HopTarget::Sidecar {
            address,
            hop_version: HOP_VERSION,
            identity: String::new(),
            tls: TlsMode::Off,
        }),
    };
    Some(Endpoint {
        key: InstanceKey { service: service.clone(), node: node.clone(), id: id? },
        address: raw.address,
        ports: vec![Port { name: String::new(), protocol: protocol?, port: raw.port }],
        health: Health::Passing,
        reason: String::new(),
        weight: raw.weight.unwrap_or(1),
        zone: raw.zone,
        hop: hop?,
        tags: Vec::new(),
    })
}
