//! Connections of the management API: accepted, read with limits, answered.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

use super::{
    answer::{Answer, Failure, respond},
    body::Bodies,
    context::Context,
    home, login, metrics, overview,
    patient::Patient,
    rates::{PERIOD, Rates},
    request::{self, Request},
    route::route,
    text::Query,
};
use crate::server::Shared;

/// Connections at most.
const CONNECTIONS_MAX: usize = 1024;
/// Pages of metrics that are rendered at once: those of each queue may be long.
const RENDERINGS_MAX: usize = 2;
/// How long a client may read nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take for the head of a request, and may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for definitions.
const DEFINITIONS_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of a connection's read buffer at most.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections share.
#[derive(Debug)]
struct Desk {
    context: Context,
    bodies: Bodies,
    renderings: Semaphore,
}

/// Serves it until it is dropped.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the management API does not listen");
            return;
        }
    };
    let context = Context { shared, rates: Rates::default() };
    let desk =
        Arc::new(Desk { context, bodies: Bodies::default(), renderings: Semaphore::new(RENDERINGS_MAX) });
    tokio::spawn(sample(Arc::clone(&desk)));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the management API is not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(%peer, "too many connections to the management API, one more is refused");
            continue;
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            connection(socket, peer, desk).await;
            drop(permit);
        });
    }
}

/// Looks at the counters now and then.
async fn sample(desk: Arc<Desk>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        overview::sample(&desk.context).await;
    }
}

async fn connection(socket: TcpStream, peer: SocketAddr, desk: Arc<Desk>) {
    let Ok(local) = socket.local_addr() else { return };
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(desk, request, peer, local).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(socket, WRITE_TIMEOUT)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a client of the management API left");
    }
}

async fn answer(
    desk: Arc<Desk>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let is_long = path.starts_with("/api/definitions") || path.starts_with("/api/all-configuration");
    let within = if is_long { DEFINITIONS_TIMEOUT } else { REQUEST_TIMEOUT };
    let is_read = match *request.method() {
        Method::GET | Method::HEAD => true,
        // Messages that nobody waits for any more go back.
        Method::POST => path.ends_with("/get"),
        _ => false,
    };
    let handled = handle(desk, request, peer, local);
    let outcome = if is_read {
        timeout(within, handled).await
    } else {
        // What changes something goes on to its end, also where the client leaves.
        let task = tokio::spawn(handled);
        let ended = || Err(Failure::Internal("a task of the management API ended by a panic".to_owned()));
        timeout(within, task).await.map(|joined| joined.unwrap_or_else(|_| ended()))
    };
    let late = |_| Err(Failure::Unavailable("it takes too long".to_owned()));
    respond(outcome.unwrap_or_else(late))
}

async fn handle(
    desk: Arc<Desk>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<Answer, Failure> {
    let path = request.uri().path();
    match path {
        "/" | "/index.html" => return Ok(home::page(&desk.context)),
        "/favicon.ico" => return Err(Failure::NotFound),
        "/metrics" | "/metrics/per-object" | "/metrics/detailed" => {
            let _place = desk.renderings.acquire().await;
            let query = Query::parse(request.uri().query().unwrap_or_default());
            return metrics::handle(&desk.context, path, &query).await;
        }
        _ => {}
    }
    let path = request::components(path).ok_or(Failure::NotFound)?;
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    let user = login::enter(&desk.context.access(), authorization, peer.ip())?;
    let reason = headers.get("x-reason").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        other => other.clone(),
    };
    let most = desk.context.shared.limits().message_bytes_max;
    let taken = desk.bodies.take((&method, &path), &user, request.into_body(), most).await?;
    let body = taken.bytes.clone();
    let request = Request { method, path, query, body, peer, local, user, reason };
    match route(&desk.context, &request).await {
        Err(Failure::Method(allowed)) if request.method == Method::OPTIONS => Ok(Answer::Allowed(allowed)),
        outcome => outcome,
    }
}
