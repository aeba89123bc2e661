//! `/v1/agent/health/service/…`: the state of a service on the caller's node as an HTTP status, for load
//! balancers: 200 passing, 429 warning, 503 critical or in maintenance, 404 unknown.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;

use super::{
    super::{
        Api,
        ask::Ask,
        reply::Reply,
        wire::view::{self, ServiceHealth},
    },
    instance, own_instances,
};
use crate::registry::{Catalog, Instance};

/// All instances of a service on the node; the status is of the worst.
pub(crate) async fn by_name(State(api): State<Arc<Api>>, ask: Ask, Path(name): Path<String>) -> Response {
    let catalog = api.registry.catalog();
    let name = name.to_ascii_lowercase();
    let found: Vec<_> = own_instances(&catalog, &ask.node, ask.namespace.as_str())
        .filter(|instance| instance.key.service.name.as_str() == name)
        .map(|instance| service_health(&catalog, instance))
        .collect();
    let worst = found
        .iter()
        .map(|health| health.aggregated_status)
        .max_by_key(|status| status_code(status))
        .map_or((StatusCode::NOT_FOUND, format!("ServiceName {name} Not Found")), |status| {
            (status_code(status), status.to_owned())
        });
    answer(&ask, worst, found)
}

/// One instance on the node.
pub(crate) async fn by_id(State(api): State<Arc<Api>>, ask: Ask, Path(id): Path<String>) -> Response {
    let catalog = api.registry.catalog();
    match instance(&catalog, &ask.node, &id) {
        Some(instance) => {
            let health = service_health(&catalog, instance);
            let status = health.aggregated_status;
            answer(&ask, (status_code(status), status.to_owned()), health)
        }
        None => {
            let nothing = ServiceHealth { aggregated_status: "critical", service: None, checks: None };
            answer(&ask, (StatusCode::NOT_FOUND, format!("ServiceId {id} not found")), nothing)
        }
    }
}

fn service_health(catalog: &Catalog, instance: &Instance) -> ServiceHealth {
    ServiceHealth {
        aggregated_status: view::aggregated(instance),
        service: Some(view::agent_service(instance)),
        checks: Some(view::all_checks(catalog, instance)),
    }
}

fn status_code(aggregated: &str) -> StatusCode {
    match aggregated {
        "passing" => StatusCode::OK,
        "warning" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn answer(ask: &Ask, (status, word): (StatusCode, String), body: impl Serialize) -> Response {
    if ask.value("format") == Some("text") {
        (status, [(header::CONTENT_TYPE, "text/plain")], word).into_response()
    } else {
        Reply::of(body).status(status).into_response()
    }
}
