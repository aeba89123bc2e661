//! Who this sidecar is, and the instance as it registers it.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use weft_model::endpoint::{Health, Protocol};
use weft_proto::{discovery, weft::v1 as proto};

use crate::{
    config::{InstanceConfig, SidecarConfig},
    run::AppHealth,
};

/// The hop header that this sidecar's inbound reads.
const HOP_VERSION: u32 = 1;

/// Fixed from start to end.
#[derive(Debug, Clone)]
pub(in super::super) struct Identity {
    node: String,
    sidecar_id: String,
    incarnation: u64,
    instance: Option<InstanceConfig>,
    advertise: SocketAddr,
    admin: SocketAddr,
}

impl Identity {
    pub(in super::super) fn new(config: &SidecarConfig, advertise: SocketAddr, admin: SocketAddr) -> Self {
        // Ids of instances are unique a node; a sidecar without one is told from others by its process.
        let sidecar_id = match (&config.instance, &config.name) {
            (Some(instance), _) => instance.id.to_string(),
            (None, Some(name)) => name.to_string(),
            (None, None) => format!("outbound-{}", std::process::id()),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            node: config.node.to_string(),
            sidecar_id,
            incarnation: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            instance: config.instance.clone(),
            advertise,
            admin,
        }
    }

    /// As discovery requests carry it.
    pub(in super::super) fn node(&self) -> discovery::Node {
        let service = self.instance.as_ref().map(|instance| instance.service.to_string());
        discovery::Node {
            id: format!("{}/{}", self.node, self.sidecar_id),
            cluster: service.unwrap_or_default(),
        }
    }

    /// The first message. `with_instance` registers the instance, if there is one.
    pub(super) fn hello(&self, with_instance: bool, health: AppHealth) -> proto::Hello {
        let instance = self.instance.as_ref().filter(|_| with_instance);
        proto::Hello {
            node: self.node.clone(),
            sidecar_id: self.sidecar_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.incarnation,
            instance: instance.map(|instance| register(instance, self.advertise, health)),
            admin_address: self.admin.to_string(),
        }
    }
}

/// A health transition.
pub(super) fn report(health: AppHealth) -> proto::HealthReport {
    proto::HealthReport { health: wire_health(health.health).into(), reason: health.reason }
}

fn register(instance: &InstanceConfig, advertise: SocketAddr, health: AppHealth) -> proto::Instance {
    // An application on loopback is known to others by the host's address.
    let app = instance.app.ip();
    let address = if app.is_loopback() || app.is_unspecified() { advertise.ip() } else { app };
    proto::Instance {
        service: instance.service.name.to_string(),
        namespace: instance.service.namespace.to_string(),
        id: instance.id.to_string(),
        address: address.to_string(),
        ports: vec![proto::Port {
            name: String::new(),
            protocol: wire_protocol(instance.protocol).into(),
            port: u32::from(instance.app.port()),
        }],
        tags: instance.tags.clone(),
        meta: Vec::new(),
        weight: u32::from(instance.weight),
        zone: instance.zone.clone(),
        sidecar: Some(proto::Sidecar {
            address: advertise.to_string(),
            hop_version: HOP_VERSION,
            identity: String::new(),
            tls: proto::TlsMode::TlsOff.into(),
        }),
        health: wire_health(health.health).into(),
        reason: health.reason,
        deregister_after_ms: 0,
    }
}

const fn wire_health(health: Health) -> proto::Health {
    match health {
        Health::Passing => proto::Health::Passing,
        Health::Warning => proto::Health::Warning,
        Health::Critical => proto::Health::Critical,
    }
}

const fn wire_protocol(protocol: Protocol) -> proto::Protocol {
    match protocol {
        Protocol::Auto => proto::Protocol::Auto,
        Protocol::Http => proto::Protocol::Http,
        Protocol::Http2 => proto::Protocol::Http2,
        Protocol::Grpc => proto::Protocol::Grpc,
        Protocol::Tcp => proto::Protocol::Tcp,
        Protocol::Amqp => proto::Protocol::Amqp,
    }
}
