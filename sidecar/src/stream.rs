//! A TCP connection whose first bytes were read to see what is spoken: they are given again to whoever
//! serves it.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How much is read at once while detecting: a usual request head fits.
const READ_SIZE: usize = 4 * 1_024;

/// The stream, and the bytes that were read ahead.
#[derive(Debug)]
pub(crate) struct Stream {
    ahead: BytesMut,
    io: TcpStream,
    peer: Option<IpAddr>,
}

impl Stream {
    /// With nothing read ahead. Small writes are sent at once: a proxy adds no delay of its own.
    pub(crate) fn new(io: TcpStream) -> Self {
        // An error here means that the peer is gone already; the next read says so.
        let _ = io.set_nodelay(true);
        let peer = io.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        Self { ahead: BytesMut::new(), io, peer }
    }

    /// Who is at the other end; `None` when it is gone already.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The bytes read ahead.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes away the first of them.
    pub(crate) fn consume(&mut self, length: usize) {
        self.ahead.advance(length.min(self.ahead.len()));
    }

    /// Reads more of them; 0 is the end of the stream. Cancel safe.
    ///
    /// # Errors
    /// As the socket's.
    pub(crate) async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(READ_SIZE);
        self.io.read_buf(&mut self.ahead).await
    }

    /// Reads ahead until `settle` gives an answer; `None` when the client ended or the time is over first.
    pub(crate) async fn settle<T>(
        &mut self,
        time: Duration,
        mut settle: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let read = async {
            loop {
                if let Some(settled) = settle(&self.ahead) {
                    return Some(settled);
                }
                if matches!(self.read_ahead().await, Ok(0) | Err(_)) {
                    return None;
                }
            }
        };
        tokio::time::timeout(time, read).await.ok().flatten()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
