//! What stands around every route: time limit, counting, and a net under panics. Outermost first: count (so
//! that all is counted), catch (so that a panic is an answer), limit the time of what does not block.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    Extension, Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

use super::{Api, error::ApiError, limits::REQUEST_TIME_MAX, weft::Document};

/// The route label of requests that match none.
const NO_ROUTE: &str = "none";

/// Puts the layers and fallbacks around the routes.
pub(crate) fn wrap(router: Router<Arc<Api>>, api: &Arc<Api>, document: &OpenApi) -> Router<Arc<Api>> {
    let panics = api.metrics.clone();
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(Arc::clone(api), count))
        .layer(CatchPanicLayer::custom(move |what: Box<dyn Any + Send>| {
            panics.panic();
            panicked(what.as_ref())
        }))
        .layer(from_fn(limit_time))
        .layer(Extension(Document::new(document)));
    router.fallback(no_route).method_not_allowed_fallback(no_method).layer(layers)
}

async fn no_route() -> ApiError {
    ApiError::NoRoute
}

async fn no_method(method: Method) -> ApiError {
    ApiError::Method(method)
}

async fn count(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = (!blocks(&request)).then(Instant::now);
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let seconds = started.map(|started| started.elapsed().as_secs_f64());
    api.metrics.request(route, &method, response.status().as_u16(), seconds);
    response
}

/// A request that blocks ends by its own `wait`; all others within a fixed time.
async fn limit_time(request: Request, next: Next) -> Response {
    if blocks(&request) {
        return next.run(request).await;
    }
    match tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            let seconds = REQUEST_TIME_MAX.as_secs();
            ApiError::Unavailable(format!("no answer within {seconds} s")).into_response()
        }
    }
}

/// Only a read with `index` can block.
fn blocks(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|pair| pair.starts_with("index="))
}

fn panicked(what: &(dyn Any + Send)) -> Response {
    let text =
        what.downcast_ref::<String>().map(String::as_str).or_else(|| what.downcast_ref::<&str>().copied());
    tracing::error!(reason = text.unwrap_or("unknown"), "a handler panicked");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    (StatusCode::INTERNAL_SERVER_ERROR, headers, "internal error").into_response()
}
