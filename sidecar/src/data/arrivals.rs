//! Connections that nobody serves yet. As long as the kernel's queue is empty now and then they come as it has queued
//! them, one after another. A queue that *stands* holds those who have waited for longest in front, and most of them
//! have gone or will have gone before they are answered: then all of them are taken out, and the newest are served
//! first. How long the queue has stood is all that tells of it: a thread that serves at once whom it has let in knows
//! nothing of those before its door. (Facebook's "Fail at Scale", adaptive LIFO.)

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    os::fd::AsFd,
    pin::pin,
    task::Poll,
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::resource::{Resource, getrlimit},
};
use socket2::Socket;

use super::backlog::{self, Backlog};
use crate::{
    clock,
    net::{TcpListener, TcpStream, set_backlog, take_queued},
};

/// So many wait here at most; more wait in the kernel's queue, or for their turn to be in it.
const LENGTH_MAX: usize = if cfg!(test) { 64 } else { 1_024 };
/// And no more than this part of the descriptors that the process may have: calls need some.
const DESCRIPTORS_PART: u64 = 16;
/// A queue in which there was always somebody for so long stands: what comes in bursts is served by then.
const STANDS_AFTER: Duration = Duration::from_millis(100);
/// Between two times that connections are taken out, others have so many times the time that it took.
const RESTS: u64 = 10;
/// But no more than this.
const REST_MAX: Duration = Duration::from_millis(250);
/// The other side has closed (poll(2)); nix has no name for it.
const POLLRDHUP: i16 = 0x2000;

/// Of one listener.
#[derive(Debug)]
pub(super) struct Arrivals {
    listener: TcpListener,
    /// Taken out of the kernel's queue, the newest last; tokio does not know of them.
    waiting: Vec<(Socket, SocketAddr)>,
    length_max: usize,
    backlog: Backlog,
    /// When nobody waited, last, on the process's clock.
    empty_at: u64,
    /// When more may be taken out.
    rests_until: u64,
}

impl Arrivals {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            waiting: Vec::new(),
            length_max: length_max(),
            backlog: Backlog::new(),
            empty_at: clock::now(),
            rests_until: 0,
        }
    }

    /// Who is served next.
    ///
    /// # Errors
    /// Those of accept(2).
    pub(super) async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if clock::now() >= clock::later(self.empty_at, STANDS_AFTER) {
            self.gather();
        }
        while let Some((socket, peer)) = self.waiting.pop() {
            if !self.has_gone(&socket) {
                socket.set_nonblocking(true)?;
                return Ok((TcpStream::from_std(socket.into())?, peer));
            }
        }
        if let Some(accepted) = self.poll().await {
            return accepted;
        }
        let accepted = self.wait().await;
        self.empty_at = clock::now();
        accepted
    }

    /// Who waits in the kernel's queue already. (An awake thread may have left others waiting there for long.)
    async fn poll(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        let mut accept = pin!(self.listener.accept());
        poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Waits for somebody. A queue that was cut short grows meanwhile.
    async fn wait(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let length = self.backlog.empty(clock::now());
            self.set_length(length);
            if self.backlog.is_full() {
                return self.listener.accept().await;
            }
            if let Ok(accepted) = tokio::time::timeout(backlog::REST, self.listener.accept()).await {
                return accepted;
            }
        }
    }

    fn has_gone(&mut self, socket: &Socket) -> bool {
        let had_gone = has_gone(socket);
        let length = self.backlog.found(had_gone, clock::now());
        self.set_length(length);
        had_gone
    }

    fn set_length(&self, length: Option<i32>) {
        if let Some(length) = length {
            // One that stays as it is costs more or refuses more, and nothing else.
            let _ = set_backlog(&self.listener, length);
        }
    }

    /// Takes out all that the kernel has queued, as far as there is place. Others have most of the time between two such
    /// times, as long as somebody is left of the last.
    pub(super) fn gather(&mut self) {
        let began = clock::now();
        if began < self.rests_until && !self.waiting.is_empty() {
            return;
        }
        if self.waiting.len() > self.length_max / 2 {
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting = waiting.into_iter().filter(|(socket, _)| !self.has_gone(socket)).collect();
        }
        let room = self.length_max.saturating_sub(self.waiting.len());
        // An error is told by the next accept.
        for (socket, peer) in (0..room).map_while(|_| take_queued(&self.listener).ok()) {
            self.waiting.extend(peer.as_socket().map(|peer| (socket, peer)));
        }
        let now = clock::now();
        let rest = Duration::from_nanos(RESTS * now.saturating_sub(began));
        self.rests_until = clock::later(now, rest.min(REST_MAX));
    }
}

