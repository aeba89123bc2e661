//! Talks to the HTTP API of a control plane, or to the management API of a message broker: one request, one whole
//! answer, a time limit on each, and errors that name the address and the remedy. It knows no path and no shape;
//! [`crate::api`] and [`crate::broker`] do.

use std::{fmt, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;

/// Where a control plane listens when nobody says otherwise.
const ADDRESS_DEFAULT: &str = "http://127.0.0.1:8500";
/// Where a message broker's management API listens when nobody says otherwise: RabbitMQ's port.
const MANAGEMENT_DEFAULT: &str = "http://127.0.0.1:15672";
/// For a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For an answer to a request that does not wait.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const ANSWER_SIZE_MAX: usize = 64 * 1024 * 1024;
/// Quoted of an answer that is a refusal, at most, in characters.
const QUOTE_CHARS_MAX: usize = 300;

/// How the address was found, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--address` or `WEFT_HTTP_ADDR`.
    Given,
    /// The file that `weft up` leaves.
    Pointer(PathBuf),
    /// Nobody said.
    Default,
    /// Of a message broker: `--management`, `WEFT_MANAGEMENT_ADDR` or the default.
    Management,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    origin: Origin,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no {} answers at {address}: {reason}; {}", address.peer(), address.remedy())]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// From the system.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{address} has not answered within {limit:?}: look at the log of the {}", address.peer())]
    Timeout {
        /// Who.
        address: Address,
        /// How long was waited.
        limit: Duration,
    },
    /// It refused.
    #[error("{address} answers {status} to {what}: {reason}")]
    Refused {
        /// Who.
        address: Address,
        /// How.
        status: StatusCode,
        /// Method and path.
        what: String,
        /// Its words.
        reason: String,
    },
    /// It answered something else.
    #[error(
        "{address} answers {what} with something unexpected: {reason}; is it a Weft {} of this version?",
        address.peer()
    )]
    Shape {
        /// Who.
        address: Address,
        /// Method and path.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 2xx or 404, or (of [`Client::ask`]) any.
    pub status: StatusCode,
    /// `X-Consul-Index`: what a blocking query continues from.
    pub index: Option<u64>,
    /// The body.
    pub body: Bytes,
    what: String,
}

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    authorization: Option<HeaderValue>,
    hyper: Hyper<HttpConnector, Full<Bytes>>,
}

impl Address {
    /// `given` is what the person said; else the pointer; else the default.
    pub fn find(given: Option<&str>, pointer: Option<(String, PathBuf)>) -> Self {
        match (given.map(str::trim).filter(|text| !text.is_empty()), pointer) {
            (Some(given), _) => Self { url: with_scheme(given), origin: Origin::Given },
            (None, Some((address, file))) => {
                Self { url: with_scheme(&address), origin: Origin::Pointer(file) }
            }
            (None, None) => Self { url: ADDRESS_DEFAULT.into(), origin: Origin::Default },
        }
    }

    /// That of a message broker's management API; `given` is what the person said.
    pub fn management(given: Option<&str>) -> Self {
        let given = given.map(str::trim).filter(|text| !text.is_empty());
        Self { url: with_scheme(given.unwrap_or(MANAGEMENT_DEFAULT)), origin: Origin::Management }
    }

