//! Answers, and the one place where failures become statuses and bodies. The shapes are RabbitMQ's:
//! `{"error": …, "reason": …}`.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    access::{edit::EditError, store::StoreError},
    amqp::reply::{Refusal, ReplyCode},
    server::{Ending, StartError},
};

/// What a browser or a client library shows when it asks for a password.
const REALM: &str = "Basic realm=\"RabbitMQ Management\"";
/// The methods of what is read alone.
pub(super) const READ: &str = "HEAD, GET, OPTIONS";
/// The methods of what is read, made and deleted.
pub(super) const READ_PUT_DELETE: &str = "HEAD, GET, PUT, DELETE, OPTIONS";

/// What goes well.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 with JSON.
    Json(Value),
    /// Another status with JSON.
    Status(StatusCode, Value),
    /// 200 with text of some type.
    Text(&'static str, String),
    /// 201, with the place of what was made, relative to the request.
    Created(Option<String>),
    /// 204
    Done,
    /// 200, and what may be done: an answer to `OPTIONS`.
    Allowed(&'static str),
    /// 302
    Elsewhere(&'static str),
}

/// What does not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// 404
    #[error("Not Found")]
    NotFound,
    /// 404 of something else than the path names.
    #[error("{0}")]
    Missing(String),
    /// 401, and who asks should say who it is.
    #[error("{0}")]
    Login(&'static str),
    /// 401: who asks is known and may not.
    #[error("{0}")]
    Denied(String),
    /// 400
    #[error("{0}")]
    Bad(String),
    /// 400 whose reason is a word and a value.
    #[error("{0}: {1}")]
    Because(&'static str, String),
    /// 400 with another word than `bad_request`.
    #[error("{1}")]
    Named(&'static str, String),
    /// 405, and what is allowed.
    #[error("Method Not Allowed")]
    Method(&'static str),
    /// 408
    #[error("{0}")]
    Slow(String),
    /// 413
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// 503
    #[error("{0}")]
    Unavailable(String),
    /// 500
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Login(_) | Self::Denied(_) => StatusCode::UNAUTHORIZED,
            Self::Bad(_) | Self::Because(..) | Self::Named(..) => StatusCode::BAD_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::NotFound => "Object Not Found",
            Self::Missing(_) => "not_found",
            Self::Login(_) => "not_authorized",
            Self::Denied(_) => "not_authorised",
            Self::Bad(_) | Self::Because(..) => "bad_request",
            Self::Named(word, _) => word,
            Self::Method(_) => "Method Not Allowed",
            Self::Slow(_) => "request_timeout",
            Self::TooLarge(_) => "payload_too_large",
            Self::Unavailable(_) => "service_unavailable",
            Self::Internal(_) => "internal_server_error",
        }
    }
}

/// What AMQP refuses: 404 and 403 have statuses of their own, the rest is a bad request. The name of the code is left out
/// of the text.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.text();
        let text = text.split_once(" - ").map_or(text, |(_, text)| text).to_owned();
        match refusal.code() {
            ReplyCode::NotFound => Self::Missing(text),
            ReplyCode::AccessRefused => Self::Denied("Access refused.".to_owned()),
            _ => Self::Bad(text),
        }
    }
}

impl From<Ending> for Failure {
    fn from(ending: Ending) -> Self {
        Self::Unavailable(ending.to_string())
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NoVhost { .. } => Self::NotFound,
            other => Self::Bad(other.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The response of an outcome.
pub(super) fn respond(outcome: Result<Answer, Failure>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(answer) => answered(answer),
        Err(failure) => failed(&failure),
    }
}

fn answered(answer: Answer) -> Response<Full<Bytes>> {
    match answer {
        Answer::Json(value) => with_json(StatusCode::OK, &value),
        Answer::Status(status, value) => with_json(status, &value),
        Answer::Text(kind, text) => {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            put(&mut response, header::CONTENT_TYPE, kind);
            put(&mut response, header::CACHE_CONTROL, "no-cache");
            response
        }
        Answer::Created(place) => {
            let mut response = bare(StatusCode::CREATED);
            if let Some(place) = place {
                put(&mut response, header::LOCATION, &place);
            }
            response
        }
        Answer::Done => bare(StatusCode::NO_CONTENT),
        Answer::Allowed(methods) => {
            let mut response = bare(StatusCode::OK);
            put(&mut response, header::ALLOW, methods);
            response
        }
        Answer::Elsewhere(place) => {
            let mut response = bare(StatusCode::FOUND);
            put(&mut response, header::LOCATION, place);
            response
        }
    }
}

fn failed(failure: &Failure) -> Response<Full<Bytes>> {
    if let Failure::Internal(reason) = failure {
        tracing::error!(reason, "a request of the management API failed");
    }
    let reason = match failure {
        Failure::Because(word, value) => json!([word, value]),
        other => other.to_string().into(),
    };
    let mut response = match failure {
        Failure::Method(_) => bare(failure.status()),
        _ => with_json(failure.status(), &json!({"error": failure.word(), "reason": reason})),
    };
    match failure {
        Failure::Login(_) => put(&mut response, header::WWW_AUTHENTICATE, REALM),
        Failure::Method(allowed) => put(&mut response, header::ALLOW, allowed),
        _ => {}
    }
    response
}

fn with_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    // A value of strings, numbers and maps with text keys cannot fail to be written.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    put(&mut response, header::CONTENT_TYPE, "application/json");
    put(&mut response, header::CACHE_CONTROL, "no-cache");
    put(&mut response, header::VARY, "accept, accept-encoding, origin");
    response
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn put(response: &mut Response<Full<Bytes>>, name: header::HeaderName, value: &str) {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_asked_for_and_a_denial_is_not() {
        let asked = respond(Err(Failure::Login("Not_Authorized")));
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(asked.headers()["www-authenticate"], REALM);
        let denied = respond(Err(Failure::Denied("no".to_owned())));
        assert!(denied.headers().get("www-authenticate").is_none());
    }

    #[test]
    fn refusals_of_amqp_keep_their_text() {
        let inequivalent = Refusal::new(ReplyCode::PreconditionFailed, "inequivalent arg 'durable'");
        let failure = Failure::from(inequivalent);
        assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
        assert_eq!(failure.to_string(), "inequivalent arg 'durable'");
        assert_eq!(Failure::from(Refusal::new(ReplyCode::NotFound, "")).status(), StatusCode::NOT_FOUND);
    }
}