fn length_max() -> usize {
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((u64::MAX, 0));
    usize::try_from(descriptors / DESCRIPTORS_PART).unwrap_or(usize::MAX).min(LENGTH_MAX)
}

/// Whether the client has closed its side already.
fn has_gone(socket: &Socket) -> bool {
    let mut looked_at = [PollFd::new(socket.as_fd(), PollFlags::from_bits_retain(POLLRDHUP))];
    poll(&mut looked_at, PollTimeout::ZERO).is_ok_and(|found| found > 0)
}

#[cfg(test)]
mod tests {
    use std::net;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// A client that has said its number; the number fits into a byte.
    fn client(address: SocketAddr, number: u8) -> net::TcpStream {
        let mut io = net::TcpStream::connect(address).unwrap();
        io::Write::write_all(&mut io, &[number]).unwrap();
        io
    }

    async fn said(arrivals: &mut Arrivals) -> u8 {
        let (mut io, peer) = arrivals.next().await.unwrap();
        assert!(peer.ip().is_loopback());
        io.read_u8().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_is_served_first_and_who_has_gone_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let mut clients: Vec<_> = (0..4).map(|number| client(address, number)).collect();
        drop(clients.remove(2));
        arrivals.gather();
        // Comes later than those that were taken out, and waits for its turn.
        let _latest = client(address, 4);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(said(&mut arrivals).await);
        }
        assert_eq!(order, [3, 1, 0, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_stands_is_turned_round_until_nobody_waits_in_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let _burst: Vec<_> = (0..4).map(|number| client(address, number)).collect();
        assert_eq!(said(&mut arrivals).await, 0);
        tokio::time::advance(STANDS_AFTER).await;
        let mut order = Vec::new();
        for number in 4..7 {
            let _newest = client(address, number);
            order.push(said(&mut arrivals).await);
            tokio::time::advance(REST_MAX).await;
        }
        for _ in 0..3 {
            order.push(said(&mut arrivals).await);
        }
        assert_eq!(order, [4, 5, 6, 3, 2, 1]);
        let (next, _later) = tokio::join!(said(&mut arrivals), async { client(address, 7) });
        assert_eq!(next, 7);
        let _as_before: Vec<_> = (8..10).map(|number| client(address, number)).collect();
        assert_eq!((said(&mut arrivals).await, said(&mut arrivals).await), (8, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_have_gone_the_kernels_queue_is_cut() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let is_queued = || net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok();
        for _ in 0..5 {
            let _here = client(address, 1);
            (0..32).for_each(|_| drop(client(address, 0)));
            tokio::time::advance(STANDS_AFTER).await;
            assert_eq!(said(&mut arrivals).await, 1);
        }
        assert!(!arrivals.backlog.is_full());
        let queued: Vec<_> = (0..33).map(|_| net::TcpStream::connect(address)).collect();
        assert!(queued.iter().all(Result::is_ok) && !is_queued(), "there is no place for another one");
        drop(queued);
        arrivals.gather();
        assert!(is_queued());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_is_place_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let mut clients = Vec::new();
        for _ in 0..LENGTH_MAX / 16 + 1 {
            clients.extend((0..16).map(|_| net::TcpStream::connect(address).unwrap()));
            arrivals.gather();
            tokio::time::advance(REST_MAX).await;
        }
        assert_eq!(arrivals.waiting.len(), LENGTH_MAX);
        clients.truncate(8);
        arrivals.gather();
        // Those who are still there, and those who came too late to be looked at.
        assert_eq!(arrivals.waiting.len(), 8 + 16);
    }
}
