//! Between the domain and `weft.v1`: what the registry has, as sidecars read it; what a sidecar registers,
//! as the registry reads it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use weft_model::{
    endpoint::{Health, HopTarget, Port, Protocol, TlsMode},
    name::{Id, InstanceKey, ServiceName},
};
use weft_proto::weft::v1 as proto;

use crate::registry::{Instance, Origin, Registration, handle::DEREGISTER_AFTER_DEFAULT};

/// Ports, tags and meta entries an instance registers, at most, each.
const ENTRIES_MAX: usize = 64;
/// Bytes of any one text an instance registers, at most.
const TEXT_BYTES_MAX: usize = 512;

/// What a sidecar wants to register, read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) registration: Registration,
    pub(super) health: Health,
    pub(super) reason: String,
}

pub(super) fn service(name: &ServiceName) -> proto::Service {
    proto::Service { name: name.name.to_string(), namespace: name.namespace.to_string() }
}

pub(super) fn endpoint(instance: &Instance) -> proto::Endpoint {
    let weight = match instance.health {
        Health::Warning => instance.weight_warning,
        Health::Passing | Health::Critical => instance.weight,
    };
    // A Consul registration may have no port; callers are told of one, so that they need not ask.
    let unnamed = Port { name: String::new(), protocol: Protocol::Auto, port: 0 };
    let ports = if instance.ports.is_empty() { std::slice::from_ref(&unnamed) } else { &instance.ports };
    proto::Endpoint {
        service: instance.key.service.name.to_string(),
        namespace: instance.key.service.namespace.to_string(),
        node: instance.key.node.to_string(),
        id: instance.key.id.to_string(),
        address: instance.address.clone(),
        ports: ports.iter().map(port).collect(),
        health: health(instance.health).into(),
        reason: instance.reason.clone(),
        weight: u32::from(weight.max(1)),
        zone: instance.zone.clone(),
        hop: Some(hop(&instance.hop)),
        tags: instance.tags.clone(),
    }
}

/// Reads an instance that a sidecar on `node` registers.
///
/// # Errors
/// The field and what is wrong with it, for people.
pub(super) fn wanted(node: &str, instance: proto::Instance) -> Result<Wanted, String> {
    limits(&instance)?;
    let at = |field: &'static str| move |error: weft_model::name::NameError| format!("{field}: {error}");
    let key = InstanceKey {
        service: ServiceName::new(&instance.service, &instance.namespace).map_err(at("service"))?,
        node: Id::node(node).map_err(at("node"))?,
        id: instance.id.parse().map_err(at("id"))?,
    };
    let weight = u16::try_from(instance.weight).map_err(|_| "weight: give 1 to 65535".to_owned())?.max(1);
    let deregister_after = match instance.deregister_after_ms {
        0 => DEREGISTER_AFTER_DEFAULT,
        ms => Duration::from_millis(ms),
    };
    let registration = Registration {
        key,
        ports: instance.ports.iter().map(read_port).collect::<Result<_, _>>()?,
        tags: instance.tags,
        meta: instance.meta.into_iter().map(|entry| (entry.key, entry.value)).collect(),
        weight,
        weight_warning: weight,
        tagged_addresses: BTreeMap::new(),
        enable_tag_override: false,
        zone: instance.zone,
        hop: read_hop(instance.sidecar)?,
        origin: Origin::Attach,
        checks: Vec::new(),
        replace_checks: false,
        deregister_after: Some(deregister_after),
        address: instance.address,
    };
    Ok(Wanted { registration, health: read_health(instance.health)?, reason: clip(instance.reason) })
}

/// Reads what a sidecar says of its instance.
///
/// # Errors
/// When the value is none of the three.
pub(super) fn read_health(value: i32) -> Result<Health, String> {
    match proto::Health::try_from(value) {
        Ok(proto::Health::Passing) => Ok(Health::Passing),
        Ok(proto::Health::Warning) => Ok(Health::Warning),
        Ok(proto::Health::Critical) => Ok(Health::Critical),
        Ok(proto::Health::Unspecified) | Err(_) => Err(format!("health: {value} is not a state known here")),
    }
}

