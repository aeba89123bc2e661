//! What a client holds of one service, and what it has to say of one kind. Knows no stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{Decode, Digest, Kind, Nack, PATTERN_SUFFIX, Resource, Restored, Version, group_of};
use super::Presence;

/// Resources by name, with what was read of them.
pub(super) type Read<T> = BTreeMap<Arc<str>, (Resource, T)>;

/// One service.
#[derive(Debug)]
pub(super) struct Service<D: Decode> {
    pub(super) presence: Presence,
    pub(super) resource: Option<Resource>,
    pub(super) endpoints: Read<D::Endpoint>,
    pub(super) traffic: Read<D::Traffic>,
    pub(super) refused: BTreeMap<Arc<str>, Arc<str>>,
}

/// What is to be said of one kind on this stream.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) subscribe: BTreeSet<Arc<str>>,
    pub(super) unsubscribe: BTreeSet<Arc<str>>,
    pub(super) answer: Option<(Arc<str>, Option<Nack>)>,
    /// Of the last response that was taken.
    pub(super) nonce: Option<Arc<str>>,
}

/// What is held of a service, to be compared with what the server believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Over its endpoints and the service itself.
    pub digest: Digest,
    /// Over its traffic: apart, because a server of the version before knows none.
    pub traffic: Digest,
    /// How many endpoints that is.
    pub endpoints: usize,
}

impl<D: Decode> Service<D> {
    /// Takes a resource, or says why not.
    pub(super) fn apply(&mut self, decode: &D, kind: Kind, resource: Resource) -> Result<(), String> {
        let name = Arc::clone(&resource.name);
        let applied = match kind {
            Kind::Endpoint => decode.endpoint(&name, &resource.bytes).map(|endpoint| {
                self.endpoints.insert(Arc::clone(&name), (resource, endpoint));
            }),
            Kind::Traffic => decode.traffic(&name, &resource.bytes).map(|traffic| {
                self.traffic.insert(Arc::clone(&name), (resource, traffic));
            }),
            Kind::Service => decode.service(&name, &resource.bytes).map(|()| {
                (self.resource, self.presence) = (Some(resource), Presence::Closed);
            }),
        };
        match &applied {
            Ok(()) => self.refused.remove(&name),
            Err(reason) => self.refused.insert(name, reason.as_str().into()),
        };
        applied
    }

    /// Drops a resource.
    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        self.refused.remove(name);
        match kind {
            Kind::Endpoint => drop(self.endpoints.remove(name)),
            Kind::Traffic => drop(self.traffic.remove(name)),
            Kind::Service => (self.resource, self.presence) = (None, Presence::Absent),
        }
    }

    /// Name and version of all that is held of a kind.
    pub(super) fn versions(&self, kind: Kind) -> Vec<(Arc<str>, Version)> {
        self.held(kind).map(|resource| (Arc::clone(&resource.name), resource.version)).collect()
    }

    /// To be kept over a restart; `None` while its set is open.
    pub(super) fn keep(&self) -> Option<Restored> {
        let service = self.resource.clone().filter(|_| self.presence == Presence::Closed)?;
        let (endpoints, traffic) = (self.held(Kind::Endpoint), self.held(Kind::Traffic));
        Some(Restored {
            service,
            endpoints: endpoints.cloned().collect(),
            traffic: traffic.cloned().collect(),
        })
    }

    /// See [`Holding`].
    pub(super) fn holding(&self) -> Holding {
        let digest = |kind| Digest::of(self.held(kind).map(|held| (&*held.name, held.version)));
        Holding {
            digest: digest(Kind::Endpoint).and(digest(Kind::Service)),
            traffic: digest(Kind::Traffic),
            endpoints: self.endpoints.len(),
        }
    }

    fn held(&self, kind: Kind) -> Box<dyn Iterator<Item = &Resource> + '_> {
        match kind {
            Kind::Endpoint => Box::new(self.endpoints.values().map(|(resource, _)| resource)),
            Kind::Traffic => Box::new(self.traffic.values().map(|(resource, _)| resource)),
            Kind::Service => Box::new(self.resource.iter()),
        }
    }
}

impl<D: Decode> Default for Service<D> {
    fn default() -> Self {
        Self {
            presence: Presence::Unknown,
            resource: None,
            endpoints: BTreeMap::new(),
            traffic: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }
}

impl Link {
    pub(super) fn has_request(&self) -> bool {
        self.answer.is_some() || !self.subscribe.is_empty() || !self.unsubscribe.is_empty()
    }
}

/// The service that a resource is of, if it is wanted: a response may still name one that is not.
pub(super) fn entry<'a, D: Decode>(
    services: &'a mut BTreeMap<Arc<str>, Service<D>>,
    name: &str,
) -> Option<(Arc<str>, &'a mut Service<D>)> {
    let group = Arc::clone(services.get_key_value(group_of(name))?.0);
    let service = services.get_mut(&group)?;
    Some((group, service))
}

/// The name that stands for a service in a subscription.
pub(super) fn spelled(kind: Kind, service: &Arc<str>) -> Arc<str> {
    match kind {
        Kind::Endpoint | Kind::Traffic => format!("{service}{PATTERN_SUFFIX}").into(),
        Kind::Service => Arc::clone(service),
    }
}
