//! `/v1/status`, `/v1/catalog/datacenters`, the metrics: what is the same whoever asks.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;

use super::{Api, ask::Ask, error::ApiError, metrics, reply::Reply};

/// OpenMetrics' media type.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The leader's address: this one's, for there is no other.
pub(crate) async fn leader(State(api): State<Arc<Api>>, _ask: Ask) -> Reply<String> {
    Reply::of(api.address.clone())
}

/// All servers: this one.
pub(crate) async fn peers(State(api): State<Arc<Api>>, _ask: Ask) -> Reply<Vec<String>> {
    Reply::of(vec![api.address.clone()])
}

/// `/metrics`, and `/v1/agent/metrics?format=prometheus` as Consul has it.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.metrics.observe(&api.registry.catalog(), api.store.revision(), api.sidecars.sidecars().len());
    let text = metrics::encode(&api.exposition).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

/// Consul's own JSON form of metrics is not there.
pub(crate) async fn agent_metrics(state: State<Arc<Api>>, ask: Ask) -> Result<Response, ApiError> {
    if ask.value("format") == Some("prometheus") {
        metrics(state).await
    } else {
        Err(ApiError::bad("give format=prometheus: metrics have no other form here"))
    }
}
