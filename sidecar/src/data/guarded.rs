//! A client's stream as the HTTP server sees it. It notes what moves, for the sweep; and it gives the server's own
//! answers to what is not HTTP the name and text that all our answers have: whatever is written while no call is
//! being answered comes from the server itself.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weft_model::error_code::ErrorCode;

use super::caller::Watch;
use crate::{local_error, stream::Stream};

/// Where the status stands in an HTTP/1 answer: `HTTP/1.1 400`.
const STATUS_AT: std::ops::Range<usize> = 9..12;

/// See the module.
#[derive(Debug)]
pub(crate) struct Guarded {
    stream: Stream,
    watch: Arc<Watch>,
    /// What the server refused by itself, for whoever counts it.
    refused: Option<Arc<Refused>>,
    /// What is left to write of our own answer.
    own: &'static [u8],
}

/// A refusal by the HTTP server itself.
#[derive(Debug, Default)]
pub(crate) struct Refused(AtomicU8);

impl Refused {
    /// The name of the refusal, if there was one.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self.0.load(Relaxed) {
            1 => Some(ErrorCode::BadRequest),
            2 => Some(ErrorCode::HeaderTooLarge),
            _ => None,
        }
    }
}

impl Guarded {
    pub(crate) fn new(stream: Stream, watch: Arc<Watch>, refused: Option<Arc<Refused>>) -> Self {
        Self { stream, watch, refused, own: &[] }
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.stream
    }

    /// Our words in place of the server's own, where `bytes` are those.
    fn put_in_our_words(&mut self, bytes: &[u8]) -> bool {
        let Some(refused) = &self.refused else { return false };
        if self.watch.is_answering() || refused.code().is_some() {
            return false;
        }
        let (mark, code) = match bytes.get(STATUS_AT) {
            Some(b"431" | b"414") => (2, ErrorCode::HeaderTooLarge),
            Some(b"400") => (1, ErrorCode::BadRequest),
            _ => return false,
        };
        refused.0.store(mark, Relaxed);
        self.own = local_error::raw(code);
        true
    }

    fn poll_write_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.own))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own = self.own.get(written..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.watch.note_written(*bytes),
            Poll::Pending => self.watch.write_waits.store(true, Relaxed),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match read {
            Poll::Ready(_) => self.watch.note_read(buf.filled().len() - before),
            Poll::Pending => self.watch.read_waits.store(true, Relaxed),
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.put_in_our_words(buf) {
            // Ours is written by the flush that follows.
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bufs.first()
            && self.put_in_our_words(first)
        {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.own.is_empty() {
            ready!(self.poll_write_own(cx))?;
        }
        self.watch.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.own.is_empty() {
            ready!(self.poll_write_own(cx))?;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
