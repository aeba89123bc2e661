//! The one place where a failure becomes an answer: Consul's plain text for its API, JSON under `/v1/weft`.
//! It knows the registry's and the store's errors and no handler.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use weft_model::name::NameError;

use crate::{registry::RegistryError, store::StoreError};

/// Why a request is answered with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request is wrong; the text says where (400).
    #[error("{0}")]
    BadRequest(String),
    /// A field that Consul knows and that would change meaning here (400).
    #[error("{field} is not supported: {remedy}")]
    Unsupported {
        /// Consul's name of it.
        field: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// No such service, check or key (404).
    #[error("{0}")]
    NotFound(String),
    /// Not a route (404).
    #[error("Invalid URL path: not a recognized HTTP API endpoint")]
    NoRoute,
    /// Not a method of this route (405).
    #[error("method {0} not allowed")]
    Method(http::Method),
    /// The body is over its limit (413).
    #[error("Request body too large, max size: {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Another datacenter than ours; Consul's text and status (500).
    #[error("No path to datacenter")]
    Datacenter,
    /// Something that is no fault of the caller (500).
    #[error("{0}")]
    Internal(String),
    /// The registry or the store refuses for now (503).
    #[error("{0}")]
    Unavailable(String),
    /// Too many wait already (429, which Consul answers to too much).
    #[error(
        "too many blocking queries wait already (at most {limit}): ask without index, or start the control plane with more --http-connections"
    )]
    TooManyBlocking {
        /// So many may wait.
        limit: usize,
    },
    /// A view of Weft's own has nothing by that name (404, as JSON).
    #[error("{0}")]
    NoView(String),
}

impl ApiError {
    /// From any text.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Unsupported { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound(_) | Self::NoRoute | Self::NoView(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Datacenter | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyBlocking { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if let Self::NoView(error) = self {
            let body = serde_json::json!({ "error": error }).to_string();
            return (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        }
        // Consul answers without a content type of its own and without a line end.
        let text = self.to_string();
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from(text)).into_response()
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error {
            RegistryError::NoInstance { id, .. } => Self::NotFound(unknown_service(&id)),
            RegistryError::NoCheck { id, .. } => Self::NotFound(unknown_check(&id)),
            RegistryError::NotTtl { id } => {
                Self::Internal(format!("CheckID {id:?} does not have associated TTL"))
            }
            RegistryError::Limit { .. }
            | RegistryError::OldIncarnation { .. }
            | RegistryError::LeaseLost { .. } => Self::BadRequest(text),
            RegistryError::Record { .. } => Self::Internal(text),
            RegistryError::Store(error) => error.into(),
            RegistryError::Closed => Self::Unavailable(text),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::BadKey { .. } | StoreError::BadTxn { .. } => Self::BadRequest(text),
            StoreError::Disk { .. } | StoreError::Closed => Self::Unavailable(text),
            _ => Self::Internal(text),
        }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

/// Consul's words for an id that no service on the node has.
pub(crate) fn unknown_service(id: &str) -> String {
    format!("Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name.")
}

/// Consul's words for an id that no check on the node has.
pub(crate) fn unknown_check(id: &str) -> String {
    format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.")
}
