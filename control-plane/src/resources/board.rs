//! All resources at one moment, immutable for its readers; and what they say, by service. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_model::{
    name::{Label, ServiceName},
    resource::{Kind, Resource},
    traffic::Item,
};

use super::{Entry, Key, Said, Sayings};
use crate::store::Revision;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Board {
    entries: BTreeMap<Key, Arc<Entry>>,
    revision: Revision,
}

impl Board {
    /// One resource.
    pub fn find(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// All of a kind, of one namespace or of all, in the order of their names.
    pub fn list(&self, kind: Kind, namespace: Option<&Label>) -> impl Iterator<Item = &Arc<Entry>> {
        let all = self.entries.values().filter(move |entry| entry.key.kind == kind);
        all.filter(move |entry| namespace.is_none_or(|namespace| entry.key.namespace == *namespace))
    }

    /// All of them.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// The resources that are about a service.
    pub fn about(&self, service: &ServiceName) -> impl Iterator<Item = &Resource> {
        let is_about = move |entry: &&Arc<Entry>| entry.items().iter().any(|(target, _)| target == service);
        self.entries.values().filter(is_about).filter_map(|entry| entry.resource.as_ref())
    }

    /// The store's revision that this is as new as.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Puts (or removes) resources; returns the services of which something else is said now.
    pub(super) fn apply(
        &mut self,
        changes: Vec<(Key, Option<Entry>)>,
        revision: Revision,
    ) -> BTreeSet<ServiceName> {
        self.revision = self.revision.max(revision);
        let mut touched = BTreeSet::new();
        for (key, entry) in changes {
            let targets =
                |entry: &Entry| entry.items.iter().map(|(service, _)| service.clone()).collect::<Vec<_>>();
            touched.extend(entry.iter().flat_map(targets));
            let before = match entry {
                Some(entry) => self.entries.insert(key, Arc::new(entry)),
                None => self.entries.remove(&key),
            };
            touched.extend(before.iter().flat_map(|before| targets(before)));
        }
        touched
    }

    /// What is said now, after `before`, where only of `touched` it can be something else.
    pub(super) fn sayings(&self, before: &Sayings, touched: &BTreeSet<ServiceName>) -> Sayings {
        let mut sayings = before.clone();
        for service in touched {
            let items: Vec<Item> = self.said(service).cloned().collect();
            if items.is_empty() {
                sayings.remove(service);
            } else if sayings.get(service).is_none_or(|known| **known != items) {
                sayings.insert(service.clone(), Said::new(items));
            }
        }
        sayings
    }

    fn said(&self, service: &ServiceName) -> impl Iterator<Item = &Item> {
        let items = self.entries.values().flat_map(|entry| &entry.items);
        items.filter(move |(target, _)| target == service).map(|(_, item)| item)
    }
}
