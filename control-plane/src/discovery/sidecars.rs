//! Who is connected: for each sidecar its `Attach` and its discovery stream, joined by its name
//! `<node>/<sidecar id>`. Entries live as long as one of the two streams does; nothing here is stored.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use weft_model::discovery::{Digest, Kind, Server};
use weft_proto::weft::v1 as proto;

/// Bytes of a sidecar's name, at most: a node, a slash, an id.
pub(super) const NAME_BYTES_MAX: usize = 2 * weft_model::name::ID_LENGTH_MAX + 1;

/// All sidecars. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct Sidecars {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    attached: Option<Attached>,
    stream: Option<Arc<Mutex<Server>>>,
}

#[derive(Debug)]
struct Attached {
    view: AttachedView,
    /// Ends the stream when another takes over.
    end: CancellationToken,
}

/// One sidecar, for people and programs.
#[derive(Debug, Clone, Serialize)]
pub struct SidecarView {
    /// `<node>/<sidecar id>`.
    pub name: String,
    /// What its `Attach` stream said; absent while only its discovery stream is there.
    pub attached: Option<AttachedView>,
    /// Whether its discovery stream is there.
    pub subscribed: bool,
    /// Whether it has acknowledged all that was sent.
    pub settled: bool,
    /// What it subscribes to.
    pub services: Vec<ServiceSubscription>,
}

/// What a sidecar said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttachedView {
    /// Of its program.
    pub version: String,
    /// Milliseconds since the epoch at its start.
    pub incarnation: u64,
    /// `orders.default/<node>/<id>`; empty when it only carries outbound calls.
    pub instance: String,
    /// Where its admin server is.
    pub admin: String,
    /// Milliseconds since the epoch.
    pub since_ms: u64,
}

/// One service that a sidecar subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSubscription {
    /// `orders.default`.
    pub service: String,
    /// How many endpoints it holds.
    pub endpoints: usize,
    /// Over all that it holds of the service: equal for equal sets.
    pub version: String,
    /// What it refuses.
    pub refused: Vec<RefusedView>,
}

/// A resource that a sidecar refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedView {
    /// The resource.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The sidecar's words.
    pub reason: String,
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
    /// How many there are.
    pub fn count(&self) -> usize {
        self.entries.lock().len()
    }

    /// All, in the order of their names.
    pub fn list(&self) -> Vec<SidecarView> {
        let entries = self.entries.lock();
        entries.iter().map(|(name, entry)| entry.view(name)).collect()
    }

    pub(super) fn attach(&self, name: &str, view: AttachedView) -> Result<AttachGuard, Held> {
        let mut entries = self.entries.lock();
        let entry = entries.entry(name.to_owned()).or_default();
        if let Some(old) = &entry.attached {
            let (held, offered) = (old.view.incarnation, view.incarnation);
            if held > offered {
                return Err(Held { name: name.to_owned(), held, offered });
            }
            old.end.cancel();
        }
        let end = CancellationToken::new();
        entry.attached = Some(Attached { view, end: end.clone() });
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
            && machine.answered(Kind::Service) == heartbeat.service_nonce;
        if !comparable {
            return Vec::new();
        }
        let differs = |held: &&proto::ServiceDigest| {
            machine.digest(&held.service).is_some_and(|believed| believed != Digest::from_bits(held.xor))
        };
        heartbeat.digests.iter().filter(differs).map(|held| held.service.clone()).collect()
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

impl Entry {
    fn view(&self, name: &str) -> SidecarView {
        let machine = self.stream.as_ref().map(|machine| machine.lock());
        let subscriptions = machine.as_ref().map(|machine| machine.view()).unwrap_or_default();
        let services = subscriptions.into_iter().map(|one| ServiceSubscription {
            service: one.group.to_string(),
            endpoints: one.endpoints,
            version: one.digest.to_string(),
            refused: one
                .refused
                .into_iter()
                .map(|(name, refusal)| RefusedView {
                    name: name.to_string(),
                    version: refusal.version.to_string(),
                    reason: refusal.reason.to_string(),
                })
                .collect(),
        });
        SidecarView {
            name: name.to_owned(),
            attached: self.attached.as_ref().map(|attached| attached.view.clone()),
            subscribed: machine.is_some(),
            settled: machine.as_ref().is_some_and(|machine| machine.is_settled()),
            services: services.collect(),
        }
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

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
