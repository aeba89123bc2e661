//! Calls to other services of the mesh: plain HTTP to the sidecar's outbound port, with the service's name as
//! Host. That is all an application needs to know of Weft; there is no library in between.

use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// For one call with all the sidecar's retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const ANSWER_SIZE_MAX: usize = 64 * 1024;
/// Carried from the request that came in to the calls that it causes (W3C trace context), so that deadlines
/// and traces hold together.
const TRACE_HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// The way out of this replica.
#[derive(Debug, Clone)]
pub(crate) struct Mesh {
    outbound: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status, of the service or of the mesh.
    pub(crate) status: StatusCode,
    /// The named failure of the mesh, if it answered in the service's place.
    pub(crate) weft_error: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Mesh {
    /// `outbound` is `http://host:port` or `host:port`.
    pub(crate) fn new(outbound: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let outbound = outbound.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { outbound, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// One call to `service`; `incoming` are the headers of the request that caused it.
    pub(crate) async fn call(
        &self,
        incoming: &HeaderMap,
        method: Method,
        service: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.outbound))
            .header(header::HOST, service)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))?;
        for name in TRACE_HEADERS {
            if let Some(value) = incoming.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        match tokio::time::timeout(CALL_TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer.with_context(|| format!("calling {service} by way of {}", self.outbound)),
            Err(_) => bail!("{service} did not answer within {CALL_TIMEOUT:?}"),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (head, body) = self.client.request(request).await?.into_parts();
        let weft_error =
            head.headers.get("weft-error").and_then(|code| code.to_str().ok()).map(str::to_owned);
        let body = Limited::new(body, ANSWER_SIZE_MAX)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer's body: {error}"))?
            .to_bytes();
        Ok(Answer { status: head.status, weft_error, body })
    }
}
