//! `/v1/health/…`: instances and checks by what is said of their health.

use std::sync::Arc;

use axum::extract::{Path, State};
use weft_model::name::{Id, ServiceName};

use super::{
    Api,
    ask::Ask,
    blocking,
    catalog::{Select, changed},
    error::ApiError,
    reply::Reply,
    wire::view::{self, HealthCheck, ServiceEntry},
};
use crate::registry::Catalog;

/// Instances of a service with node and checks; with `passing` only those whose checks all pass.
pub(crate) async fn service(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Reply<Vec<ServiceEntry>>, ApiError> {
    let passing = ask.passing()?;
    let Ok(name) = ServiceName::new(&name, ask.namespace.as_str()) else {
        return blocking::read(&api, &ask, |_| 0, |_| Vec::new()).await;
    };
    let select = Select::of(&ask);
    let view = |catalog: &Catalog| {
        select
            .instances(catalog, &name)
            .filter(|instance| !passing || view::is_passing(instance))
            .map(|instance| view::service_entry(catalog, instance))
            .collect()
    };
    blocking::read(&api, &ask, |catalog| changed(catalog, &name), view).await
}

/// The checks of a service's instances.
pub(crate) async fn checks(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Reply<Vec<HealthCheck>>, ApiError> {
    let Ok(name) = ServiceName::new(&name, ask.namespace.as_str()) else {
        return blocking::read(&api, &ask, |_| 0, |_| Vec::new()).await;
    };
    let select = Select::of(&ask);
    let view = |catalog: &Catalog| select.instances(catalog, &name).flat_map(view::instance_checks).collect();
    blocking::read(&api, &ask, |catalog| changed(catalog, &name), view).await
}

/// The checks in one state, or `any`.
pub(crate) async fn state(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(state): Path<String>,
) -> Result<Reply<Vec<HealthCheck>>, ApiError> {
    let view = |catalog: &Catalog| {
        let nodes = catalog.nodes.values();
        nodes
            .flat_map(|node| node_and_services(catalog, &node.name, &ask))
            .filter(|check| state == "any" || check.status == state)
            .collect()
    };
    blocking::read(&api, &ask, |catalog| catalog.changed, view).await
}

/// The checks of a node and of the services on it.
pub(crate) async fn node(
    State(api): State<Arc<Api>>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Reply<Vec<HealthCheck>>, ApiError> {
    let name = Id::node(&name)?;
    let view = |catalog: &Catalog| node_and_services(catalog, &name, &ask);
    blocking::read(&api, &ask, |catalog| catalog.changed, view).await
}

fn node_and_services(catalog: &Catalog, name: &Id, ask: &Ask) -> Vec<HealthCheck> {
    let Some(node) = catalog.nodes.get(name) else { return Vec::new() };
    let mut checks = view::node_checks(node);
    let own = view::instances_on(catalog, node);
    checks.extend(
        own.filter(|instance| instance.key.service.namespace == ask.namespace)
            .flat_map(view::instance_checks),
    );
    checks
}
