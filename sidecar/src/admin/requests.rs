//! `/explain?id=ID` and `/tap?FILTER`: what became of requests, and requests as they end.

use std::{convert::Infallible, sync::Arc};

use futures_util::StreamExt;
use http::{HeaderValue, Response, StatusCode, Uri, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;
use weft_runtime::admin::{Body, More, json, text};

use crate::record::{Filter, Observed, SUBSCRIBERS_MAX, pairs};

/// The two paths.
pub(super) fn more(observed: Arc<Observed>) -> More {
    let answer = move |uri: &Uri| match uri.path() {
        "/explain" => Some(explain(&observed, uri.query().unwrap_or_default())),
        "/tap" => Some(tap(&observed, uri.query().unwrap_or_default())),
        _ => None,
    };
    More { paths: ", /explain?id=ID and /tap", answer: Arc::new(answer) }
}

fn explain(observed: &Observed, query: &str) -> Response<Body> {
    let Some((_, id)) = pairs(query).find(|(name, _)| *name == "id") else {
        return text(StatusCode::BAD_REQUEST, "give ?id= with a request id or a trace id\n");
    };
    match observed.explain(&id) {
        Some(told) => json(StatusCode::OK, &json!({ "requests": told })),
        None => text(StatusCode::NOT_FOUND, "no request is kept: explain_requests is 0\n"),
    }
}

fn tap(observed: &Observed, query: &str) -> Response<Body> {
    let filter = match Filter::parse(query) {
        Ok(filter) => filter,
        Err(reason) => return text(StatusCode::BAD_REQUEST, &format!("{reason}\n")),
    };
    let Some(lines) = observed.taps.subscribe(filter) else {
        let full = format!("{SUBSCRIBERS_MAX} listen already: end one, or wait\n");
        return text(StatusCode::SERVICE_UNAVAILABLE, &full);
    };
    let frames = ReceiverStream::new(lines).map(|line| Ok::<_, Infallible>(Frame::data(line)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}
