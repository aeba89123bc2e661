//! The catalog as discovery resources: encoded once a change, shared by all streams. What did not change is
//! the same pointer as before, which is how a stream knows that it has nothing to do.

use std::{collections::HashMap, sync::Arc};

use prost::Message as _;
use weft_model::discovery::{Group, Kind, Resource, Snapshot};

use super::convert;
use crate::{
    registry::{Catalog, Instance, ServiceView},
    store::Revision,
};

/// All resources at one revision.
#[derive(Debug, Clone, Default)]
pub struct ResourceSnapshot {
    services: HashMap<Arc<str>, ServiceResources, foldhash::fast::RandomState>,
    revision: Revision,
}

#[derive(Debug, Clone)]
struct ServiceResources {
    view: Arc<ServiceView>,
    /// One an instance, in the order of the view.
    encoded: Vec<Resource>,
    endpoints: Arc<Group>,
    service: Arc<Group>,
}

impl ResourceSnapshot {
    /// The snapshot of a later catalog: only services whose view is another are looked at, and of those only
    /// instances that are another are encoded.
    #[must_use]
    pub fn succeed(&self, catalog: &Catalog) -> Self {
        let mut services = HashMap::with_capacity_and_hasher(catalog.services.len(), Default::default());
        for (name, view) in &catalog.services {
            let name = name.to_string();
            let (name, resources) = match self.services.get_key_value(&*name) {
                Some((name, old)) => (Arc::clone(name), old.succeed(view)),
                None => (Arc::from(name.as_str()), ServiceResources::new(&name, view)),
            };
            services.insert(name, resources);
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
            Kind::Endpoint => &service.endpoints,
            Kind::Service => &service.service,
        })
    }
}

impl ServiceResources {
    fn new(name: &str, view: &Arc<ServiceView>) -> Self {
        let encoded: Vec<Resource> = view.instances.iter().map(|instance| encode(instance)).collect();
        let service = Resource::new(name, convert::service(&view.name).encode_to_vec().into());
        Self {
            view: Arc::clone(view),
            endpoints: Arc::new(Group::new(encoded.clone())),
            encoded,
            service: Arc::new(Group::new(vec![service])),
        }
    }

    fn succeed(&self, view: &Arc<ServiceView>) -> Self {
        if Arc::ptr_eq(&self.view, view) {
            return self.clone();
        }
        let known: HashMap<*const Instance, &Resource, foldhash::fast::RandomState> =
            self.view.instances.iter().map(Arc::as_ptr).zip(&self.encoded).collect();
        let encoded: Vec<Resource> = view
            .instances
            .iter()
            .map(|instance| {
                known.get(&Arc::as_ptr(instance)).map_or_else(|| encode(instance), |known| (*known).clone())
            })
            .collect();
        let group = Group::new(encoded.clone());
        // A change that callers cannot see (a check's output, say) wakes nobody.
        let endpoints = if group == *self.endpoints { Arc::clone(&self.endpoints) } else { Arc::new(group) };
        Self { view: Arc::clone(view), encoded, endpoints, service: Arc::clone(&self.service) }
    }
}

fn encode(instance: &Instance) -> Resource {
    Resource::new(instance.key.to_string(), convert::endpoint(instance).encode_to_vec().into())
}
