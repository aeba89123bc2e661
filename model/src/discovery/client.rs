//! The client's end: what it wants, what it holds, what to ask next. It outlives streams: what it holds is
//! kept when one ends, and brought along to the next.
//!
//! ```text
//!            endpoints, traffic         Service (closes the set)
//!  Unknown ──────────────────▶ Unknown ─────────────────────────▶ Closed ◀─┐ endpoints or traffic change:
//!     ▲                            │                                │ └────┘ the table follows at once
//!     │ the stream ends            └── removed Service ──▶ Absent ◀─┘
//!     └─────────────────────────────────────────────────────┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Decode, Kind, Nack, Request, Resource, Response, Restored, per_kind::PerKind};
pub use holding::Holding;
use holding::{Link, Service, entry, spelled};

mod holding;

/// Services a request names, at most; the rest follows in the next.
const SUBSCRIBE_MAX: usize = 256;
/// Versions a request brings along, roughly at most: some 2 MiB of names in the worst case.
const BROUGHT_MAX: usize = 4_096;

/// The server does not keep to the protocol: end the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It may have one unacknowledged response a type.
    #[error("the server sent {nonce} before the response before it was acknowledged")]
    Overrun {
        /// The one too many.
        nonce: Arc<str>,
    },
}

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// Not enough yet.
    #[default]
    Unknown,
    /// Its set of endpoints is whole.
    Closed,
    /// The server says that there is none.
    Absent,
}

/// One client; `D` reads what it is sent.
#[derive(Debug)]
pub struct Client<D: Decode> {
    decode: D,
    services: BTreeMap<Arc<str>, Service<D>>,
    links: PerKind<Link>,
    changed: BTreeSet<Arc<str>>,
    connected: bool,
}

impl<D: Decode> Client<D> {
    /// Wants nothing and holds nothing.
    pub fn new(decode: D) -> Self {
        Self {
            decode,
            services: BTreeMap::new(),
            links: PerKind::default(),
            changed: BTreeSet::new(),
            connected: false,
        }
    }

    /// Wants a service; nothing happens when it is wanted already.
    pub fn subscribe(&mut self, service: &str) {
        if self.services.contains_key(service) {
            return;
        }
        let name: Arc<str> = service.into();
        self.services.insert(Arc::clone(&name), Service::default());
        self.ask(&name);
    }

    /// Wants a service no longer, and forgets it.
    pub fn unsubscribe(&mut self, service: &str) {
        let Some((name, _)) = self.services.remove_entry(service) else { return };
        for link in self.links.all_mut() {
            link.subscribe.remove(&name);
            if self.connected {
                link.unsubscribe.insert(Arc::clone(&name));
            }
        }
        self.changed.insert(name);
    }

    /// Asks for a service anew, naming what is held: the server sends the difference. What is held serves
    /// until then.
    pub fn resync(&mut self, service: &str) {
        if let Some((name, _)) = self.services.get_key_value(service) {
            let name = Arc::clone(name);
            self.ask(&name);
        }
    }

    /// Wants a service, and holds of it what was kept. What cannot be read is left out, and returned with
    /// the reason.
    pub fn restore(&mut self, restored: Restored) -> Vec<(Arc<str>, String)> {
        let mut refused = Vec::new();
        let name = Arc::clone(&restored.service.name);
        let mut service = Service::default();
        if let Err(reason) = self.decode.service(&name, &restored.service.bytes) {
            return vec![(name, reason)];
        }
        let endpoints = restored.endpoints.into_iter().map(|resource| (Kind::Endpoint, resource));
        let traffic = restored.traffic.into_iter().map(|resource| (Kind::Traffic, resource));
        for (kind, resource) in endpoints.chain(traffic) {
            let name = Arc::clone(&resource.name);
            if let Err(reason) = service.apply(&self.decode, kind, resource) {
                refused.push((name, reason));
            }
        }
        (service.resource, service.presence) = (Some(restored.service), Presence::Closed);
        self.services.insert(Arc::clone(&name), service);
        self.ask(&name);
        self.changed.insert(name);
        refused
    }

    /// A stream begins: all that is wanted is asked for, and what is held is brought along.
    pub fn on_connected(&mut self) {
        self.connected = true;
        for link in self.links.all_mut() {
            *link = Link { subscribe: self.services.keys().cloned().collect(), ..Link::default() };
        }
    }