/// At most [`TEXT_BYTES_MAX`] of an outside text that is only shown.
pub(super) fn clip(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

fn limits(instance: &proto::Instance) -> Result<(), String> {
    let counts =
        [("ports", instance.ports.len()), ("tags", instance.tags.len()), ("meta", instance.meta.len())];
    for (field, count) in counts {
        if count > ENTRIES_MAX {
            return Err(format!("{field}: {count} entries, at most {ENTRIES_MAX} are taken"));
        }
    }
    let meta = instance.meta.iter().flat_map(|entry| [("meta", &entry.key), ("meta", &entry.value)]);
    let tags = instance.tags.iter().map(|tag| ("tags", tag));
    let single = [("address", &instance.address), ("zone", &instance.zone)];
    for (field, text) in meta.chain(tags).chain(single) {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "{field}: a text of {} bytes, at most {TEXT_BYTES_MAX} are taken",
                text.len()
            ));
        }
    }
    if instance.address.is_empty() { Err("address: it is empty".to_owned()) } else { Ok(()) }
}

fn port(port: &Port) -> proto::Port {
    let protocol = match port.protocol {
        Protocol::Auto => proto::Protocol::Auto,
        Protocol::Http => proto::Protocol::Http,
        Protocol::Http2 => proto::Protocol::Http2,
        Protocol::Grpc => proto::Protocol::Grpc,
        Protocol::Tcp => proto::Protocol::Tcp,
        Protocol::Amqp => proto::Protocol::Amqp,
    };
    proto::Port { name: port.name.clone(), protocol: protocol.into(), port: u32::from(port.port) }
}

fn read_port(port: &proto::Port) -> Result<Port, String> {
    let protocol = match proto::Protocol::try_from(port.protocol) {
        Ok(proto::Protocol::Unspecified | proto::Protocol::Auto) => Protocol::Auto,
        Ok(proto::Protocol::Http) => Protocol::Http,
        Ok(proto::Protocol::Http2) => Protocol::Http2,
        Ok(proto::Protocol::Grpc) => Protocol::Grpc,
        Ok(proto::Protocol::Tcp) => Protocol::Tcp,
        Ok(proto::Protocol::Amqp) => Protocol::Amqp,
        Err(_) => return Err(format!("ports: protocol {} is not known here", port.protocol)),
    };
    if port.name.len() > TEXT_BYTES_MAX {
        return Err(format!("ports: a name of {} bytes", port.name.len()));
    }
    match u16::try_from(port.port) {
        Ok(number @ 1..) => Ok(Port { name: port.name.clone(), protocol, port: number }),
        _ => Err(format!("ports: {} is not a port, give 1 to 65535", port.port)),
    }
}

const fn health(health: Health) -> proto::Health {
    match health {
        Health::Passing => proto::Health::Passing,
        Health::Warning => proto::Health::Warning,
        Health::Critical => proto::Health::Critical,
    }
}

fn hop(hop: &HopTarget) -> proto::endpoint::Hop {
    match hop {
        HopTarget::Direct => proto::endpoint::Hop::Direct(proto::Direct {}),
        HopTarget::Sidecar { address, hop_version, identity, tls } => {
            let tls = match tls {
                TlsMode::Off => proto::TlsMode::TlsOff,
                TlsMode::Accepted => proto::TlsMode::TlsAccepted,
                TlsMode::Required => proto::TlsMode::TlsRequired,
            };
            proto::endpoint::Hop::Sidecar(proto::Sidecar {
                address: address.to_string(),
                hop_version: *hop_version,
                identity: identity.clone(),
                tls: tls.into(),
            })
        }
    }
}

fn read_hop(sidecar: Option<proto::Sidecar>) -> Result<HopTarget, String> {
    let Some(sidecar) = sidecar else { return Ok(HopTarget::Direct) };
    let address: SocketAddr =
        sidecar.address.parse().map_err(|_| "sidecar.address: it is not IP:PORT".to_owned())?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(format!("sidecar.address: {address} cannot be dialled; give --advertise"));
    }
    let tls = match proto::TlsMode::try_from(sidecar.tls) {
        Ok(proto::TlsMode::TlsOff) => TlsMode::Off,
        Ok(proto::TlsMode::TlsAccepted) => TlsMode::Accepted,
        Ok(proto::TlsMode::TlsRequired) => TlsMode::Required,
        Err(_) => return Err(format!("sidecar.tls: {} is not known here", sidecar.tls)),
    };
    let hop_version = sidecar.hop_version;
    Ok(HopTarget::Sidecar { address, hop_version, identity: clip(sidecar.identity), tls })
}
