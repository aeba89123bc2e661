//! Accepting, and serving HTTP on what was accepted: the same for outbound, inbound and upstream ports.

use std::{future::Future, io, net::TcpListener, pin::pin, rc::Rc, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::Semaphore};

use super::{Phase, bind::ThreadListeners, thread::Thread};
use crate::{
    body::ResponseBody, exec::LocalExec, forward::HEAD_BYTES_MAX, inbound, outbound, pool::Wire,
    stream::Stream,
};

/// Connections on one port of one thread, at most; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16_384;
/// How long accepting rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// From one request on a connection to the end of the next one's head. Longer than pools keep an idle
/// connection, so that it is the sending side that closes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);
/// What is read of a request head before the connection is given up, in bytes.
const HEADER_BYTES_MAX: u32 = 2 * HEAD_BYTES_MAX;
/// Streams that a caller may have open on one HTTP/2 connection.
const STREAMS_MAX: u32 = 1_024;
/// What one stream may have under way to us, in bytes.
const H2_STREAM_WINDOW: u32 = 256 * 1_024;
/// What all streams of one connection may, in bytes.
const H2_CONNECTION_WINDOW: u32 = 1_024 * 1_024;
/// An HTTP/2 client that was silent for this long is asked whether it lives.
const H2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Whether a drain asks the clients of a connection to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drains {
    /// Inbound: others have to go elsewhere.
    Yes,
    /// Outbound: the application has nowhere else to go.
    No,
}

/// Serves all sockets of one thread.
pub(super) fn listen(thread: &Rc<Thread>, listeners: ThreadListeners) {
    if let Some(socket) = listeners.outbound {
        accept(thread, socket, outbound::connection);
    }
    if let Some(socket) = listeners.inbound {
        accept(thread, socket, inbound::connection);
    }
    for (upstream, socket) in listeners.upstreams {
        let upstream = Rc::new(upstream);
        accept(thread, socket, move |thread, io| {
            outbound::upstream::connection(thread, Rc::clone(&upstream), io)
        });
    }
}

fn accept<F, C>(thread: &Rc<Thread>, socket: TcpListener, connection: C)
where
    F: Future<Output = ()> + 'static,
    C: Fn(Rc<Thread>, TcpStream) -> F + 'static,
{
    let thread = Rc::clone(thread);
    tokio::task::spawn_local(async move {
        let listener = match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "socket cannot be listened on"),
        };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // Fails only when the semaphore is closed, which nobody does.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((io, _)) => {
                    let serve = connection(Rc::clone(&thread), io);
                    tokio::task::spawn_local(async move {
                        serve.await;
                        drop(place);
                    });
                }
                Err(error) => pause_if_exhausted(&error).await,
            }
        }
    });
}

/// A connection that ended before it was accepted is nothing; a process without descriptors has to wait.
async fn pause_if_exhausted(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "connection cannot be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves HTTP until the client goes, or is asked to.
pub(crate) async fn http<F>(
    thread: &Rc<Thread>,
    stream: Stream,
    wire: Wire,
    drains: Drains,
    call: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = Response<ResponseBody>> + 'static,
{
    let service = service_fn(|request| {
        let response = call(request);
        async move { Ok::<_, std::convert::Infallible>(response.await) }
    });
    let io = TokioIo::new(stream);
    let result = if wire == Wire::Http2 {
        let server = h2_server().serve_connection(io, service);
        let mut server = pin!(server);
        let mut phase = thread.phase.clone();
        let drain = async {
            match drains {
                // An error means the end, which drops this connection anyway.
                Drains::Yes => drop(phase.wait_for(|phase| *phase >= Phase::Draining).await),
                Drains::No => std::future::pending().await,
            }
        };
        tokio::select! {
            // The connection first: one that has ended need not be asked to go.
            biased;
            result = server.as_mut() => result,
            () = drain => {
                server.as_mut().graceful_shutdown();
                server.await
            }
        }
    } else {
        h1_server().serve_connection(io, service).with_upgrades().await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "client connection ended");
    }
}

fn h1_server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(HEADER_BYTES_MAX as usize)
        // The application's own date passes; we add none.
        .auto_date_header(false);
    builder
}

fn h2_server() -> http2::Builder<LocalExec> {
    let mut builder = http2::Builder::new(LocalExec);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(H2_KEEP_ALIVE_INTERVAL);
    builder
}
