//! `/v1/status`, `/v1/catalog/datacenters`, the metrics: what is the same whoever asks.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use weft_runtime::admin::exposition;

use super::{Api, ask::Ask, error::ApiError, reply::Reply};

/// The leader's address: this one's, for there is no other.
pub(crate) async fn leader(State(api): State<Arc<Api>>, _ask: Ask) -> Reply<String> {
    Reply::of(api.address.clone())
}

/// All servers: this one.
pub(crate) async fn peers(State(api): State<Arc<Api>>, _ask: Ask) -> Reply<Vec<String>> {
    Reply::of(vec![api.address.clone()])
}

/// `/metrics`, and `/v1/agent/metrics?format=prometheus` as Consul has it.
pub(crate) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    api.metrics.observe(&api.registry.catalog(), api.store.revision(), api.sidecars.count());
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, text) = exposition::render(&api.exposition, accept)
        .map_err(|error| ApiError::Internal(format!("metrics cannot be written: {error}")))?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Consul's own JSON form of metrics is not there.
pub(crate) async fn agent_metrics(
    state: State<Arc<Api>>,
    ask: Ask,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if ask.value("format") == Some("prometheus") {
        metrics(state, headers).await
    } else {
        Err(ApiError::bad("give format=prometheus: metrics have no other form here"))
    }
}
