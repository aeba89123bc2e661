//! What the made-up control plane knows: instances, their leases, and what subscribers are shown of them. Pure: it
//! takes the time and what sidecars say. Instances outlive a restart, as they do on a disk; leases begin anew.
//!
//! ```text
//!  Hello, heartbeat, health ─▶ instance ─┬─ lease runs ─▶ as it was told
//!                                        └─ lease over ─▶ critical, until it is heard of again
//! ```

use std::collections::BTreeMap;

use prost::Message as _;
use weft_model::discovery::{Kind, Resource};
use weft_proto::weft::v1 as proto;

use crate::discovery::tests::fake::World;

/// How long an instance is believed without a heartbeat.
pub(super) const LEASE_MS: u64 = 3_000;
/// After a start, time for all to be heard of before any lease ends.
const GRACE_MS: u64 = 10_000;

/// See the module. Times are milliseconds since the simulation began.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// By node.
    instances: BTreeMap<String, Instance>,
    /// Streams so far.
    streams: u64,
}

#[derive(Debug)]
struct Instance {
    registered: proto::Instance,
    health: proto::Health,
    /// The stream that speaks for it: what is still under way on an older one counts no more.
    stream: u64,
    lease_ends: u64,
    is_lapsed: bool,
}

impl Registry {
    /// The control plane has started again.
    pub(super) fn restart(&mut self, now: u64) {
        for instance in self.instances.values_mut() {
            instance.lease_ends = now + GRACE_MS;
        }
    }

    /// The number of a stream that begins.
    pub(super) fn begin(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    pub(super) fn register(&mut self, now: u64, node: &str, stream: u64, registered: proto::Instance) {
        if self.instances.get(node).is_some_and(|known| known.stream > stream) {
            return;
        }
        let health = registered.health();
        let lease_ends = now + LEASE_MS;
        let instance = Instance { registered, health, stream, lease_ends, is_lapsed: false };
        self.instances.insert(node.to_owned(), instance);
    }

    pub(super) fn deregister(&mut self, node: &str) {
        self.instances.remove(node);
    }

    /// It was heard of; `health` is what it says of itself. `true` = what is shown has changed.
    pub(super) fn renew(&mut self, now: u64, node: &str, stream: u64, health: Option<proto::Health>) -> bool {
        let known = self.instances.get_mut(node).filter(|known| known.stream == stream);
        let Some(instance) = known else { return false };
        instance.lease_ends = instance.lease_ends.max(now + LEASE_MS);
        let before = (instance.health, std::mem::take(&mut instance.is_lapsed));
        instance.health = health.unwrap_or(instance.health);
        before != (instance.health, false)
    }

    /// Ends the leases that are over. `true` = what is shown has changed.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let over = |instance: &&mut Instance| !instance.is_lapsed && instance.lease_ends < now;
        let over = self.instances.values_mut().filter(over);
        over.map(|instance| instance.is_lapsed = true).count() > 0
    }

    /// What subscribers are shown.
    pub(super) fn world(&self) -> World {
        let endpoints = self.instances.iter().map(|(node, instance)| {
            let name = format!("orders.default/{node}/{}", instance.registered.id);
            Resource::new(name, instance.endpoint(node).encode_to_vec().into())
        });
        let closing = proto::Service { name: "orders".to_owned(), namespace: "default".to_owned() };
        let mut world = World::default();
        world.put(Kind::Endpoint, "orders.default", endpoints.collect());
        world.put(
            Kind::Service,
            "orders.default",
            vec![Resource::new("orders.default", closing.encode_to_vec().into())],
        );
        world
    }
}

impl Instance {
    fn endpoint(&self, node: &str) -> proto::Endpoint {
        let registered = self.registered.clone();
        let health = if self.is_lapsed { proto::Health::Critical } else { self.health };
        proto::Endpoint {
            service: registered.service,
            namespace: registered.namespace,
            node: node.to_owned(),
            id: registered.id,
            address: registered.address,
            ports: registered.ports,
            health: health.into(),
            reason: String::new(),
            weight: registered.weight,
            zone: registered.zone,
            hop: Some(match registered.sidecar {
                Some(sidecar) => proto::endpoint::Hop::Sidecar(sidecar),
                None => proto::endpoint::Hop::Direct(proto::Direct {}),
            }),
            tags: registered.tags,
        }
    }
}
