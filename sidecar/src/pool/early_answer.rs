//! The connection of an HTTP/1 exchange whose server may answer and close before it has read the whole request,
//! as many do with a body that they refuse. A write then fails while the answer is there to be read; who gives up
//! at the failed write never hears it. So what can no longer be sent is dropped, and the reading side tells how
//! the exchange ended: by an answer, or by the end of the stream.
//!
//! What passes here as well are answers before the answer (RFC 9110 section 15.2). `100` and `101` mean something to
//! the caller; others are hints for browsers, which the library drops, and they are counted here.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    metrics::ConnectionMetrics,
    net::{self, TcpStream},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct EarlyAnswer {
    io: TcpStream,
    metrics: Arc<ConnectionMetrics>,
    /// The other side reads no more.
    is_deaf: bool,
}

impl EarlyAnswer {
    pub(super) fn new(io: TcpStream, metrics: Arc<ConnectionMetrics>) -> Self {
        Self { io, metrics, is_deaf: false }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.io
    }

    /// A failed write counts as done from here on.
    fn forgive(&mut self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.is_deaf = true;
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }
}

/// How many answers that are dropped stand at the start of what was read. One that is split over two reads is
/// not seen; servers send such a head whole.
fn hints(mut read: &[u8]) -> u64 {
    let mut count = 0;
    while let Some([tens, ones, ..]) = read.strip_prefix(b"HTTP/1.1 1") {
        let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { break };
        let is_carried = *tens == b'0' && matches!(ones, b'0' | b'1');
        count += u64::from(!is_carried);
        read = read.get(end + 4..).unwrap_or_default();
    }
    count
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl AsyncRead for EarlyAnswer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        let hints = hints(buf.filled().get(before..).unwrap_or_default());
        if hints > 0 {
            self.metrics.informational.fetch_add(hints, Relaxed);
        }
        read
    }
}

impl AsyncWrite for EarlyAnswer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.forgive(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(length));
        }
        let written = net::write_parts(Pin::new(&mut self.io), cx, bufs);
        self.forgive(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_counted_and_what_is_carried_is_not() {
        let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let processing = "HTTP/1.1 102 Processing\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 103 in a body";
        for (read, count) in [
            (answer.to_owned(), 0),
            (format!("{early}{processing}{answer}"), 2),
            (format!("HTTP/1.1 100 Continue\r\n\r\n{early}{answer}"), 1),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), 0),
            ("HTTP/1.1 10".to_owned(), 0),
        ] {
            assert_eq!(hints(read.as_bytes()), count, "{read}");
        }
    }
}
