//! The admin server: `/live`, `/ready`, `/metrics`, `/config_dump`, and what its owner adds. It runs apart from the data path and asks
//! its owner for every answer; what ready means is the owner's.

use std::{
    convert::Infallible,
    io,
    net::TcpListener,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::{net::TcpStream, sync::Semaphore};

use crate::drain::Watch;

pub mod exposition;

#[cfg(test)]
mod tests;

/// Connections at once; one more waits in the kernel's queue. Probes and a scraper need a handful.
pub const CONNECTIONS_MAX: usize = 64;
/// A request's head must be there in this time.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest request head, in bytes.
pub const HEADER_SIZE_MAX: usize = 16 * 1024;
/// No connection lives longer, idle or not: 64 of them must not be held for ever.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(300);
/// After an accept that failed, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the daemon is not ready; none = it is.
pub type Reasons = Vec<String>;

/// An answer that has to be fetched from its owner's tasks.
pub type Dumping = Pin<Box<dyn Future<Output = serde_json::Value> + Send>>;

/// What a path is answered with; it may go on for as long as its connection may.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// `None` = no such path.
pub type Answer = dyn Fn(&Uri) -> Option<Response<Body>> + Send + Sync;

/// Paths of the owner's own.
#[derive(Clone)]
pub struct More {
    /// As they are listed to who asks for another.
    pub paths: &'static str,
    /// What they are answered with.
    pub answer: Arc<Answer>,
}

/// What the server asks its owner.
#[derive(Clone)]
pub struct Admin {
    /// What `/metrics` encodes.
    pub registry: Arc<Mutex<Registry>>,
    /// What `/ready` answers.
    pub ready: Arc<dyn Fn() -> Reasons + Send + Sync>,
    /// What `/config_dump` answers.
    pub config_dump: Arc<dyn Fn() -> Dumping + Send + Sync>,
    /// What else there is.
    pub more: Option<More>,
}

impl Admin {
    /// Serves until the drain begins; connections that are open then may end their request.
    ///
    /// # Errors
    /// When the listener cannot be handed to tokio.
    pub async fn serve(self, listener: TcpListener, drain: Watch) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = drain.unless_draining(async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            });
            match accepted.await {
                None => return Ok(()),
                Some((Ok((stream, _)), place)) => {
                    let (admin, drain) = (self.clone(), drain.clone());
                    tokio::spawn(async move {
                        admin.connection(stream, drain).await;
                        drop(place);
                    });
                }
                Some((Err(error), _)) => {
                    tracing::warn!(%error, "admin server could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, drain: Watch) {
        let service = service_fn(|request: Request<Incoming>| {
            let (admin, request) = (self.clone(), request.map(drop));
            async move { Ok::<_, Infallible>(admin.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_SIZE_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let served = tokio::time::timeout(CONNECTION_TIME_MAX, async {
            if drain.unless_draining(connection.as_mut()).await.is_none() {
                connection.as_mut().graceful_shutdown();
                // Its errors are the client's: it went away, or sent no HTTP.
                drop(connection.await);
            }
        });
        drop(served.await);
    }

    async fn answer(&self, request: &Request<()>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri().path() {
            "/live" => json(StatusCode::OK, &serde_json::json!({ "live": true })),
            "/ready" => self.ready(),
            "/metrics" => self.metrics(request),
            "/config_dump" => json(StatusCode::OK, &(self.config_dump)().await),
            _ => self.more(request.uri()),
        }
    }

    fn more(&self, uri: &Uri) -> Response<Body> {
        self.more.as_ref().and_then(|more| (more.answer)(uri)).unwrap_or_else(|| {
            let more = self.more.as_ref().map_or("", |more| more.paths);
            text(StatusCode::NOT_FOUND, &format!("there are /live, /ready, /metrics, /config_dump{more}\n"))
        })
    }

    fn ready(&self) -> Response<Body> {
        let reasons = (self.ready)();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons }))
    }

    fn metrics<B>(&self, request: &Request<B>) -> Response<Body> {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let rendered = {
            // A panic of another holder left the registry as it was: it is only ever added to.
            let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            exposition::render(&registry, accept.unwrap_or_default())
        };
        match rendered {
            Ok((content_type, encoded)) => body(StatusCode::OK, content_type, encoded),
            Err(error) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, &format!("metrics cannot be encoded: {error}\n"))
            }
        }
    }
}

/// An answer in JSON.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    body(status, "application/json", format!("{value:#}\n"))
}

/// An answer in words.
pub fn text(status: StatusCode, message: &str) -> Response<Body> {
    body(status, "text/plain; charset=utf-8", message.to_owned())
}

fn body(status: StatusCode, content_type: &'static str, content: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(content)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
