//! `/v1/catalog/…`: registration of and for any node, and what is registered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Path, State},
};
use weft_model::name::{Id, ServiceName};

use super::{
    Api,
    ask::{Ask, DATACENTER},
    blocking, body,
    error::ApiError,
    reply::Reply,
    wire::{
        check::CatalogCheck,
        node::{CatalogDeregistration, CatalogRegistration},
        service::Registrar,
        view::{self, CatalogService, NodeServices, NodeView},
    },
};
use crate::{
    registry::{Catalog, Instance, Node, Origin, RegistryError, handle::CheckRegistration},
    store::Revision,
};

/// Registers a node, at most one service on it, and checks; nobody runs these checks.
pub(crate) async fn register(
    State(api): State<Arc<Api>>,
    ask: Ask,
    body: Body,
) -> Result<Reply<bool>, ApiError> {
    let registration: CatalogRegistration = body::json(body).await?;
    registration.check()?;
    Ask::check_datacenter(&registration.datacenter)?;
    let CatalogRegistration { node, address, nodemeta, service, check, checks, skipnodeupdate, .. } =
        registration;
    let node = Id::node(&node)?;
    let catalog = api.registry.catalog();
    let known = catalog.nodes.get(&node);
    let address = if address.is_empty() { known.map(|node| node.address.clone()) } else { Some(address) };
    let address = address.ok_or_else(|| ApiError::bad("Must provide address: the node is not there yet"))?;
    let service_id =
        service.as_ref().map(|service| if service.id.is_empty() { &service.service } else { &service.id });
    let (own, of_node) = split_checks(check.into_iter().chain(checks), service_id.map_or("", |id| id))?;
    let registration = service
        .as_ref()
        .map(|service| {
            let registrar = Registrar {
                node: &node,
                address: &address,
                namespace: &ask.namespace,
                origin: Origin::Catalog,
            };
            service.register(&registrar, |_| None)
        })
        .transpose()?;
    if known.is_none() || !skipnodeupdate {
        api.registry.register_node(node.clone(), address, nodemeta).await?;
    }
    if let Some(mut registration) = registration {
        registration.checks = own;
        api.registry.register(registration).await?;
    }
    for (service, check) in of_node {
        api.registry.register_check(node.clone(), service, check).await?;
    }
    Ok(Reply::of(true))
}

/// Removes a service or a check of a node, or the node with all that is on it. What is not there is removed
/// already, as in Consul.
pub(crate) async fn deregister(
    State(api): State<Arc<Api>>,
    _ask: Ask,
    body: Body,
) -> Result<Reply<bool>, ApiError> {
    let what: CatalogDeregistration = body::json(body).await?;
    Ask::check_datacenter(&what.datacenter)?;
    if what.node.is_empty() {
        return Err(ApiError::bad("Must provide node"));
    }
    let node = Id::node(&what.node)?;
    let removed = if !what.serviceid.is_empty() {
        api.registry.deregister(node, &what.serviceid).await
    } else if !what.checkid.is_empty() {
        api.registry.deregister_check(node, &what.checkid).await
    } else {
        api.registry.deregister_node(node).await
    };
    match removed {
        Ok(_) | Err(RegistryError::NoInstance { .. } | RegistryError::NoCheck { .. }) => Ok(Reply::of(true)),
        Err(error) => Err(error.into()),
    }
}

/// Service names with all tags of their instances.
pub(crate) async fn services(
    State(api): State<Arc<Api>>,
    ask: Ask,
) -> Result<Reply<BTreeMap<String, BTreeSet<String>>>, ApiError> {
    let meta = NodeMeta::of(&ask);
    let view = |catalog: &Catalog| {
        let own = catalog.services.values().filter(|service| service.name.namespace == ask.namespace);
        own.filter_map(|service| {
            let mut on =
                service.instances.iter().filter(|instance| meta.matches(catalog, instance)).peekable();
            on.peek()?;
            let tags = on.flat_map(|instance| instance.tags.iter().cloned()).collect();
            Some((service.name.name.to_string(), tags))
        })
        .collect()
    };
    blocking::read(&api, &ask, |catalog| catalog.changed, view).await
}