    const fn peer(&self) -> &'static str {
        match self.origin {
            Origin::Management => "message broker",
            Origin::Given | Origin::Pointer(_) | Origin::Default => "control plane",
        }
    }

    fn remedy(&self) -> String {
        match &self.origin {
            Origin::Given => "check --address and WEFT_HTTP_ADDR, or start one with `weft up`".into(),
            Origin::Pointer(file) => {
                format!("its mesh is gone, or remove {} and give --address", file.display())
            }
            Origin::Default => "start a mesh with `weft up FILE`, or give --address".into(),
            Origin::Management => "check --management and WEFT_MANAGEMENT_ADDR, or start one with \
                                   `weft-sidecar run --queue-host --data-dir DIR`"
                .into(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Client {
    /// Connects when the first request is sent.
    pub fn new(address: Address) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let hyper = Hyper::builder(TokioExecutor::new()).build(connector);
        Self { address, authorization: None, hyper }
    }

    /// The same with credentials in each request, which no log shows.
    #[must_use]
    pub fn authorized(self, mut authorization: HeaderValue) -> Self {
        authorization.set_sensitive(true);
        Self { authorization: Some(authorization), ..self }
    }

    /// Who is asked.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// GET; 404 is an answer, other refusals are errors.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, Bytes::new(), limit).await
    }

    /// Any method with a body.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        let answer = self.ask(method, path, body, limit).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let reason = text.trim().chars().take(QUOTE_CHARS_MAX).collect();
        let (address, status) = (self.address.clone(), answer.status);
        Err(ClientError::Refused { address, status, what: answer.what, reason })
    }

    /// As [`Client::send`]; a refusal is an answer too.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .body(Full::new(body))
            .map_err(|error| self.unreachable(&error))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        match tokio::time::timeout(limit, self.exchange(request, what)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout { address: self.address.clone(), limit }),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, what: String) -> Result<Answer, ClientError> {
        let response = self.hyper.request(request).await.map_err(|error| self.unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_SIZE_MAX)
            .collect()
            .await
            .map_err(|error| self.shape(&what, error.to_string()))?
            .to_bytes();
        let index = head.headers.get("x-consul-index").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer { status: head.status, index, body, what })
    }

    /// The answer's JSON; 404 is `None`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn json<T: DeserializeOwned>(&self, answer: &Answer) -> Result<Option<T>, ClientError> {
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|error| self.shape(&answer.what, error.to_string()))
    }

    /// Something unexpected in an answer.
    pub(crate) fn shape(&self, what: &str, reason: String) -> ClientError {
        ClientError::Shape { address: self.address.clone(), what: what.into(), reason }
    }

    /// The innermost reason is the one that says something (`Connection refused`).
    fn unreachable(&self, error: &dyn std::error::Error) -> ClientError {
        let innermost = std::iter::successors(Some(error), |error| error.source()).last();
        let reason = innermost.map(ToString::to_string).unwrap_or_default();
        ClientError::Unreachable { address: self.address.clone(), reason }
    }
}

/// A part of a path, or with `slash` several, as RFC 3986 section 2.1 writes them.
pub fn encode(text: &str, slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (slash && byte == b'/');
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn with_scheme(address: &str) -> String {
    let address = address.trim_end_matches('/');
    if address.contains("://") { address.into() } else { format!("http://{address}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_goes_before_the_pointer_and_that_before_the_default() {
        let pointer = || Some(("http://127.0.0.1:1".to_owned(), PathBuf::from(".weft/control-plane")));
        assert_eq!(Address::find(Some("127.0.0.1:9"), pointer()).to_string(), "http://127.0.0.1:9");
        assert_eq!(Address::find(Some(" "), pointer()).to_string(), "http://127.0.0.1:1");
        assert_eq!(Address::find(None, None).to_string(), ADDRESS_DEFAULT);
    }

    #[test]
    fn keys_are_encoded_for_a_path() {
        assert_eq!(encode("a b/ü?", true), "a%20b/%C3%BC%3F");
        assert_eq!(encode("a/b", false), "a%2Fb");
    }

    #[tokio::test]
    async fn a_control_plane_that_is_not_there_is_named_with_the_remedy() {
        // Port 1 of loopback: nobody listens there.
        let client = Client::new(Address::find(Some("127.0.0.1:1"), None));
        let error = client.get("/", REQUEST_TIMEOUT).await.unwrap_err().to_string();
        assert!(error.starts_with("no control plane answers at http://127.0.0.1:1: "), "{error}");
        assert!(error.contains("--address"), "{error}");
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_is_called_one() {
        let client = Client::new(Address::management(Some("127.0.0.1:1")));
        let error = client.get("/api/queues", REQUEST_TIMEOUT).await.unwrap_err().to_string();
        assert!(error.starts_with("no message broker answers at http://127.0.0.1:1: "), "{error}");
        assert!(error.contains("WEFT_MANAGEMENT_ADDR"), "{error}");
    }
}
