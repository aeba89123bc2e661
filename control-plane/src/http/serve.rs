//! Accepts connections and gives their requests to the router: HTTP/1.1, with limits on connections, head and
//! time. It knows no route.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    limits::{HEAD_BYTES_MAX, HEAD_READ_TIME_MAX, STOP_TIME_MAX},
    metrics::Metrics,
};

/// What a connection over the limit is told.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 20\r\n\r\ntoo many connections";
/// After a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopping` is cancelled, then lets open requests end, for a limited time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    metrics: Metrics,
    stopping: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            // A stopping server takes nothing more, even if it waits at the door.
            biased;
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            metrics.connection_refused();
            refuse(&stream);
            continue;
        };
        let (router, stopping, held) = (router.clone(), stopping.clone(), metrics.connection());
        tasks.spawn(async move {
            connection(stream, peer, router, stopping).await;
            drop((permit, held));
        });
    }
    drop(listener);
    tasks.close();
    if time::timeout(STOP_TIME_MAX, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections were still open at the end of the stop time");
    }
}

/// One try to say why; a peer that cannot take 100 bytes at once gets the bare close.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        // An answer that is ready goes before the end.
        biased;
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
