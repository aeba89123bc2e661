//! Accepting on the sockets of one thread. What is spoken on a connection is not looked at here.

use std::{
    future::Future,
    io, net,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{arrivals::Arrivals, bind::ThreadListeners, caller::Caller, pressure, thread::Thread};
use crate::{
    inbound,
    metrics::ConnectionMetrics,
    net::{TcpListener, TcpStream},
    outbound,
};

/// How long accepting rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// So many connections are accepted before it is asked whether there is room for more.
const BATCH: u64 = 16;

/// Serves all sockets of one thread.
pub(super) fn listen(thread: &Rc<Thread>, listeners: ThreadListeners) {
    let (out, into) = (&thread.outbound_connections, &thread.inbound_connections);
    if let Some(socket) = listeners.outbound {
        accept(thread, socket, out, outbound::connection);
    }
    if let Some(socket) = listeners.inbound {
        accept(thread, socket, into, inbound::connection);
    }
    for (upstream, socket) in listeners.upstreams {
        let upstream = Rc::new(upstream);
        accept(thread, socket, out, move |thread, io, caller| {
            outbound::upstream::connection(thread, Rc::clone(&upstream), io, caller)
        });
    }
}

fn accept<F, C>(
    thread: &Rc<Thread>,
    socket: net::TcpListener,
    metrics: &Arc<ConnectionMetrics>,
    connection: C,
) where
    F: Future<Output = ()> + 'static,
    C: Fn(Rc<Thread>, TcpStream, Rc<Caller>) -> F + 'static,
{
    match TcpListener::from_std(socket) {
        Ok(listener) => serve(thread, listener, metrics, connection),
        Err(error) => tracing::error!(%error, "socket cannot be listened on"),
    }
}

/// Serves one of them.
pub(crate) fn serve<F, C>(
    thread: &Rc<Thread>,
    listener: TcpListener,
    metrics: &Arc<ConnectionMetrics>,
    connection: C,
) where
    F: Future<Output = ()> + 'static,
    C: Fn(Rc<Thread>, TcpStream, Rc<Caller>) -> F + 'static,
{
    let (thread, metrics) = (Rc::clone(thread), Arc::clone(metrics));
    let mut arrivals = Arrivals::new(listener);
    tokio::task::spawn_local(async move {
        let places = Arc::new(Semaphore::new(thread.config.limits.connections_max));
        let mut accepted = 0_u64;
        loop {
            // Fails only when the semaphore is closed, which nobody does.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match arrivals.next().await {
                Ok((io, peer)) => {
                    let caller = Caller::new(peer, &metrics, place);
                    let serve = connection(Rc::clone(&thread), io, Rc::clone(&caller));
                    let task = tokio::task::spawn_local(serve);
                    thread.callers.add(&caller, task.abort_handle());
                    accepted += 1;
                    if accepted.is_multiple_of(BATCH) && !pressure::has_room().await {
                        metrics.held.fetch_add(1, Relaxed);
                        // The kernel refuses whom its queue has no place for, and those come again too late.
                        pressure::wait_for_room(|| arrivals.gather()).await;
                        arrivals.gather();
                    }
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
