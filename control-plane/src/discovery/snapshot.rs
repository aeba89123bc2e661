//! The catalog, and what resources say about services, as discovery resources: encoded once a change, shared by all streams. What did not change is
//! the same pointer as before, which is how a stream knows that it has nothing to do.

use std::{collections::HashMap, sync::Arc};

use prost::Message as _;
use weft_model::{
    discovery::{Group, Kind, Resource, Snapshot},
    name::ServiceName,
};

use super::{convert, convert_traffic};
use crate::{
    registry::{Catalog, Instance, ServiceView},
    resources::{Said, Sayings},
    store::Revision,
};

/// All resources at one revision.
#[derive(Debug, Clone, Default)]
pub struct ResourceSnapshot {
    services: HashMap<Arc<str>, ServiceResources, foldhash::fast::RandomState>,
    revision: Revision,
}

/// There is a service if it has an instance, or if something is said about its calls.
#[derive(Debug, Clone)]
struct ServiceResources {
    endpoints: Endpoints,
    traffic: Traffic,
    service: Arc<Group>,
}

#[derive(Debug, Clone, Default)]
struct Endpoints {
    view: Option<Arc<ServiceView>>,
    /// One an instance, in the order of the view.
    encoded: Vec<Resource>,
    group: Arc<Group>,
}

#[derive(Debug, Clone, Default)]
struct Traffic {
    said: Option<Said>,
    group: Arc<Group>,
}

impl ResourceSnapshot {
    /// The snapshot of a later catalog and of what is said later: only services of which something is another
    /// are looked at, and of those only instances that are another are encoded.
    #[must_use]
    pub fn succeed(&self, catalog: &Catalog, sayings: &Sayings) -> Self {
        let mut services = HashMap::with_capacity_and_hasher(catalog.services.len(), Default::default());
        let unregistered = sayings.keys().filter(|name| !catalog.services.contains_key(*name));
        for service in catalog.services.keys().chain(unregistered) {
            let (view, said) = (catalog.services.get(service), sayings.get(service));
            let name = service.to_string();
            let (name, old) = match self.services.get_key_value(&*name) {
                Some((name, old)) => (Arc::clone(name), old.clone()),
                None => (Arc::from(name.as_str()), ServiceResources::new(service, &name)),
            };
            services.insert(name, old.succeed(service, view, said));
        }
        Self { services, revision: catalog.revision }
    }

    /// The revision of the store that this shows.
    pub const fn revision(&self) -> Revision {
        self.revision
    }
}

impl Snapshot for ResourceSnapshot {
    fn group(&self, kind: Kind, group: &str) -> Option<&Arc<Group>> {
        let service = self.services.get(group)?;
        Some(match kind {
            Kind::Endpoint => &service.endpoints.group,
            Kind::Traffic => &service.traffic.group,
            Kind::Service => &service.service,
        })
    }
}

impl ServiceResources {
    fn new(service: &ServiceName, name: &str) -> Self {
        let closing = Resource::new(name, convert::service(service).encode_to_vec().into());
        Self {
            endpoints: Endpoints::default(),
            traffic: Traffic::default(),
            service: Arc::new(Group::new(vec![closing])),
        }
    }

    fn succeed(self, service: &ServiceName, view: Option<&Arc<ServiceView>>, said: Option<&Said>) -> Self {
        Self {
            endpoints: self.endpoints.succeed(view),
            traffic: self.traffic.succeed(service, said),
            service: self.service,
        }
    }
}

impl Endpoints {
    fn succeed(self, view: Option<&Arc<ServiceView>>) -> Self {
        if same(self.view.as_ref(), view) {
            return self;
        }
        let before = self.view.iter().flat_map(|view| &view.instances);
        let known: HashMap<*const Instance, &Resource, foldhash::fast::RandomState> =
            before.map(Arc::as_ptr).zip(&self.encoded).collect();
        let instances = view.into_iter().flat_map(|view| &view.instances);
        let encoded: Vec<Resource> = instances
            .map(|instance| {
                known.get(&Arc::as_ptr(instance)).map_or_else(|| encode(instance), |known| (*known).clone())
            })
            .collect();
        // A change that callers cannot see (a check's output, say) wakes nobody.
        let group = kept(&self.group, Group::new(encoded.clone()));
        Self { view: view.cloned(), encoded, group }
    }
}

impl Traffic {
    fn succeed(self, service: &ServiceName, said: Option<&Said>) -> Self {
        if same(self.said.as_ref(), said) {
            return self;
        }
        let items = said.into_iter().flat_map(|said| said.iter());
        let resources = items.map(|item| convert_traffic::resource(service, item));
        Self { said: said.cloned(), group: kept(&self.group, Group::new(resources.collect())) }
    }
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// The group before, if the new one says the same.
fn kept(before: &Arc<Group>, group: Group) -> Arc<Group> {
    if group == **before { Arc::clone(before) } else { Arc::new(group) }
}

fn encode(instance: &Instance) -> Resource {
    Resource::new(instance.key.to_string(), convert::endpoint(instance).encode_to_vec().into())
}
