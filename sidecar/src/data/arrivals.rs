//! Connections that nobody serves yet. As long as there is room they come as the kernel has queued them, one after
//! another. Where there was none for a while, the kernel's queue holds those who have waited for longest in front, and
//! most of them have gone or will have gone before they are answered: then all of them are taken out, and the newest are
//! served first.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{SockRef, Socket};

use crate::{
    clock,
    net::{TcpListener, TcpStream},
};

/// So many wait here at most; more wait in the kernel's queue, or for their turn to be in it.
const LENGTH_MAX: usize = if cfg!(test) { 64 } else { 1_024 };
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
    /// When more may be taken out, on the process's clock.
    rests_until: u64,
}

impl Arrivals {
    pub(super) const fn new(listener: TcpListener) -> Self {
        Self { listener, waiting: Vec::new(), rests_until: 0 }
    }

    /// Who is served next.
    ///
    /// # Errors
    /// Those of accept(2).
    pub(super) async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        while let Some((socket, peer)) = self.waiting.pop() {
            if !has_gone(&socket) {
                socket.set_nonblocking(true)?;
                return Ok((TcpStream::from_std(socket.into())?, peer));
            }
        }
        self.listener.accept().await
    }

    /// Takes out all that the kernel has queued, as far as there is place. Others have most of the time between
    /// two such times.
    pub(super) async fn gather(&mut self) {
        let rest = Duration::from_nanos(self.rests_until.saturating_sub(clock::now()));
        if !rest.is_zero() {
            tokio::time::sleep(rest.min(REST_MAX)).await;
        }
        let began = clock::now();
        if self.waiting.len() > LENGTH_MAX / 2 {
            self.waiting.retain(|(socket, _)| !has_gone(socket));
        }
        let (room, queue) = (LENGTH_MAX.saturating_sub(self.waiting.len()), SockRef::from(&self.listener));
        // An error is told by the next accept.
        for (socket, peer) in (0..room).map_while(|_| queue.accept().ok()) {
            self.waiting.extend(peer.as_socket().map(|peer| (socket, peer)));
        }
        let now = clock::now();
        self.rests_until = now.saturating_add(RESTS * now.saturating_sub(began));
    }
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

    #[tokio::test]
    async fn the_newest_is_served_first_and_who_has_gone_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let mut clients: Vec<_> = (0..4).map(|number| client(address, number)).collect();
        drop(clients.remove(2));
        arrivals.gather().await;
        // Comes later than those that were taken out, and waits for its turn.
        let _latest = client(address, 4);
        let mut order = Vec::new();
        for _ in 0..4 {
            let (mut io, peer) = arrivals.next().await.unwrap();
            assert!(peer.ip().is_loopback());
            order.push(io.read_u8().await.unwrap());
        }
        assert_eq!(order, [3, 1, 0, 4]);
    }

    #[tokio::test]
    async fn no_more_wait_than_there_is_place_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = Arrivals::new(TcpListener::Real(listener));
        let mut clients = Vec::new();
        for _ in 0..LENGTH_MAX / 16 + 1 {
            clients.extend((0..16).map(|_| net::TcpStream::connect(address).unwrap()));
            arrivals.gather().await;
        }
        assert_eq!(arrivals.waiting.len(), LENGTH_MAX);
        clients.truncate(8);
        arrivals.gather().await;
        // Those who are still there, and those who came too late to be looked at.
        assert_eq!(arrivals.waiting.len(), 8 + 16);
    }
}
