//! Who is connected: for each sidecar its `Attach` and its discovery stream, joined by its name
//! `<node>/<sidecar id>`. Entries live as long as one of the two streams does; nothing here is stored.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use weft_model::discovery::{Digest, Kind, Server, Standing, SubscriptionView, Version};
use weft_proto::weft::v1 as proto;

use super::stats::DiscoveryStats;
use crate::http::sidecars::{Nack, Sidecar, SidecarSource, Subscription};

/// Bytes of a sidecar's name, at most: a node, a slash, an id.
pub(super) const NAME_BYTES_MAX: usize = 2 * weft_model::name::ID_LENGTH_MAX + 1;

/// Digests of one heartbeat that are compared, at most; a sidecar of ours sends 256.
const DIGESTS_MAX: usize = 1_000;

/// All sidecars. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct Sidecars {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    stats: Arc<DiscoveryStats>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    attached: Option<Attached>,
    stream: Option<Arc<Mutex<Server>>>,
}

#[derive(Debug, Clone)]
struct Attached {
    said: Introduced,
    since: SystemTime,
    /// Ends the stream when another takes over.
    end: CancellationToken,
}

/// What a sidecar said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduced {
    pub(super) node: String,
    pub(super) id: String,
    /// Of its program.
    pub(super) version: String,
    /// Milliseconds since the epoch at its start.
    pub(super) incarnation: u64,
    /// `orders.default/<node>/<id>`.
    pub(super) instance: Option<String>,
    /// Where its admin server is.
    pub(super) admin_address: String,
}

/// A younger sidecar has the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is attached with the newer incarnation {held}; this one is {offered}: give another --instance, or stop the other"
)]
pub(super) struct Held {
    name: String,
    held: u64,
    offered: u64,
}

/// Lists an `Attach` stream until dropped.
#[derive(Debug)]
pub(super) struct AttachGuard {
    sidecars: Sidecars,
    name: String,
    /// Cancelled when another takes over.
    pub(super) end: CancellationToken,
}

/// Lists a discovery stream until dropped.
#[derive(Debug)]
pub(super) struct StreamGuard {
    sidecars: Sidecars,
    name: String,
    machine: Arc<Mutex<Server>>,
}

impl Sidecars {
    /// What the streams have counted.
    pub fn stats(&self) -> &DiscoveryStats {
        &self.stats
    }

    pub(super) fn attach(&self, name: &str, said: Introduced) -> Result<AttachGuard, Held> {
        let mut entries = self.entries.lock();
        let entry = entries.entry(name.to_owned()).or_default();
        if let Some(old) = &entry.attached {
            let (held, offered) = (old.said.incarnation, said.incarnation);
            if held > offered {
                return Err(Held { name: name.to_owned(), held, offered });
            }
            old.end.cancel();
        }
        let end = CancellationToken::new();
        entry.attached = Some(Attached { said, since: SystemTime::now(), end: end.clone() });
        Ok(AttachGuard { sidecars: self.clone(), name: name.to_owned(), end })
    }

    /// `None` for a client that does not say who it is.
    pub(super) fn open_stream(&self, name: &str, machine: Arc<Mutex<Server>>) -> Option<StreamGuard> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut entries = self.entries.lock();
        entries.entry(name.to_owned()).or_default().stream = Some(Arc::clone(&machine));
        Some(StreamGuard { sidecars: self.clone(), name: name.to_owned(), machine })
    }

    /// The services of which the sidecar holds something else than this control plane believes.
    pub(super) fn compare(&self, name: &str, heartbeat: &proto::Heartbeat) -> Vec<String> {
        let machine = self.entries.lock().get(name).and_then(|entry| entry.stream.clone());
        let Some(machine) = machine else { return Vec::new() };
        let machine = machine.lock();
        let comparable = machine.is_settled()
            && machine.answered(Kind::Endpoint) == heartbeat.endpoint_nonce
            && machine.answered(Kind::Service) == heartbeat.service_nonce
            && machine.answered(Kind::Traffic) == heartbeat.traffic_nonce;
        if !comparable {
            return Vec::new();
        }
        let other = |believed: Option<Digest>, held: u64| {
            believed.is_some_and(|believed| believed != Digest::from_bits(held))
        };
        let differs = |held: &&proto::ServiceDigest| {
            other(machine.digest(&held.service), held.xor)
                || other(machine.traffic_digest(&held.service), held.traffic_xor)
        };
        let digests = heartbeat.digests.iter().take(DIGESTS_MAX);
        digests.filter(differs).map(|held| held.service.clone()).collect()
    }

    fn release(&self, name: &str, of: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(name) else { return };
        of(entry);
        if entry.attached.is_none() && entry.stream.is_none() {
            entries.remove(name);
        }
    }
}

impl SidecarSource for Sidecars {
    fn count(&self) -> usize {
        self.entries.lock().values().filter(|entry| entry.attached.is_some()).count()
    }

    fn standings(&self, name: &str, version: Version) -> Vec<(String, Standing)> {
        let streams: Vec<_> = {
            let entries = self.entries.lock();
            let streams = entries.iter().filter_map(|(id, entry)| Some((id.clone(), entry.stream.clone()?)));
            streams.collect()
        };
        let standing = |(id, stream): (String, Arc<Mutex<Server>>)| {
            let standing = stream.lock().standing(Kind::Traffic, name, version)?;
            Some((id, standing))
        };
        streams.into_iter().filter_map(standing).collect()
    }

    fn sidecars(&self) -> Vec<Sidecar> {
        // The machines are looked at without the list's lock: one that is busy holds up no heartbeat.
        let entries: Vec<Entry> = self.entries.lock().values().cloned().collect();
        entries.iter().filter_map(Entry::view).collect()
    }
}

impl Entry {
    /// As people see it; `None` for a client that has only a discovery stream.
    fn view(&self) -> Option<Sidecar> {
        let Attached { said, since, .. } = self.attached.as_ref()?;
        let views = self.stream.as_ref().map(|machine| machine.lock().view()).unwrap_or_default();
        let refused = views.iter().flat_map(|view| &view.refused);
        Some(Sidecar {
            node: said.node.clone(),
            id: said.id.clone(),
            version: said.version.clone(),
            incarnation: said.incarnation,
            instance: said.instance.clone(),
            admin_address: said.admin_address.clone(),
            attached_since: humantime::format_rfc3339_seconds(*since).to_string(),
            nacks: refused
                .map(|(name, refusal)| Nack {
                    resource: name.to_string(),
                    reason: refusal.reason.to_string(),
                })
                .collect(),
            subscriptions: views.iter().map(subscription).collect(),
        })
    }
}

impl StreamGuard {
    pub(super) fn id(&self) -> &str {
        &self.name
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        // Another stream of the same sidecar may have taken the place already.
        self.sidecars.release(&self.name, |entry| {
            entry.stream.take_if(|machine| Arc::ptr_eq(machine, &self.machine));
        });
    }
}

impl Drop for AttachGuard {
    fn drop(&mut self) {
        // A cancelled one has been replaced.
        let replaced = self.end.is_cancelled();
        self.sidecars.release(&self.name, |entry| {
            if !replaced {
                entry.attached = None;
            }
        });
    }
}

fn subscription(view: &SubscriptionView) -> Subscription {
    Subscription {
        service: view.group.to_string(),
        applied_version: view.digest.map_or_else(String::new, |digest| digest.to_string()),
        endpoints: u64::try_from(view.endpoints).unwrap_or(u64::MAX),
        settled: view.settled,
    }
}
