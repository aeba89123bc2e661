//! A resource as it is read: what its author gave, and a status made now from who is registered, what the other
//! resources say, and what each sidecar has acknowledged. Nothing of the status is stored.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use weft_model::{
    discovery::Standing,
    name::ServiceName,
    resource::{Resource, status},
    traffic::PortRef,
};

use crate::{
    discovery::convert_traffic,
    http::Api,
    registry::Catalog,
    resources::{Board, Entry},
};

/// Sidecars that are named one by one, of those that have not applied it and of those that refuse it: enough to
/// look into; the counts are of all.
const NAMED_MAX: usize = 20;

/// The shape of a resource, for the API's description.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourceView {
    /// `gateway.networking.k8s.io/v1` or `weft.dev/v1alpha1`.
    #[serde(rename = "apiVersion")]
    api_version: String,
    /// `HTTPRoute`, `GRPCRoute`, `ServicePolicy` or `RateLimitPolicy`.
    kind: String,
    /// `name`, `namespace`, `labels`, `annotations`; given by the control plane: `uid`, `generation`,
    /// `resourceVersion`, `creationTimestamp`.
    metadata: BTreeMap<String, String>,
    /// What it says.
    spec: BTreeMap<String, String>,
    /// Conditions, and `sidecars`: by how many it was applied, who refuses it and why.
    status: BTreeMap<String, String>,
}

/// What a status is made from.
pub(super) struct World<'a> {
    api: &'a Api,
    board: &'a Board,
    catalog: std::sync::Arc<Catalog>,
}

/// By how many sidecars a resource was applied.
#[derive(Debug, Default)]
struct Applied {
    /// Of each sidecar: what stands worst of all that the resource says to it.
    sidecars: BTreeMap<String, Stand>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Applied,
    Pending,
    Refused { service: String, reason: String },
}

impl<'a> World<'a> {
    pub(super) fn new(api: &'a Api, board: &'a Board) -> Self {
        Self { api, board, catalog: api.registry.catalog() }
    }

    /// The object with its status.
    pub(super) fn show(&self, entry: &Entry) -> Value {
        let mut object = entry.object.clone();
        let mut status = match &entry.resource {
            Some(resource) => status::to_json(resource, &status::conditions(resource, self), &entry.modified),
            None => json!({ "trouble": entry.trouble }),
        };
        if let Some(fields) = status.as_object_mut() {
            fields.insert("sidecars".to_owned(), self.applied(entry).to_json());
        }
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        object
    }

    /// From live acknowledgements of just the bytes that this resource makes.
    fn applied(&self, entry: &Entry) -> Applied {
        let mut applied = Applied::default();
        for (service, item) in entry.items() {
            let resource = convert_traffic::resource(service, item);
            for (sidecar, standing) in self.api.sidecars.standings(&resource.name, resource.version) {
                let stand = match standing {
                    Standing::Applied => Stand::Applied,
                    Standing::Pending => Stand::Pending,
                    Standing::Refused(reason) => {
                        Stand::Refused { service: service.to_string(), reason: reason.to_string() }
                    }
                };
                let worst = applied.sidecars.entry(sidecar).or_insert(Stand::Applied);
                if stand > *worst {
                    *worst = stand;
                }
            }
        }
        applied
    }
}

impl status::World for World<'_> {
    fn exists(&self, service: &ServiceName) -> bool {
        self.catalog.services.contains_key(service)
    }

    fn has_port(&self, service: &ServiceName, port: &PortRef) -> bool {
        let ports = self.catalog.services.get(service).into_iter();
        let mut ports = ports.flat_map(|view| &view.instances).flat_map(|instance| &instance.ports);
        ports.any(|known| match port {
            PortRef::Number(number) => known.port == *number,
            PortRef::Name(name) => *known.name == **name,
        })
    }

    fn others(&self, service: &ServiceName) -> Vec<&Resource> {
        self.board.about(service).collect()
    }
}

impl Applied {
    fn to_json(&self) -> Value {
        let count = |of: fn(&Stand) -> bool| self.sidecars.values().filter(|stand| of(stand)).count();
        let pending = self.sidecars.iter().filter(|(_, stand)| **stand == Stand::Pending);
        let refused = self.sidecars.iter().filter_map(|(sidecar, stand)| match stand {
            Stand::Refused { service, reason } => {
                Some(json!({ "sidecar": sidecar, "service": service, "reason": reason }))
            }
            Stand::Applied | Stand::Pending => None,
        });
        json!({
            "subscribed": self.sidecars.len(),
            "applied": count(|stand| *stand == Stand::Applied),
            "refused": count(|stand| matches!(stand, Stand::Refused { .. })),
            "pending": pending.map(|(sidecar, _)| sidecar).take(NAMED_MAX).collect::<Vec<_>>(),
            "refusedBy": refused.take(NAMED_MAX).collect::<Vec<_>>(),
        })
    }
}
