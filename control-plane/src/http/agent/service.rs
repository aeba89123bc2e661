//! `/v1/agent/service/…` and `/v1/agent/services`: registration on the caller's node.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};

use super::{
    super::{
        Api,
        ask::{Ask, truth},
        body,
        error::ApiError,
        reply::{Reply, done},
        wire::{
            service::{Registrar, ServiceDefinition},
            view::{self, AgentService},
        },
    },
    instance, known_instance, own_instances,
};
use crate::registry::Origin;

/// Registers or replaces a service. Checks that are there and not named stay, unless
/// `replace-existing-checks` says otherwise, as in Consul.
pub(crate) async fn register(
    State(api): State<Arc<Api>>,
    ask: Ask,
    body: Body,
) -> Result<Response, ApiError> {
    let definition: ServiceDefinition = body::json(body).await?;
    let catalog = api.registry.catalog();
    let id = if definition.id.is_empty() { &definition.name } else { &definition.id };
    let before = instance(&catalog, &ask.node, id);
    let registrar = Registrar {
        node: &ask.node,
        address: &ask.address,
        namespace: &ask.namespace,
        origin: Origin::Agent,
    };
    let known = |check: &str| before.and_then(|before| before.checks.get(check)).map(|check| check.health);
    let mut registration = definition.register(&registrar, known)?;
    registration.replace_checks = replaces_checks(&ask)?;
    api.registry.register(registration).await?;
    Ok(done())
}

/// Removes a service at once.
pub(crate) async fn deregister(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    api.registry.deregister(ask.node, &id).await?;
    Ok(done())
}

/// Takes a service out of use, or back in.
pub(crate) async fn maintenance(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let enable = match ask.value("enable") {
        None => return Err(ApiError::bad("Missing value for enable")),
        Some(text) => {
            truth(text).ok_or_else(|| ApiError::bad(format!("Invalid value for enable: {text:?}")))?
        }
    };
    let reason = enable.then(|| ask.value("reason").unwrap_or_default().to_owned());
    api.registry.maintenance(ask.node, &id, reason).await?;
    Ok(done())
}

/// The services of the node by id.
pub(crate) async fn list(State(api): State<Arc<Api>>, ask: Ask) -> Reply<BTreeMap<String, AgentService>> {
    let catalog = api.registry.catalog();
    let services = own_instances(&catalog, &ask.node, ask.namespace.as_str());
    Reply::of(services.map(|instance| (instance.key.id.to_string(), view::agent_service(instance))).collect())
}

/// One service of the node.
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Reply<AgentService>, ApiError> {
    let catalog = api.registry.catalog();
    Ok(Reply::of(view::agent_service(known_instance(&catalog, &ask.node, &id)?)))
}

fn replaces_checks(ask: &Ask) -> Result<bool, ApiError> {
    match ask.value("replace-existing-checks") {
        None => Ok(ask.has("replace-existing-checks")),
        Some(text) => truth(text).ok_or_else(|| ApiError::bad("Invalid value for replace-existing-checks")),
    }
}
