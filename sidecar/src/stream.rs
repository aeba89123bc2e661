//! A TCP connection whose first bytes were read to see what is spoken: they are given again to whoever
//! serves it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{self, TcpStream};

/// How much is read at once while detecting: a usual request head fits.
const READ_SIZE: usize = 4 * 1_024;

/// The stream, and the bytes that were read ahead.
#[derive(Debug)]
pub(crate) struct Stream {
    ahead: BytesMut,
    io: TcpStream,
}

impl Stream {
    /// With nothing read ahead. Small writes are sent at once: a proxy adds no delay of its own.
    pub(crate) fn new(io: TcpStream) -> Self {
        // An error here means that the peer is gone already; the next read says so.
        let _ = io.set_nodelay(true);
        Self { ahead: BytesMut::new(), io }
    }

    /// The bytes read ahead.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes away the first of them.
    pub(crate) fn consume(&mut self, length: usize) {
        self.ahead.advance(length.min(self.ahead.len()));
    }

    /// Puts bytes in front of those that are still to come.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let mut ahead = BytesMut::from(bytes);
            ahead.extend_from_slice(&self.ahead);
            self.ahead = ahead;
        }
    }

    /// Waits until there is something to read, or an end; it takes no memory meanwhile.
    pub(crate) async fn readable(&self) {
        if self.ahead.is_empty() {
            // An error shows at the next read.
            let _ = self.io.readable().await;
        }
    }

    /// Reads more of them; 0 is the end of the stream. Cancel safe.
    ///
    /// # Errors
    /// As the socket's.
    pub(crate) async fn read_ahead(&mut self) -> io::Result<usize> {
        loop {
            self.io.readable().await?;
            // Only now: a client that says nothing costs no buffer.
            self.ahead.reserve(READ_SIZE);
            match self.io.try_read_buf(&mut self.ahead) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// The bytes read ahead, and the socket.
    pub(crate) fn into_parts(self) -> (Bytes, TcpStream) {
        (self.ahead.freeze(), self.io)
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
        if self.ahead.is_empty() {
            // Its memory goes with it.
            self.ahead = BytesMut::new();
        }
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
        net::write_parts(Pin::new(&mut self.io), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
