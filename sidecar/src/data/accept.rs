//! Accepting on the sockets of one thread. What is spoken on a connection is not looked at here.

use std::{cell::Cell, future::Future, io, net, os::fd::AsFd, rc::Rc, sync::Arc, time::Duration};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;
use tokio::sync::Semaphore;
use weft_runtime::listen::BACKLOG;

use super::{bind::ThreadListeners, caller::Caller, thread::Thread};
use crate::{
    inbound,
    metrics::ConnectionMetrics,
    net::{TcpListener, TcpStream},
    outbound,
};

/// How long accepting rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// The other side has closed (poll(2)); nix has no name for it.
const POLLRDHUP: i16 = 0x2000;
/// How many wait at a thread that does not keep up.
const PRESSED_BACKLOG: i32 = 64;

/// The connections that wait to be accepted at one socket.
#[derive(Debug)]
pub(crate) struct Queue {
    socket: Option<net::TcpListener>,
    is_short: Cell<bool>,
}

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
    let queue = socket.try_clone().ok();
    match TcpListener::from_std(socket) {
        Ok(listener) => serve(thread, (listener, Queue::of(queue)), metrics, connection),
        Err(error) => tracing::error!(%error, "socket cannot be listened on"),
    }
}

/// Serves one of them.
pub(crate) fn serve<F, C>(
    thread: &Rc<Thread>,
    (listener, queue): (TcpListener, Queue),
    metrics: &Arc<ConnectionMetrics>,
    connection: C,
) where
    F: Future<Output = ()> + 'static,
    C: Fn(Rc<Thread>, TcpStream, Rc<Caller>) -> F + 'static,
{
    let (thread, metrics) = (Rc::clone(thread), Arc::clone(metrics));
    tokio::task::spawn_local(async move {
        let places = Arc::new(Semaphore::new(thread.config.limits.connections_max));
        loop {
            // Fails only when the semaphore is closed, which nobody does.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                // Nobody waits for an answer any more; whoever is next is not made to wait for that.
                Ok((io, _)) if thread.pressure.is_high() && has_gone(&io) => {}
                Ok((io, peer)) => {
                    let caller = Caller::new(peer, &metrics, place);
                    let serve = connection(Rc::clone(&thread), io, Rc::clone(&caller));
                    let task = tokio::task::spawn_local(serve);
                    thread.callers.add(&caller, task.abort_handle());
                    let pause = thread.pressure.take_turn().await;
                    queue.fit(thread.pressure.is_high());
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Err(error) => pause_if_exhausted(&error).await,
            }
        }
    });
}

impl Queue {
    /// Of this socket; `None` = of none that the kernel has.
    pub(crate) fn of(socket: Option<net::TcpListener>) -> Self {
        Self { socket, is_short: Cell::new(false) }
    }

    /// A thread that does not keep up lets the kernel refuse to queue: who is queued is first come, first served, and
    /// in a long queue all have gone when it is their turn.
    fn fit(&self, is_pressed: bool) {
        let Some(socket) = self.socket.as_ref().filter(|_| self.is_short.get() != is_pressed) else { return };
        let length = if is_pressed { PRESSED_BACKLOG } else { BACKLOG };
        match SockRef::from(socket).listen(length) {
            Ok(()) => self.is_short.set(is_pressed),
            Err(error) => tracing::warn!(%error, length, "queue of connections keeps its length"),
        }
    }
}

/// Whether the client has closed its side already.
fn has_gone(io: &TcpStream) -> bool {
    let mut looked_at = [PollFd::new(io.as_fd(), PollFlags::from_bits_retain(POLLRDHUP))];
    poll(&mut looked_at, PollTimeout::ZERO).is_ok_and(|found| found > 0)
}

/// A connection that ended before it was accepted is nothing; a process without descriptors has to wait.
async fn pause_if_exhausted(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "connection cannot be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
