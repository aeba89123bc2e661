//! A connection or listener that is real or simulated. Unit tests only: who dials inside of a simulated host gets
//! a simulated connection, everyone else a real one.

use std::{
    io::{self, IoSlice},
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use socket2::{SockAddr, SockRef};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::ToSocketAddrs,
};

use crate::tests::simulation::{Acceptor, Place, Socket};

/// See the module.
#[derive(Debug)]
pub(crate) enum TcpStream {
    Real(tokio::net::TcpStream),
    Simulated(Socket),
}

/// See the module.
#[derive(Debug)]
pub(crate) enum TcpListener {
    Real(tokio::net::TcpListener),
    Simulated(Acceptor),
}

impl TcpListener {
    pub(crate) fn from_std(socket: net::TcpListener) -> io::Result<Self> {
        tokio::net::TcpListener::from_std(socket).map(Self::Real)
    }

    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Real(listener) => listener.accept().await.map(|(io, peer)| (TcpStream::Real(io), peer)),
            Self::Simulated(acceptor) => {
                acceptor.accept().await.map(|(io, peer)| (TcpStream::Simulated(io), peer))
            }
        }
    }
}

impl TcpStream {
    pub(crate) async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let Some(place) = Place::here() else {
            return tokio::net::TcpStream::connect(address).await.map(Self::Real);
        };
        let address = tokio::net::lookup_host(address).await?.next();
        let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        place.connect(address).await.map(Self::Simulated)
    }

    pub(crate) fn from_std(socket: net::TcpStream) -> io::Result<Self> {
        tokio::net::TcpStream::from_std(socket).map(Self::Real)
    }

    pub(crate) fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Self::Real(io) => io.set_nodelay(nodelay),
            Self::Simulated(_) => Ok(()),
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Real(io) => io.readable().await,
            Self::Simulated(socket) => {
                socket.readable().await;
                Ok(())
            }
        }
    }

    pub(crate) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Real(io) => io.peek(buf).await,
            Self::Simulated(socket) => {
                socket.readable().await;
                Ok(buf.len())
            }
        }
    }

    pub(crate) fn try_read_buf(&self, buf: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Real(io) => io.try_read_buf(buf),
            Self::Simulated(socket) => socket.try_read_buf(buf),
        }
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.real().writable().await
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.real().try_read(buf)
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.real().try_write(buf)
    }

    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        io: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.real().async_io(interest, io).await
    }

    fn real(&self) -> &tokio::net::TcpStream {
        match self {
            Self::Real(io) => io,
            Self::Simulated(_) => panic!("the kernel moves no bytes of a simulated connection"),
        }
    }
}

/// As the one outside of tests; a simulated listener has no queue.
pub(crate) fn take_queued(listener: &TcpListener) -> io::Result<(socket2::Socket, SockAddr)> {
    match listener {
        TcpListener::Real(listener) => SockRef::from(listener).accept(),
        TcpListener::Simulated(_) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// As the one outside of tests.
pub(crate) fn set_backlog(listener: &TcpListener, length: i32) -> io::Result<()> {
    match listener {
        TcpListener::Real(listener) => SockRef::from(listener).listen(length),
        TcpListener::Simulated(_) => Ok(()),
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.real().as_fd()
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Real(io) => Pin::new(io).poll_read(cx, buf),
            Self::Simulated(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Real(io) => Pin::new(io).poll_write(cx, buf),
            Self::Simulated(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Real(io) => Pin::new(io).poll_flush(cx),
            Self::Simulated(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Real(io) => Pin::new(io).poll_shutdown(cx),
            Self::Simulated(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Real(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Simulated(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Real(io) => io.is_write_vectored(),
            Self::Simulated(socket) => socket.is_write_vectored(),
        }
    }
}
