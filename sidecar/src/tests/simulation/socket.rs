//! Sockets of the simulated network, as tokio's are used, and the task that lets its time pass. Who dials is known
//! by the host whose task is being polled.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};
use tonic::transport::server::Connected;

use super::{
    connection::{EndOf, Found},
    network::Network,
};

thread_local! {
    static EPOCH: Cell<Option<Instant>> = const { Cell::new(None) };
    static HERE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// The network, and when its time began.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    network: Arc<Mutex<Network>>,
    epoch: Instant,
}

/// A host on the network.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(super) shared: Shared,
    pub(super) host: IpAddr,
}

/// An end of a connection; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Socket {
    shared: Shared,
    end: EndOf,
}

/// A listening socket; dropped, connections are refused.
#[derive(Debug)]
pub(crate) struct Acceptor {
    shared: Shared,
    address: SocketAddr,
}

/// When the simulation that runs on this thread began.
pub(crate) fn epoch() -> Option<Instant> {
    EPOCH.get()
}

impl Shared {
    /// Of a network whose time begins now, and with it this thread's clock.
    pub(super) fn new(network: Network) -> Self {
        let epoch = Instant::now();
        EPOCH.set(Some(epoch));
        Self { network: Arc::new(Mutex::new(network)), epoch }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap()
    }

    /// When its time began.
    pub(super) fn begun(&self) -> Instant {
        self.epoch
    }

    /// Milliseconds since it began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap()
    }

    /// Lets the time of the network pass.
    pub(super) async fn drive(self) {
        loop {
            let mut sleep = None;
            poll_fn(|cx| {
                let next = self.lock().next_at(cx.waker());
                let Some(at) = next else { return Poll::Pending };
                let mut due = Box::pin(sleep_until(self.epoch + Duration::from_millis(at)));
                let is_due = due.as_mut().poll(cx);
                sleep = Some(due);
                is_due
            })
            .await;
            self.lock().step(self.now());
        }
    }
}

impl Place {
    /// Of the host whose task is being polled.
    pub(crate) fn here() -> Option<Self> {
        HERE.with_borrow(Clone::clone)
    }

    /// Polls `task` as one of this host.
    pub(super) async fn run<F: Future>(self, task: F) -> F::Output {
        let mut task = Box::pin(task);
        poll_fn(move |cx| {
            let before = HERE.replace(Some(self.clone()));
            let polled = task.as_mut().poll(cx);
            HERE.set(before);
            polled
        })
        .await
    }

    pub(super) fn listen(&self, port: u16) -> Acceptor {
        let address = SocketAddr::new(self.host, port);
        self.shared.lock().listen(address);
        Acceptor { shared: self.shared.clone(), address }
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        let end = self.shared.lock().dial(self.shared.now(), self.host, address);
        let socket = Socket { shared: self.shared.clone(), end };
        let is_connected = poll_fn(|cx| match self.shared.lock().is_connected(end, cx.waker()) {
            Some(is_connected) => Poll::Ready(is_connected),
            None => Poll::Pending,
        });
        if is_connected.await { Ok(socket) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }
}

impl Acceptor {
    pub(crate) async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let accepted = poll_fn(|cx| match self.shared.lock().accept(self.address, cx.waker()) {
            Some(accepted) => Poll::Ready(accepted),
            None => Poll::Pending,
        });
        let (end, peer) = accepted.await;
        Ok((Socket { shared: self.shared.clone(), end }, peer))
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.lock().stop_listening(self.shared.now(), self.address);
    }
}

impl Socket {
    pub(crate) async fn readable(&self) {
        poll_fn(|cx| match self.shared.lock().peek(self.end, cx.waker()) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
        .await;
    }

    pub(crate) fn try_read_buf(&self, buf: &mut BytesMut) -> io::Result<usize> {
        match self.read(usize::MAX, Waker::noop()) {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(read) => read.map(|bytes| {
                buf.extend_from_slice(&bytes);
                bytes.len()
            }),
        }
    }

    /// Closes it so that the other side has an error instead of an end.
    pub(super) fn reset(self) {
        self.shared.lock().close(self.shared.now(), self.end, true);
    }

    fn read(&self, most: usize, waker: &Waker) -> Option<io::Result<Vec<u8>>> {
        let mut network = self.shared.lock();
        let read = match network.peek(self.end, waker)? {
            Found::Bytes(length) => Ok(network.take(self.end, length.min(most))),
            Found::End => Ok(Vec::new()),
            Found::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        };
        Some(read)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.lock().close(self.shared.now(), self.end, false);
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.read(buf.remaining(), cx.waker()) {
            None => Poll::Pending,
            Some(read) => Poll::Ready(read.map(|bytes| buf.put_slice(&bytes))),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = self.shared.lock().write(self.shared.now(), self.end, buf, cx.waker());
        match written {
            Ok(0) => Poll::Pending,
            Ok(length) => Poll::Ready(Ok(length)),
            Err(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.lock().shut(self.shared.now(), self.end);
        Poll::Ready(Ok(()))
    }
}

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}
