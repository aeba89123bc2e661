//! From `weft.v1` to the domain: an endpoint that this version cannot act on in full is refused with the
//! field's name, and refused alone.

use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message as _;
use weft_model::{
    discovery::Decode,
    endpoint::{Endpoint, Health, HopTarget, Port, Protocol, TlsMode},
    name::{Id, InstanceKey, ServiceName},
    traffic::Item,
};
use weft_proto::weft::v1 as proto;

use super::convert_traffic;

/// The newest hop header that this sidecar writes.
const HOP_VERSION: u32 = 1;

/// Reads discovery resources.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader;

impl Decode for Reader {
    type Endpoint = Endpoint;
    type Traffic = Item;

    fn endpoint(&self, name: &str, bytes: &Bytes) -> Result<Endpoint, String> {
        let message = proto::Endpoint::decode(bytes.clone()).map_err(|error| error.to_string())?;
        let endpoint = endpoint(message)?;
        if endpoint.key.to_string() == name { Ok(endpoint) } else { Err("name: it is of another".to_owned()) }
    }

    fn traffic(&self, name: &str, bytes: &Bytes) -> Result<Item, String> {
        convert_traffic::read(name, bytes)
    }

    fn service(&self, name: &str, bytes: &Bytes) -> Result<(), String> {
        let message = proto::Service::decode(bytes.clone()).map_err(|error| error.to_string())?;
        let service =
            ServiceName::new(&message.name, &message.namespace).map_err(|error| error.to_string())?;
        if service.to_string() == name { Ok(()) } else { Err("name: it is of another".to_owned()) }
    }
}

fn endpoint(message: proto::Endpoint) -> Result<Endpoint, String> {
    let at = |field: &'static str| move |error: weft_model::name::NameError| format!("{field}: {error}");
    let key = InstanceKey {
        service: ServiceName::new(&message.service, &message.namespace).map_err(at("service"))?,
        node: Id::node(&message.node).map_err(at("node"))?,
        id: message.id.parse().map_err(at("id"))?,
    };
    let ports: Vec<Port> = message.ports.into_iter().map(port).collect::<Result<_, _>>()?;
    if ports.is_empty() {
        return Err("ports: there is none".to_owned());
    }
    let Ok(weight @ 1..) = u16::try_from(message.weight) else {
        return Err(format!("weight: {} is not 1 to 65535", message.weight));
    };
    Ok(Endpoint {
        key,
        address: message.address,
        ports,
        health: health(message.health)?,
        reason: message.reason,
        weight,
        zone: message.zone,
        hop: hop(message.hop)?,
        tags: message.tags,
    })
}

fn port(port: proto::Port) -> Result<Port, String> {
    let protocol = match proto::Protocol::try_from(port.protocol) {
        Ok(proto::Protocol::Auto) => Protocol::Auto,
        Ok(proto::Protocol::Http) => Protocol::Http,
        Ok(proto::Protocol::Http2) => Protocol::Http2,
        Ok(proto::Protocol::Grpc) => Protocol::Grpc,
        Ok(proto::Protocol::Tcp) => Protocol::Tcp,
        Ok(proto::Protocol::Amqp) => Protocol::Amqp,
        Ok(proto::Protocol::Unspecified) | Err(_) => {
            return Err(format!("ports.protocol: {} is not known to this version", port.protocol));
        }
    };
    let number = u16::try_from(port.port).map_err(|_| format!("ports.port: {} is not a port", port.port))?;
    Ok(Port { name: port.name, protocol, port: number })
}

fn health(value: i32) -> Result<Health, String> {
    match proto::Health::try_from(value) {
        Ok(proto::Health::Passing) => Ok(Health::Passing),
        Ok(proto::Health::Warning) => Ok(Health::Warning),
        Ok(proto::Health::Critical) => Ok(Health::Critical),
        Ok(proto::Health::Unspecified) | Err(_) => {
            Err(format!("health: {value} is not known to this version"))
        }
    }
}

fn hop(hop: Option<proto::endpoint::Hop>) -> Result<HopTarget, String> {
    let sidecar = match hop {
        Some(proto::endpoint::Hop::Direct(proto::Direct {})) => return Ok(HopTarget::Direct),
        Some(proto::endpoint::Hop::Sidecar(sidecar)) => sidecar,
        None => return Err("hop: it is of a sort that is not known to this version".to_owned()),
    };
    let address: SocketAddr = sidecar
        .address
        .parse()
        .map_err(|_| format!("hop.sidecar.address: `{}` is not IP:PORT", sidecar.address))?;
    if sidecar.hop_version == 0 {
        return Err("hop.sidecar.hop_version: it is 0".to_owned());
    }
    let tls = match proto::TlsMode::try_from(sidecar.tls) {
        Ok(proto::TlsMode::TlsOff) => TlsMode::Off,
        Ok(proto::TlsMode::TlsAccepted) => TlsMode::Accepted,
        Ok(proto::TlsMode::TlsRequired) => TlsMode::Required,
        Err(_) => return Err(format!("hop.sidecar.tls: {} is not known to this version", sidecar.tls)),
    };
    // A newer sidecar reads older headers too: the two speak the lower version.
    let hop_version = sidecar.hop_version.min(HOP_VERSION);
    Ok(HopTarget::Sidecar { address, hop_version, identity: sidecar.identity, tls })
}
