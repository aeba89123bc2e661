//! The client's end: what it wants, what it holds, what to ask next. It outlives streams: what it holds is
//! kept when one ends, and brought along to the next.
//!
//! ```text
//!            first endpoints            Service (closes the set)
//!  Unknown ──────────────────▶ Unknown ─────────────────────────▶ Closed ◀─┐ endpoints change: the
//!     ▲                            │                                │ └────┘ table follows at once
//!     │ the stream ends            └── removed Service ──▶ Absent ◀─┘
//!     └─────────────────────────────────────────────────────┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Decode, Digest, Kind, Nack, PATTERN_SUFFIX, Request, Resource, Response, Restored, Version, group_of,
};

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
    services: BTreeMap<Arc<str>, Service<D::Endpoint>>,
    endpoint_link: Link,
    service_link: Link,
    changed: BTreeSet<Arc<str>>,
    connected: bool,
}

#[derive(Debug)]
struct Service<E> {
    presence: Presence,
    resource: Option<Resource>,
    endpoints: BTreeMap<Arc<str>, (Resource, E)>,
    refused: BTreeMap<Arc<str>, Arc<str>>,
}

/// What is to be said of one kind on this stream.
#[derive(Debug, Default)]
struct Link {
    subscribe: BTreeSet<Arc<str>>,
    unsubscribe: BTreeSet<Arc<str>>,
    answer: Option<(Arc<str>, Option<Nack>)>,
    /// Of the last response that was taken.
    nonce: Option<Arc<str>>,
}

