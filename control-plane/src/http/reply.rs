//! Answers in Consul's manner: JSON, with the index headers where the answer is of a revision.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// The revision that an answer shows.
pub(crate) const INDEX_HEADER: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER_HEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT_HEADER: HeaderName = HeaderName::from_static("x-consul-lastcontact");

/// An answer with a JSON body.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    status: StatusCode,
    index: Option<u64>,
    body: T,
}

impl<T: Serialize> Reply<T> {
    /// 200, of no revision.
    pub(crate) const fn of(body: T) -> Self {
        Self { status: StatusCode::OK, index: None, body }
    }

    /// 200, of this revision.
    pub(crate) const fn at(index: u64, body: T) -> Self {
        Self { status: StatusCode::OK, index: Some(index), body }
    }

    /// With another status.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let Ok(body) = serde_json::to_vec(&self.body) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response();
        if let Some(index) = self.index {
            set_index(&mut response, index);
        }
        response
    }
}

/// The headers that tell of which revision an answer is; clients may rely on an index above 0.
pub(crate) fn set_index(response: &mut Response, index: u64) {
    let headers = response.headers_mut();
    headers.insert(INDEX_HEADER, HeaderValue::from(index.max(1)));
    headers.insert(KNOWN_LEADER_HEADER, HeaderValue::from_static("true"));
    headers.insert(LAST_CONTACT_HEADER, HeaderValue::from_static("0"));
}

/// An answer that says nothing but that it was done, as Consul's agent gives it.
pub(crate) fn done() -> Response {
    StatusCode::OK.into_response()
}