    /// The stream ended. Nothing that serves is dropped; what was absent is unknown again.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
        self.links = PerKind::default();
        for service in self.services.values_mut() {
            if service.presence == Presence::Absent {
                service.presence = Presence::Unknown;
            }
        }
    }

    /// Takes a response: what can be read is applied, what cannot is refused alone.
    ///
    /// # Errors
    /// When the server does not wait for acknowledgements.
    pub fn on_response(&mut self, response: Response) -> Result<(), ClientError> {
        let kind = response.kind;
        if self.links.of(kind).answer.is_some() {
            return Err(ClientError::Overrun { nonce: response.nonce });
        }
        let mut refused: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for resource in response.resources {
            let name = Arc::clone(&resource.name);
            if let Err(reason) = self.apply(kind, resource) {
                refused.push((name, reason.into()));
            }
        }
        for name in &response.removed {
            self.remove(kind, name);
        }
        let nack = (!refused.is_empty()).then_some(Nack::Resources(refused));
        let link = self.links.of_mut(kind);
        link.nonce = Some(Arc::clone(&response.nonce));
        link.answer = Some((response.nonce, nack));
        Ok(())
    }

    /// Whether [`Client::poll`] has something to say.
    pub fn has_request(&self) -> bool {
        self.connected && self.links.all().any(Link::has_request)
    }

    /// The next request, if there is anything to say. It shows the client as it is now, so it is to be sent
    /// before the next response is taken.
    pub fn poll(&mut self) -> Option<Request> {
        if !self.connected {
            return None;
        }
        // The service last: asked for before its endpoints and traffic it would close an empty set.
        Kind::ORDER.into_iter().find_map(|kind| self.poll_kind(kind))
    }

    /// The services whose endpoints or presence changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// What is known of a service; `None` when it is not wanted.
    pub fn presence(&self, service: &str) -> Option<Presence> {
        self.services.get(service).map(|service| service.presence)
    }

    /// The endpoints of a service whose set is closed, in the order of their names.
    pub fn endpoints(&self, service: &str) -> Option<impl Iterator<Item = &D::Endpoint>> {
        Some(self.whole(service)?.endpoints.values().map(|(_, endpoint)| endpoint))
    }

    /// What is said about the calls of a service whose set is closed, in the order of names.
    pub fn traffic(&self, service: &str) -> Option<impl Iterator<Item = &D::Traffic>> {
        Some(self.whole(service)?.traffic.values().map(|(_, traffic)| traffic))
    }

    /// What is wanted, in the order of names.
    pub fn wanted(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.services.keys()
    }

    /// What is refused, with the reasons.
    pub fn refused(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.services.values().flat_map(|service| &service.refused)
    }

    /// The services whose set is closed, to be kept over a restart.
    pub fn closed(&self) -> impl Iterator<Item = Restored> {
        self.services.values().filter_map(Service::keep)
    }

    /// What is held of a service, to be compared; `None` while it is not to be.
    pub fn holding(&self, service: &str) -> Option<Holding> {
        let asked = |link: &Link| link.subscribe.contains(service) || link.answer.is_some();
        let settled = !self.links.all().any(asked);
        self.whole(service).filter(|_| settled).map(Service::holding)
    }

    /// The nonce of the last response of a kind on this stream; empty before the first.
    pub fn nonce(&self, kind: Kind) -> &str {
        self.links.of(kind).nonce.as_deref().unwrap_or_default()
    }

    fn whole(&self, service: &str) -> Option<&Service<D>> {
        self.services.get(service).filter(|service| service.presence == Presence::Closed)
    }

    fn ask(&mut self, name: &Arc<str>) {
        if !self.connected {
            return;
        }
        for link in self.links.all_mut() {
            link.unsubscribe.remove(name);
            link.subscribe.insert(Arc::clone(name));
        }
    }

    fn apply(&mut self, kind: Kind, resource: Resource) -> Result<(), String> {
        let Some((group, service)) = entry(&mut self.services, &resource.name) else { return Ok(()) };
        service.apply(&self.decode, kind, resource)?;
        self.changed.insert(group);
        Ok(())
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        let Some((group, service)) = entry(&mut self.services, name) else { return };
        service.remove(kind, name);
        self.changed.insert(group);
    }

    fn poll_kind(&mut self, kind: Kind) -> Option<Request> {
        let link = self.links.of_mut(kind);
        if !link.has_request() {
            return None;
        }
        let (nonce, error) = link.answer.take().unwrap_or_else(|| (Arc::from(""), None));
        let (mut subscribe, mut initial_versions) = (Vec::new(), Vec::new());
        while subscribe.len() < SUBSCRIBE_MAX && initial_versions.len() < BROUGHT_MAX {
            let Some(name) = link.subscribe.pop_first() else { break };
            if let Some(service) = self.services.get(&name) {
                initial_versions.extend(service.versions(kind));
            }
            subscribe.push(spelled(kind, &name));
        }
        let unsubscribe = std::mem::take(&mut link.unsubscribe);
        let unsubscribe = unsubscribe.iter().map(|name| spelled(kind, name)).collect();
        Some(Request { kind, subscribe, unsubscribe, initial_versions, response_nonce: nonce, error })
    }
}