impl<D: Decode> Client<D> {
    /// Wants nothing and holds nothing.
    pub fn new(decode: D) -> Self {
        Self {
            decode,
            services: BTreeMap::new(),
            endpoint_link: Link::default(),
            service_link: Link::default(),
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
        for link in [&mut self.endpoint_link, &mut self.service_link] {
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
        for resource in restored.endpoints {
            match self.decode.endpoint(&resource.name, &resource.bytes) {
                Ok(endpoint) => {
                    service.endpoints.insert(Arc::clone(&resource.name), (resource, endpoint));
                }
                Err(reason) => refused.push((resource.name, reason)),
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
        for link in [&mut self.endpoint_link, &mut self.service_link] {
            *link = Link { subscribe: self.services.keys().cloned().collect(), ..Link::default() };
        }
    }

    /// The stream ended. Nothing that serves is dropped; what was absent is unknown again.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
        (self.endpoint_link, self.service_link) = (Link::default(), Link::default());
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
        if self.link(kind).answer.is_some() {
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
        let link = self.link(kind);
        link.nonce = Some(Arc::clone(&response.nonce));
        link.answer = Some((response.nonce, nack));
        Ok(())
    }

    /// Whether [`Client::poll`] has something to say.
    pub fn has_request(&self) -> bool {
        self.connected && (self.endpoint_link.has_request() || self.service_link.has_request())
    }

    /// The next request, if there is anything to say. It shows the client as it is now, so it is to be sent
    /// before the next response is taken.
    pub fn poll(&mut self) -> Option<Request> {
        if !self.connected {
            return None;
        }
        // Endpoints first: a service asked for before its endpoints would close an empty set.
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
        let service = self.services.get(service).filter(|service| service.presence == Presence::Closed)?;
        Some(service.endpoints.values().map(|(_, endpoint)| endpoint))
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
        self.services.values().filter(|service| service.presence == Presence::Closed).filter_map(|service| {
            let endpoints = service.endpoints.values().map(|(resource, _)| resource.clone()).collect();
            Some(Restored { service: service.resource.clone()?, endpoints })
        })
    }

    /// Over all that is held of a service, and how many endpoints that is; `None` while it is not to be
    /// compared.
    pub fn digest(&self, service: &str) -> Option<(Digest, usize)> {
        let asked = [&self.endpoint_link, &self.service_link]
            .into_iter()
            .any(|link| link.subscribe.contains(service) || link.answer.is_some());
        let service = self.services.get(service).filter(|one| !asked && one.presence == Presence::Closed)?;
        let endpoints = service.endpoints.values().map(|(resource, _)| resource);
        let held = endpoints.chain(&service.resource).map(|held| (&*held.name, held.version));
        Some((Digest::of(held), service.endpoints.len()))
    }

    /// The nonce of the last response of a kind on this stream; empty before the first.
    pub fn nonce(&self, kind: Kind) -> &str {
        let link = match kind {
            Kind::Endpoint => &self.endpoint_link,
            Kind::Service => &self.service_link,
        };
        link.nonce.as_deref().unwrap_or_default()
    }

    fn ask(&mut self, name: &Arc<str>) {
        if !self.connected {
            return;
        }
        for link in [&mut self.endpoint_link, &mut self.service_link] {
            link.unsubscribe.remove(name);
            link.subscribe.insert(Arc::clone(name));
        }
    }

    fn apply(&mut self, kind: Kind, resource: Resource) -> Result<(), String> {
        let Some((group, service)) = entry(&mut self.services, &resource.name) else { return Ok(()) };
        let name = Arc::clone(&resource.name);
        let applied = match kind {
            Kind::Endpoint => self.decode.endpoint(&name, &resource.bytes).map(|endpoint| {
                service.endpoints.insert(Arc::clone(&name), (resource, endpoint));
            }),
            Kind::Service => self.decode.service(&name, &resource.bytes).map(|()| {
                (service.resource, service.presence) = (Some(resource), Presence::Closed);
            }),
        };
        match &applied {
            Ok(()) => {
                service.refused.remove(&name);
                self.changed.insert(group);
            }
            Err(reason) => {
                service.refused.insert(name, reason.as_str().into());
            }
        }
        applied
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        let Some((group, service)) = entry(&mut self.services, name) else { return };
        service.refused.remove(name);
        match kind {
            Kind::Endpoint => {
                service.endpoints.remove(name);
            }
            Kind::Service => (service.resource, service.presence) = (None, Presence::Absent),
        }
        self.changed.insert(group);
    }

    fn poll_kind(&mut self, kind: Kind) -> Option<Request> {
        let link = match kind {
            Kind::Endpoint => &mut self.endpoint_link,
            Kind::Service => &mut self.service_link,
        };
        if !link.has_request() {
            return None;
        }
        let (nonce, error) = link.answer.take().unwrap_or_else(|| (Arc::from(""), None));
        let (mut subscribe, mut initial_versions) = (Vec::new(), Vec::new());
        while subscribe.len() < SUBSCRIBE_MAX && initial_versions.len() < BROUGHT_MAX {
            let Some(name) = link.subscribe.pop_first() else { break };
            if let Some(service) = self.services.get(&name) {
                initial_versions.extend(service.held(kind));
            }
            subscribe.push(spelled(kind, &name));
        }
        let unsubscribe = std::mem::take(&mut link.unsubscribe);
        let unsubscribe = unsubscribe.iter().map(|name| spelled(kind, name)).collect();
        Some(Request { kind, subscribe, unsubscribe, initial_versions, response_nonce: nonce, error })
    }

    const fn link(&mut self, kind: Kind) -> &mut Link {
        match kind {
            Kind::Endpoint => &mut self.endpoint_link,
            Kind::Service => &mut self.service_link,
        }
    }
}

impl<E> Service<E> {
    fn held(&self, kind: Kind) -> Vec<(Arc<str>, Version)> {
        let versions = |resource: &Resource| (Arc::clone(&resource.name), resource.version);
        match kind {
            Kind::Endpoint => self.endpoints.values().map(|(resource, _)| versions(resource)).collect(),
            Kind::Service => self.resource.iter().map(versions).collect(),
        }
    }
}

impl<E> Default for Service<E> {
    fn default() -> Self {
        Self {
            presence: Presence::Unknown,
            resource: None,
            endpoints: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }
}

impl Link {
    fn has_request(&self) -> bool {
        self.answer.is_some() || !self.subscribe.is_empty() || !self.unsubscribe.is_empty()
    }
}

/// The service that a resource is of, if it is wanted: a response may still name one that is not.
fn entry<'a, E>(
    services: &'a mut BTreeMap<Arc<str>, Service<E>>,
    name: &str,
) -> Option<(Arc<str>, &'a mut Service<E>)> {
    let group = Arc::clone(services.get_key_value(group_of(name))?.0);
    let service = services.get_mut(&group)?;
    Some((group, service))
}

/// The name that stands for a service in a subscription.
fn spelled(kind: Kind, service: &Arc<str>) -> Arc<str> {
    match kind {
        Kind::Endpoint => format!("{service}{PATTERN_SUFFIX}").into(),
        Kind::Service => Arc::clone(service),
    }
}
