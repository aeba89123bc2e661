//! The one place where a failure of the resource API becomes an answer: a Kubernetes `Status`, with a cause for
//! each field that is wrong.

use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};
use weft_model::resource::{Errors, Kind};

use crate::{
    http::error::ApiError,
    resources::{Key, WriteError},
};

/// Why a request is answered with an error.
#[derive(Debug)]
pub(crate) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    subject: Option<Box<Subject>>,
    causes: Vec<Value>,
}

/// What it is about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
}

impl Subject {
    pub(super) fn of(key: &Key) -> Self {
        Self { name: key.name.to_string(), group: key.kind.group(), plural: key.kind.plural() }
    }
}

impl Failure {
    /// The request is wrong; the text says where.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// There is no such resource.
    pub(super) fn not_found(key: &Key) -> Self {
        let message = format!("{}.{} {:?} not found", key.kind.plural(), key.kind.group(), &*key.name);
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(key)
    }

    /// There are no such resources.
    pub(super) fn unknown_kind(group: &str, version: &str, plural: &str) -> Self {
        let asked: String = format!("{group}/{version}/{plural}").chars().take(128).collect();
        let known = Kind::ALL.map(|kind| format!("{}/{}", kind.api_version(), kind.plural())).join(", ");
        let message = format!("there are no resources {asked}: known are {known}");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), subject: None, causes: Vec::new() }
    }

    fn about(self, key: &Key) -> Self {
        Self { subject: Some(Box::new(Subject::of(key))), ..self }
    }

    /// All that is wrong, each with its field.
    fn invalid(key: &Key, errors: &Errors) -> Self {
        let cause = |error: &weft_model::resource::FieldError| json!({ "reason": error.reason.as_str(), "message": error.message, "field": error.path });
        let mut message = format!("{} {:?} is invalid: ", key.kind, &*key.name);
        for (place, error) in errors.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            // Writing to a String does not fail.
            let _ = write!(message, "{separator}{error}");
        }
        let mut causes: Vec<Value> = errors.iter().map(cause).collect();
        if errors.untold() > 0 {
            let more = format!("and {} more", errors.untold());
            causes.push(json!({ "reason": "FieldValueInvalid", "message": more, "field": "" }));
        }
        let failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(key);
        Self { causes, ..failure }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut details = json!({});
        if let (Some(subject), Some(fields)) = (&self.subject, details.as_object_mut()) {
            fields.insert("name".to_owned(), json!(subject.name));
            fields.insert("group".to_owned(), json!(subject.group));
            fields.insert("kind".to_owned(), json!(subject.plural));
        }
        if let (false, Some(fields)) = (self.causes.is_empty(), details.as_object_mut()) {
            fields.insert("causes".to_owned(), json!(self.causes));
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code.as_u16(),
        });
        (self.code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let message = error.to_string();
        let conflict = |key: &Key, reason| Self::new(StatusCode::CONFLICT, reason, &message).about(key);
        match &error {
            WriteError::NotFound(key) => Self::not_found(key),
            WriteError::Exists(key) => conflict(key, "AlreadyExists"),
            WriteError::Conflict { key, .. } | WriteError::Uid { key, .. } | WriteError::Contended(key) => {
                conflict(key, "Conflict")
            }
            WriteError::Invalid { key, errors } => Self::invalid(key, errors),
            WriteError::TooLarge { key, .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message).about(key)
            }
            WriteError::Full => Self::new(StatusCode::FORBIDDEN, "Forbidden", message),
            WriteError::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message),
        }
    }
}

/// Of the body's reading.
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        match error {
            ApiError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
            }
            ApiError::BadRequest(_) => Self::bad(message),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message),
        }
    }
}
