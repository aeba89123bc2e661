//! Serving HTTP on what was accepted: the same for outbound, inbound and upstream ports.
//!
//! ```text
//!  HTTP/1:  serve ──idle for a while──▶ rest: no buffers, only the socket ──readable──▶ serve
//! ```

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use weft_model::error_code::ErrorCode;

use super::{
    Phase,
    caller::Caller,
    guarded::{Guarded, Refused},
    thread::Thread,
};
use crate::{
    body::ResponseBody,
    clock,
    exec::LocalExec,
    forward,
    limits::{HEADER_COUNT_MAX, Limits},
    metrics::OwnMetrics,
    pool::{Age, Wire},
    record::RecordGuard,
    stream::Stream,
    unread::{CallerBody, REST_TIME_MAX, Unread},
};

/// What one stream may have under way to us, in bytes.
const H2_STREAM_WINDOW: u32 = 256 * 1_024;
/// What all streams of one connection may, in bytes.
const H2_CONNECTION_WINDOW: u32 = 1_024 * 1_024;
/// What we keep for one stream that its client does not take, in bytes; beyond it the answer's source waits.
const H2_SEND_BUFFER: usize = 64 * 1_024;
/// Frames to streams that are gone, and other errors of a client that cost it a stream, before they cost it the
/// connection, in all its life. What was under way when a long body was no more read is among them (see
/// [`crate::unread`]), so they are more than the library's 1,024; each may wait to be told to a client that does not
/// read, until the sweep ends it.
const H2_STREAM_ERRORS_MAX: usize = 16 * 1_024;

/// What is still read of an HTTP/1 client that was refused, at most, in bytes.
const LINGER_BYTES_MAX: usize = 1_024 * 1_024;

/// When the clients of a connection are asked to go: HTTP/2's by GOAWAY, HTTP/1's by `connection: close`; what
/// is under way is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stay {
    /// Inbound others have to go elsewhere; outbound the application has nowhere else to go.
    pub(crate) ends_with_drain: bool,
    /// However it stands with us, so that a client that keeps its connection for ever comes to new replicas.
    pub(crate) age_max: Option<Duration>,
}

/// What a connection is, beside its bytes.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) caller: Rc<Caller>,
    pub(crate) wire: Wire,
    pub(crate) stay: Stay,
    /// Where a refusal is counted that no call has seen.
    pub(crate) metrics: Rc<OwnMetrics>,
}

/// Serves HTTP until the client goes, or is asked to.
pub(crate) async fn http<F>(
    thread: &Rc<Thread>,
    stream: Stream,
    served: Served,
    call: impl Fn(Request<CallerBody>) -> F,
) where
    F: Future<Output = Response<ResponseBody>> + 'static,
{
    // On the heap, in the place where it stays: the future of a call is too large to be moved from hand to hand.
    let until = served.stay.age_max.map(|age_max| Instant::now() + Age::new(clock::now()).of(age_max));
    let close_at = until.filter(|_| served.wire == Wire::Http1);
    let answer = |request| Answer { call: Box::pin(call(request)), close_at };
    let result = if served.wire == Wire::Http2 {
        // On the heap, as what follows for HTTP/1: a connection that has said nothing yet needs no room for it.
        Box::pin(serve_h2(thread, stream, &served, until, answer)).await
    } else {
        serve_h1(thread, stream, &served, answer).await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "client connection ended");
    }
}

/// A call is always answered: its failures are answers too.
struct Answer<F> {
    call: Pin<Box<F>>,
    /// The client is asked to leave by answers from then on.
    close_at: Option<Instant>,
}

impl<F: Future<Output = Response<ResponseBody>>> Future for Answer<F> {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let close_at = self.close_at;
        self.call.as_mut().poll(cx).map(|mut response| {
            let is_old = close_at.is_some_and(|close_at| Instant::now() >= close_at);
            if is_old && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                forward::say_close(&mut response);
            }
            Ok(response)
        })
    }
}