/// The instances of a service.
pub(crate) async fn service(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Reply<Vec<CatalogService>>, ApiError> {
    let Ok(name) = ServiceName::new(&name, ask.namespace.as_str()) else {
        // Not a name of ours, so nobody has it.
        return blocking::read(&api, &ask, |_| 0, |_| Vec::new()).await;
    };
    let select = Select::of(&ask);
    let view = |catalog: &Catalog| {
        select.instances(catalog, &name).map(|instance| view::catalog_service(catalog, instance)).collect()
    };
    blocking::read(&api, &ask, |catalog| changed(catalog, &name), view).await
}

/// All nodes.
pub(crate) async fn nodes(State(api): State<Arc<Api>>, ask: Ask) -> Result<Reply<Vec<NodeView>>, ApiError> {
    let meta = NodeMeta::of(&ask);
    let view = |catalog: &Catalog| {
        let nodes = catalog.nodes.values().filter(|node| meta.matches_node(node));
        nodes.map(|node| view::node(catalog, &node.name, &node.address)).collect()
    };
    blocking::read(&api, &ask, |catalog| catalog.changed, view).await
}

/// One node with its services; null for an unknown one, as in Consul.
pub(crate) async fn node(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Reply<Option<NodeServices>>, ApiError> {
    let name = Id::node(&name)?;
    let view = |catalog: &Catalog| {
        let node = catalog.nodes.get(&name)?;
        Some(view::node_services(catalog, node, ask.namespace.as_str()))
    };
    blocking::read(&api, &ask, |catalog| catalog.changed, view).await
}

/// There is one.
pub(crate) async fn datacenters() -> Reply<[&'static str; 1]> {
    Reply::of([DATACENTER])
}

/// The revision that a query on one service waits on: the service's own, and that of the nodes it shows.
pub(super) fn changed(catalog: &Catalog, name: &ServiceName) -> Revision {
    let instances = catalog.services.get(name).into_iter().flat_map(|service| &service.instances);
    let nodes = instances.filter_map(|instance| catalog.nodes.get(&instance.key.node));
    let nodes = nodes.map(|node| node.modify_revision).max().unwrap_or(0);
    catalog.service_index(name).max(nodes)
}

/// Which instances of a service are asked for.
pub(super) struct Select<'a> {
    tags: Vec<String>,
    meta: NodeMeta<'a>,
}

impl<'a> Select<'a> {
    /// `?tag=` (all must be there; Consul compares them without case) and `?node-meta=`.
    pub(super) fn of(ask: &'a Ask) -> Self {
        Self { tags: ask.values("tag").map(str::to_lowercase).collect(), meta: NodeMeta::of(ask) }
    }

    /// Those of a service, in order.
    pub(super) fn instances<'b>(
        &'b self,
        catalog: &'b Catalog,
        name: &ServiceName,
    ) -> impl Iterator<Item = &'b Instance> + use<'a, 'b> {
        let all = catalog.services.get(name).into_iter().flat_map(|service| &service.instances);
        all.filter(|instance| self.matches(catalog, instance)).map(AsRef::as_ref)
    }

    fn matches(&self, catalog: &Catalog, instance: &Instance) -> bool {
        let tagged = |wanted: &String| instance.tags.iter().any(|tag| tag.to_lowercase() == *wanted);
        self.tags.iter().all(tagged) && self.meta.matches(catalog, instance)
    }
}

/// `?node-meta=key:value`, repeatable; all must hold.
pub(super) struct NodeMeta<'a>(Vec<(&'a str, &'a str)>);

impl<'a> NodeMeta<'a> {
    /// From the query.
    pub(super) fn of(ask: &'a Ask) -> Self {
        Self(ask.values("node-meta").map(|pair| pair.split_once(':').unwrap_or((pair, ""))).collect())
    }

    fn matches(&self, catalog: &Catalog, instance: &Instance) -> bool {
        self.0.is_empty() || catalog.nodes.get(&instance.key.node).is_some_and(|node| self.matches_node(node))
    }

    fn matches_node(&self, node: &Node) -> bool {
        self.0.iter().all(|(key, value)| node.meta.get(*key).is_some_and(|has| has == value))
    }
}

/// The checks of the service that is registered with them, and all others with the service they name.
type Split = (Vec<CheckRegistration>, Vec<(Option<String>, CheckRegistration)>);

fn split_checks(checks: impl Iterator<Item = CatalogCheck>, service_id: &str) -> Result<Split, ApiError> {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for check in checks {
        let of = check.serviceid.clone();
        let check = check.register()?;
        if of.is_empty() {
            others.push((None, check));
        } else if of == service_id {
            own.push(check);
        } else {
            others.push((Some(of), check));
        }
    }
    Ok((own, others))
}
