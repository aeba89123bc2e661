//! `/v1/agent/check/…` and `/v1/agent/checks`: checks of the caller's node and of the services on it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use weft_model::endpoint::Health;

use super::{
    super::{
        Api,
        ask::Ask,
        body,
        error::ApiError,
        reply::{Reply, done},
        wire::{
            check::{CheckDefinition, CheckUpdate},
            view::{self, HealthCheck},
        },
    },
    instance, own_instances,
};

/// Adds a check to the node, or to the service `ServiceID` on it.
pub(crate) async fn register(
    State(api): State<Arc<Api>>,
    ask: Ask,
    body: Body,
) -> Result<Response, ApiError> {
    let definition: CheckDefinition = body::json(body).await?;
    if definition.name.is_empty() {
        return Err(ApiError::bad("Missing check name"));
    }
    let initial = definition.initial("Bad check status")?.unwrap_or(Health::Critical);
    let service = (!definition.serviceid.is_empty()).then(|| definition.serviceid.clone());
    if let Some(id) = &service
        && instance(&api.registry.catalog(), &ask.node, id).is_none()
    {
        return Err(ApiError::NotFound(format!("ServiceID {id:?} does not exist")));
    }
    let given = definition.given_id();
    let id = if given.is_empty() { &definition.name } else { given };
    let check = definition.register(id.to_owned(), definition.name.clone(), initial)?;
    if service.is_none() {
        ensure_node(&api, &ask).await?;
    }
    api.registry.register_check(ask.node, service, check).await?;
    Ok(done())
}

/// Removes a check.
pub(crate) async fn deregister(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    api.registry.deregister_check(ask.node, &id).await?;
    Ok(done())
}

/// A TTL check is well.
pub(crate) async fn pass(state: State<Arc<Api>>, ask: Ask, id: Path<String>) -> Result<Response, ApiError> {
    report(state, ask, id, Health::Passing).await
}

/// A TTL check is well enough.
pub(crate) async fn warn(state: State<Arc<Api>>, ask: Ask, id: Path<String>) -> Result<Response, ApiError> {
    report(state, ask, id, Health::Warning).await
}

/// A TTL check is not well.
pub(crate) async fn fail(state: State<Arc<Api>>, ask: Ask, id: Path<String>) -> Result<Response, ApiError> {
    report(state, ask, id, Health::Critical).await
}

/// A TTL check reports by its body.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let update: CheckUpdate = body::json(body).await?;
    let health = update.health()?;
    api.registry.report_check(ask.node, &id, health, update.output).await?;
    Ok(done())
}

/// The checks of the node and its services by id.
pub(crate) async fn list(State(api): State<Arc<Api>>, ask: Ask) -> Reply<BTreeMap<String, HealthCheck>> {
    let catalog = api.registry.catalog();
    let of_node = catalog.nodes.get(&ask.node).map(|node| view::node_checks(node)).unwrap_or_default();
    let of_services =
        own_instances(&catalog, &ask.node, ask.namespace.as_str()).flat_map(view::instance_checks);
    let checks = of_node.into_iter().chain(of_services);
    Reply::of(checks.map(|check| (check.check_id.clone(), check)).collect())
}

async fn report(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
    health: Health,
) -> Result<Response, ApiError> {
    let note = ask.value("note").unwrap_or_default().to_owned();
    api.registry.report_check(ask.node, &id, health, note).await?;
    Ok(done())
}

/// A node's check needs its node; an agent's node is there from the start in Consul.
async fn ensure_node(api: &Api, ask: &Ask) -> Result<(), ApiError> {
    if !api.registry.catalog().nodes.contains_key(&ask.node) {
        let (node, address) = (ask.node.clone(), ask.address.clone());
        api.registry.register_node(node, address, BTreeMap::new()).await?;
    }
    Ok(())
}
