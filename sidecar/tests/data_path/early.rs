//! HTTP/2 whose two sides cross: requests that are answered before their bodies have come, answers that come after
//! the call was given up. Frames are written by hand: a library sends no more once it has heard that nobody reads it,
//! and which of both is first is chance.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use http_body_util::{Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weft_model::policy::Policy;
use weft_sidecar::config::SidecarConfig;

use crate::mesh::{App, DEADLINE, Replica, Sidecar, collect, config, endpoint, until};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:method: POST`, `:scheme: http`, `:path: /` of the static table, and `:authority: orders` (RFC 7541).
const HEAD: &[u8] = b"\x83\x86\x84\x01\x06orders";
/// The same, and the method PUT.
const PUT_HEAD: &[u8] = b"\x02\x03PUT\x86\x84\x01\x06orders";
/// `:status: 200`, and 503.
const OK: &[u8] = b"\x88";
const UNAVAILABLE: &[u8] = b"\x08\x03503";
/// `SETTINGS_MAX_CONCURRENT_STREAMS`.
const TWO_STREAMS: &[u8] = &[0, 3, 0, 0, 0, 2];
/// [`HEAD`], and `content-length: 262145`, one more than is read.
const LONG_HEAD: &[u8] = b"\x83\x86\x84\x01\x06orders\x0f\x0d\x06262145";
/// Frames to a stream that is forgotten, of which the library forgives a connection so many in all its life.
const FORGIVEN: usize = 1_024;
/// Streams that it does not forget for a second, where nothing else is said.
const REMEMBERED: usize = 50;
/// Of a body without end, in bytes.
const FRAME: usize = 16_384;
/// What is read of a body that has its answer.
const REST_BYTES_MAX: usize = 256 * 1_024;

/// A connection to a sidecar.
struct Raw {
    io: TcpStream,
    /// The next.
    stream: u32,
    /// Streams that the other side has reset so far.
    resets: usize,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Raw {
    async fn to(sidecar: &Sidecar) -> Self {
        let mut io = TcpStream::connect(sidecar.outbound).await.unwrap();
        io.write_all(PREFACE).await.unwrap();
        Self::begin(io, b"").await
    }

    /// The server's side of a connection.
    async fn of(mut io: TcpStream, settings: &[u8]) -> Self {
        io.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        Self::begin(io, settings).await
    }

    async fn begin(io: TcpStream, settings: &[u8]) -> Self {
        io.set_nodelay(true).unwrap();
        let mut raw = Self { io, stream: 1, resets: 0 };
        raw.send(SETTINGS, 0, 0, settings).await;
        raw
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.io.write_all(&frame).await.unwrap();
    }

    /// The next frame; nothing where the connection has ended.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        timeout(DEADLINE, self.io.read_exact(&mut head)).await.unwrap().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        timeout(DEADLINE, self.io.read_exact(&mut payload)).await.unwrap().ok()?;
        self.resets += usize::from(kind == RST_STREAM);
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Sends a head, and waits for the whole answer to it. Its stream.
    async fn answered_early(&mut self, head: &[u8]) -> u32 {
        let stream = self.stream;
        self.stream += 2;
        self.send(HEADERS, END_HEADERS, stream, head).await;
        loop {
            let frame = self.next().await.unwrap();
            assert_ne!(frame.kind, GOAWAY, "{:?}", String::from_utf8_lossy(&frame.payload));
            if frame.stream == stream && frame.flags & END_STREAM > 0 && frame.kind <= HEADERS {
                return stream;
            }
        }
    }

    /// Waits until so many streams are reset, without an error. Which, in the order of that.
    async fn resets(&mut self, count: usize) -> Vec<u32> {
        let mut streams = Vec::new();
        while streams.len() < count {
            let frame = self.next().await.unwrap();
            if frame.kind == RST_STREAM {
                assert_eq!(frame.payload, [0; 4]);
                streams.push(frame.stream);
            }
        }
        streams
    }
}

async fn mesh() -> (Replica, Sidecar) {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::calling("orders", &[&replica]);
    (replica, caller)
}

#[tokio::test]
async fn a_body_that_comes_after_its_answer_finds_its_stream() {
    let (replica, caller) = mesh().await;
    let mut raw = Raw::to(&caller).await;
    for _ in 0..4 * REMEMBERED {
        let stream = raw.answered_early(HEAD).await;
        raw.send(DATA, END_STREAM, stream, b"work").await;
    }
    // None was reset: neither because nobody reads it, nor because it is gone, of which the library forgives a
    // connection only so many.
    raw.answered_early(HEAD).await;
    assert_eq!((raw.resets, replica.app.count()), (0, 4 * REMEMBERED + 1));
}

#[tokio::test]
async fn a_stream_whose_body_does_not_end_is_reset_after_a_second_and_a_long_one_at_once() {
    let (_replica, caller) = mesh().await;
    let mut raw = Raw::to(&caller).await;
    let began = Instant::now();
    let standing = raw.answered_early(HEAD).await;
    let long = raw.answered_early(LONG_HEAD).await;
    assert_eq!(raw.resets(2).await, [long, standing]);
    assert!(began.elapsed().as_millis() >= 1_000, "{:?}", began.elapsed());
    // The connection goes on.
    raw.answered_early(HEAD).await;
}

#[tokio::test]
async fn a_body_without_end_is_read_for_a_window_of_each_sidecar() {
    let (_replica, caller) = mesh().await;
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let endless = futures_util::stream::repeat_with(move || {
        counter.fetch_add(FRAME, Ordering::SeqCst);
        Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from_static(&[0; FRAME])))
    });
    let post = Request::post("http://orders/").body(StreamBody::new(endless)).unwrap();
    let got = collect(timeout(DEADLINE, sender.send_request(post)).await.unwrap().unwrap()).await;
    assert_eq!(got.status, 200);
    until("the body is dropped", || Arc::strong_count(&sent) == 1).await;
    // Each of the two sidecars reads so much, beside what was under way.
    let sent = sent.load(Ordering::SeqCst);
    assert!((2 * REST_BYTES_MAX..12 * REST_BYTES_MAX).contains(&sent), "{sent}");
}

/// An application that goes by frames, and what it saw.
#[derive(Default)]
struct Frames {
    connections: AtomicUsize,
    given_up: AtomicUsize,
    bodies: AtomicUsize,
}

impl Frames {
    /// `answer` says what is sent back for a frame.
    async fn start(
        self: &Arc<Self>,
        settings: &'static [u8],
        answer: impl Fn(&Frame) -> Option<&'static [u8]> + Send + Sync + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, frames, answer) = (listener.local_addr().unwrap(), Arc::clone(self), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                frames.connections.fetch_add(1, Ordering::SeqCst);
                let (frames, answer) = (Arc::clone(&frames), Arc::clone(&answer));
                tokio::spawn(async move { frames.serve(Raw::of(io, settings).await, &*answer).await });
            }
        });
        address
    }

    async fn serve(&self, mut raw: Raw, answer: &(dyn Fn(&Frame) -> Option<&'static [u8]> + Send + Sync)) {
        while let Some(frame) = raw.next().await {
            let is_whole = frame.kind == DATA && frame.flags & END_STREAM > 0;
            self.bodies.fetch_add(usize::from(is_whole), Ordering::SeqCst);
            self.given_up.fetch_add(usize::from(frame.kind == RST_STREAM), Ordering::SeqCst);
            if let Some(head) = answer(&frame) {
                raw.send(HEADERS, END_HEADERS | END_STREAM, frame.stream, head).await;
            }
        }
    }
}

/// A caller of an application without a sidecar.
fn plain_caller(application: SocketAddr, policy: Policy) -> Sidecar {
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![endpoint("orders", "1", application, None)]);
    caller
}

#[tokio::test]
async fn a_connection_lasts_however_many_answers_come_after_their_calls() {
    let (late, is_well) = (Arc::new(Frames::default()), Arc::new(AtomicBool::new(false)));
    let well = Arc::clone(&is_well);
    let answer = move |frame: &Frame| {
        let is_called = frame.kind == HEADERS && well.load(Ordering::SeqCst);
        (is_called || frame.kind == RST_STREAM).then_some(OK)
    };
    let caller = plain_caller(late.start(b"", answer).await, Policy::default());
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let call = |deadline: &str| {
        let get = Request::get("http://orders/").header("weft-deadline", deadline);
        let answer = sender.clone().send_request(get.body(Full::<Bytes>::default()).unwrap());
        async move {
            let got = collect(timeout(DEADLINE, answer).await.unwrap().unwrap()).await;
            (got.status, got.header("weft-error").to_owned())
        }
    };
    let begun = Instant::now();
    // A busy machine may give up a call before it is sent.
    let enough = || FORGIVEN + REMEMBERED * (1 + usize::try_from(begun.elapsed().as_secs()).unwrap());
    while late.given_up.load(Ordering::SeqCst) <= enough() {
        let mut answers = futures_util::stream::iter((0..50).map(|_| call("20"))).buffer_unordered(50);
        while let Some(answer) = answers.next().await {
            assert_eq!(answer, (504, "deadline-exceeded".to_owned()));
        }
        assert!(begun.elapsed() < DEADLINE, "{:?}", late.given_up);
    }
    is_well.store(true, Ordering::SeqCst);
    assert_eq!(call("5000").await, (200, String::new()));
    assert_eq!(late.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_is_open_until_its_body_has_ended_too() {
    let early = Arc::new(Frames::default());
    let answer = |frame: &Frame| (frame.kind == HEADERS).then_some(OK);
    let caller = plain_caller(early.start(TWO_STREAMS, answer).await, Policy::default());
    let mut raw = Raw::to(&caller).await;
    let mut streams = Vec::new();
    for connections in [1, 1, 2] {
        streams.push(raw.answered_early(HEAD).await);
        assert_eq!(early.connections.load(Ordering::SeqCst), connections);
    }
    for stream in streams {
        raw.send(DATA, END_STREAM, stream, b"work").await;
    }
    until("the bodies have come", || early.bodies.load(Ordering::SeqCst) == 3).await;
    for _ in 0..4 {
        raw.answered_early(HEAD).await;
    }
    assert_eq!(early.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_attempt_whose_body_another_sends_is_given_up() {
    let busy = Arc::new(Frames::default());
    let answer =
        |frame: &Frame| (frame.kind == HEADERS).then_some(if frame.stream == 1 { UNAVAILABLE } else { OK });
    let mut policy = Policy::default();
    policy.retry.on.statuses = vec![503];
    let caller = plain_caller(busy.start(b"", answer).await, policy);
    let mut raw = Raw::to(&caller).await;
    let stream = raw.answered_early(PUT_HEAD).await;
    until("the first attempt is given up", || busy.given_up.load(Ordering::SeqCst) == 1).await;
    raw.send(DATA, END_STREAM, stream, b"work").await;
    until("the second has the body", || busy.bodies.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_connection_with_no_more_than_bodies_makes_room_for_another() {
    let early = Arc::new(Frames::default());
    let answer = |frame: &Frame| (frame.kind == HEADERS).then_some(OK);
    let mut policy = Policy::default();
    policy.limits.connections_per_endpoint = Some(1);
    let caller = plain_caller(early.start(TWO_STREAMS, answer).await, policy);
    let mut raw = Raw::to(&caller).await;
    for connections in [1, 1, 2] {
        raw.answered_early(HEAD).await;
        assert_eq!(early.connections.load(Ordering::SeqCst), connections);
    }
}