async fn serve_h1<F>(
    thread: &Rc<Thread>,
    mut stream: Stream,
    served: &Served,
    answer: impl Fn(Request<CallerBody>) -> F,
) -> hyper::Result<()>
where
    F: Future<Output = Result<Response<ResponseBody>, Infallible>> + 'static,
{
    let builder = h1_server(&thread.config.limits);
    let caller = &served.caller;
    let refused = Arc::new(Refused::default());
    caller.serve_serially(&own_waker().await);
    let service = service_fn(|request: Request<Incoming>| answer(request.map(CallerBody::serial)));
    loop {
        let io = Guarded::new(stream, Arc::clone(&caller.watch), Some(Arc::clone(&refused)));
        // In a scope of its own, so that nothing of the server is left while the connection rests: its buffers are
        // most of what a connection costs.
        stream = {
            // On the heap, so that a connection at rest does not hold the space.
            let mut server = Box::new(builder.serve_connection(TokioIo::new(io), &service).with_upgrades());
            let ended = poll_fn(|cx| match caller.rests() {
                true => Poll::Ready(None),
                false => Pin::new(&mut *server).poll(cx).map(Some),
            });
            let ended = ended.await;
            let stream = (*server).into_parts().map(only_the_stream);
            if let Some(result) = ended {
                let refusal = refused.code();
                if let Some(code) = refusal {
                    record_refusal(thread, served, code);
                }
                if let Some(stream) = stream.filter(|_| refusal.is_some() || caller.was_answered_early()) {
                    linger(stream).await;
                }
                return result;
            }
            let Some(stream) = stream else { return Ok(()) };
            stream
        };
        tracing::trace!(peer = %caller.peer, "connection rests");
        stream.readable().await;
        caller.wake_up();
    }
}

fn only_the_stream<S>(parts: http1::Parts<TokioIo<Guarded>, S>) -> Stream {
    let mut stream = parts.io.into_inner().into_inner();
    stream.give_back(&parts.read_buf);
    stream
}

/// Takes what a client still sends that was refused, or answered before all was read: to close with bytes unread would reset the connection, and the answer
/// might be lost with it (RFC 9112 section 9.6).
async fn linger(mut stream: Stream) {
    let mut left = LINGER_BYTES_MAX;
    let drain = async {
        while left > 0 {
            let length = stream.ahead().len();
            stream.consume(length);
            match stream.read_ahead().await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    // Whoever goes on for longer has had its answer.
    let _ = tokio::time::timeout(REST_TIME_MAX, drain).await;
}

/// What was no request has a record nevertheless.
fn record_refusal(thread: &Rc<Thread>, served: &Served, code: ErrorCode) {
    let mut record = RecordGuard::begin(&thread.recorder, &served.metrics, None);
    record.status = code.http_status();
    record.fail(code);
}

async fn serve_h2<F>(
    thread: &Rc<Thread>,
    stream: Stream,
    served: &Served,
    until: Option<Instant>,
    answer: impl Fn(Request<CallerBody>) -> F,
) -> hyper::Result<()>
where
    F: Future<Output = Result<Response<ResponseBody>, Infallible>> + 'static,
{
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&served.caller.watch), None));
    let unread = Rc::new(Unread::new(own_waker().await, H2_STREAM_WINDOW.into()));
    let service = service_fn(|request: Request<Incoming>| {
        answer(request.map(|incoming| CallerBody::on_stream(incoming, &unread)))
    });
    let mut server = pin!(h2_server(&thread.config.limits).serve_connection(io, service));
    let mut leave = pin!(leave(thread, served.stay, until));
    let mut asked_to_go = false;
    poll_fn(|cx| {
        // The connection first: one that has ended need not be asked to go.
        if let Poll::Ready(result) = server.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        unread.poll(cx);
        if !asked_to_go && leave.as_mut().poll(cx).is_ready() {
            asked_to_go = true;
            server.as_mut().graceful_shutdown();
            return server.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

/// Of the task that serves.
async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Until the clients of a connection are to be asked to go.
async fn leave(thread: &Thread, stay: Stay, until: Option<Instant>) {
    let mut phase = thread.phase.clone();
    let drain = async {
        if stay.ends_with_drain {
            // An error means the end, which drops this connection anyway.
            drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
        } else {
            std::future::pending::<()>().await;
        }
    };
    let Some(until) = until else { return drain.await };
    // Whichever comes first.
    drop(tokio::time::timeout_at(until, drain).await);
}

/// No time limit of its own: the thread's sweep has them, without a timer a request.
fn h1_server(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes_read())
        // The application's own date passes; we add none.
        .auto_date_header(false);
    if limits.header_count_max != HEADER_COUNT_MAX {
        // Said only where it is another than the reader's own, which needs no memory.
        builder.max_headers(limits.header_count_max);
    }
    builder
}

/// It asks no client whether it lives: the kernel does (see `weft_runtime::listen`), without a clock read a frame.
fn h2_server(limits: &Limits) -> http2::Builder<LocalExec> {
    let mut builder = http2::Builder::new(LocalExec);
    builder
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams_max)
        .max_pending_accept_reset_streams(limits.stream_resets_max)
        .max_local_error_reset_streams(H2_STREAM_ERRORS_MAX)
        .max_header_list_size(u32::try_from(limits.header_bytes_read()).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_SEND_BUFFER)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .enable_connect_protocol();
    builder
}
