//! Runs health probes: HTTP, TCP, gRPC health. What results mean is the model's (`weft_model::health`); who wants
//! to know is the caller's: the control plane for instances without a sidecar, a sidecar for its application.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{MissedTickBehavior, interval_at, sleep, timeout},
};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use weft_model::{
    check::{CheckSpec, Probe, ProbeResult},
    health::OUTPUT_LENGTH_MAX,
};

/// Bytes of an HTTP answer's body that are read: a little more than is kept.
const BODY_BYTES_MAX: usize = 2 * OUTPUT_LENGTH_MAX;
/// The shortest interval; a check that asks for less would be a load test.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Sent by HTTP probes that give no other.
const USER_AGENT: &str = concat!("weft-check/", env!("CARGO_PKG_VERSION"));

/// Runs one check for ever.
#[derive(Debug)]
pub struct Runner {
    spec: CheckSpec,
    jitter: Duration,
    permits: Option<Arc<Semaphore>>,
}

/// Why a probe got no answer to judge. Its text is what people read as the check's output.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{url:?} is not an http:// URL: {reason}")]
    Url { url: String, reason: String },
    #[error("{name:?} is not a header that can be sent")]
    Header { name: String },
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("no gRPC answer: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("gRPC health: {} {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
}

impl Runner {
    /// Runs `spec`, at once.
    pub const fn new(spec: CheckSpec) -> Self {
        Self { spec, jitter: Duration::ZERO, permits: None }
    }

    /// Waits this long before the first run.
    #[must_use]
    pub fn with_jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Shares a limit on probes under way with others.
    #[must_use]
    pub fn with_permits(self, permits: Arc<Semaphore>) -> Self {
        Self { permits: Some(permits), ..self }
    }

    /// Probes each interval and hands over each result before the next run. Ends by being dropped; for a TTL,
    /// which is reported to and not run, there is never a result.
    pub async fn run<F, R>(self, mut on_result: F)
    where
        F: FnMut(ProbeResult) -> R + Send,
        R: Future<Output = ()> + Send,
    {
        if matches!(self.spec.probe, Probe::Ttl { .. }) {
            return std::future::pending().await;
        }
        sleep(self.jitter).await;
        let interval = self.spec.interval.max(INTERVAL_MIN);
        let mut ticks = interval_at(tokio::time::Instant::now(), interval);
        // After a stall one run is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let result = self.once().await;
            on_result(result).await;
        }
    }

    async fn once(&self) -> ProbeResult {
        // The semaphore is never closed; if it were, an unlimited probe is the lesser evil.
        let _permit = match &self.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        run(&self.spec.probe, self.spec.timeout).await
    }
}

/// Runs a probe once. Never longer than `limit`.
pub async fn run(probe: &Probe, limit: Duration) -> ProbeResult {
    let probed = async {
        match probe {
            Probe::Http { url, method, headers } => http(url, method, headers).await,
            Probe::Tcp { address } => tcp(address).await,
            Probe::Grpc { address, service } => grpc(address, service).await,
            Probe::Ttl { .. } => Ok(ProbeResult::Fail("a TTL check is reported to, not run".to_owned())),
        }
    };
    match timeout(limit, probed).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => ProbeResult::Fail(error.to_string()),
        Err(_) => ProbeResult::Fail(format!("no answer within {limit:?}")),
    }
}

/// 2xx passes, 429 warns, all else fails, as Consul judges it.
async fn http(url: &str, method: &str, headers: &[(String, String)]) -> Result<ProbeResult, ProbeError> {
    let (address, request) = http_request(url, method, headers)?;
    let stream = connect(&address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let (method, url) = (request.method().clone(), url.to_owned());
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        // A body that is too long or breaks off says nothing about the status, which has been seen.
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        Ok::<_, ProbeError>((status, format!("HTTP {method} {url}: {status} Output: {text}")))
    };
    // The connection only has to be driven. How it ends is seen by the exchange, which may still have a body to
    // read then.
    let driven = async {
        drop(connection.await);
        std::future::pending::<std::convert::Infallible>().await
    };
    let (status, output) = tokio::select! {
        // Only one of them ever ends, so they cannot race.
        answer = exchange => answer?,
        never = driven => match never {},
    };
    Ok(judge(status, output))
}

fn judge(status: StatusCode, output: String) -> ProbeResult {
    match status {
        status if status.is_success() => ProbeResult::Pass(output),
        StatusCode::TOO_MANY_REQUESTS => ProbeResult::Warn(output),
        _ => ProbeResult::Fail(output),
    }
}

fn http_request(
    url: &str,
    method: &str,
    headers: &[(String, String)],
) -> Result<(String, Request<Empty<Bytes>>), ProbeError> {
    let bad = |reason: &str| ProbeError::Url { url: url.to_owned(), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
    if uri.scheme_str() != Some("http") {
        return Err(bad("the scheme must be http"));
    }
    let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let method =
        if method.is_empty() { Method::GET } else { method.parse().map_err(|_| bad("bad method"))? };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| bad("bad host"))?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        let refused = || ProbeError::Header { name: name.clone() };
        let header = HeaderName::try_from(name.as_str()).map_err(|_| refused())?;
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        request.headers_mut().insert(header, value);
    }
    Ok((address, request))
}

/// A connection that is accepted passes.
async fn tcp(address: &str) -> Result<ProbeResult, ProbeError> {
    connect(address).await.map(|_| ProbeResult::Pass(format!("TCP connect {address}: success")))
}

/// SERVING passes.
async fn grpc(address: &str, service: &str) -> Result<ProbeResult, ProbeError> {
    let uri = format!("http://{address}");
    let endpoint = Endpoint::from_shared(uri)?;
    let mut client = HealthClient::new(endpoint.connect().await?);
    let request = HealthCheckRequest { service: service.to_owned() };
    let status = client.check(request).await?.into_inner().status();
    let output = format!("gRPC health {address} {service:?}: {}", status.as_str_name());
    Ok(match status {
        ServingStatus::Serving => ProbeResult::Pass(output),
        _ => ProbeResult::Fail(output),
    })
}

async fn connect(address: &str) -> Result<TcpStream, ProbeError> {
    TcpStream::connect(address)
        .await
        .map_err(|source| ProbeError::Connect { address: address.to_owned(), source })
}

#[cfg(test)]
mod tests;
