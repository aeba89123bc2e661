//! `/v1/agent/…`: the API of the caller's own node. The node is the header `X-Weft-Node`, else the caller's
//! address; ids are unique a node.

pub(crate) mod check;
pub(crate) mod health;
pub(crate) mod info;
pub(crate) mod service;

use std::sync::Arc;

use weft_model::name::Id;

use super::{
    error::{ApiError, unknown_service},
    wire::view,
};
use crate::registry::{Catalog, Instance};

/// The instance by that id on a node, of whatever service.
fn instance<'a>(catalog: &'a Catalog, node: &Id, id: &str) -> Option<&'a Arc<Instance>> {
    let keys = &catalog.nodes.get(node)?.instances;
    catalog.instance(keys.iter().find(|key| key.id.as_str() == id)?)
}

/// As [`instance`], or Consul's 404.
fn known_instance<'a>(catalog: &'a Catalog, node: &Id, id: &str) -> Result<&'a Arc<Instance>, ApiError> {
    instance(catalog, node, id).ok_or_else(|| ApiError::NotFound(unknown_service(id)))
}

/// All instances on a node, in one namespace.
fn own_instances<'a>(
    catalog: &'a Catalog,
    node: &Id,
    namespace: &'a str,
) -> impl Iterator<Item = &'a Instance> + use<'a> {
    catalog
        .nodes
        .get(node)
        .into_iter()
        .flat_map(|node| view::instances_on(catalog, node))
        .filter(move |instance| instance.key.service.namespace.as_str() == namespace)
}
