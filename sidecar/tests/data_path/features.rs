//! What HTTP/1 has beside requests and answers: expectations, hints, trailers, chunks, its older version; and what
//! is said of the way a message took. Bytes on the wire, on both sides.

use std::{net::SocketAddr, time::Duration};

use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use weft_model::{endpoint::Protocol, policy::Policy};
use weft_sidecar::{
    config::SidecarConfig,
    limits::{Forwarded, HeaderPolicy, Limits},
};

use crate::{
    edges::raw,
    mesh::{DEADLINE, Sidecar, config, endpoint, hosting, request, send, until, upstream},
};

/// An application that a test plays itself: each connection's bytes, by hand.
struct Played {
    address: SocketAddr,
    connections: mpsc::Receiver<TcpStream>,
}

impl Played {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                if sender.send(io).await.is_err() {
                    return;
                }
            }
        });
        Self { address, connections }
    }

    async fn next(&mut self) -> TcpStream {
        timeout(DEADLINE, self.connections.recv()).await.unwrap().unwrap()
    }

    /// A caller's sidecar and the application's own.
    fn mesh(&self, change: impl Fn(&mut SidecarConfig)) -> (Sidecar, Sidecar) {
        let mut here = hosting("orders", self.address, Protocol::Http);
        let mut there = config();
        change(&mut here);
        change(&mut there);
        let sidecar = Sidecar::start(here);
        let caller = Sidecar::start(there);
        caller.publish("orders", vec![endpoint("orders", "1", self.address, Some(sidecar.inbound))]);
        (caller, sidecar)
    }
}

/// Reads until what was read ends so.
async fn read_until(io: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let next = timeout(DEADLINE, io.read_u8()).await;
        let next = next.unwrap_or_else(|_| panic!("no more after {:?}", String::from_utf8_lossy(&read)));
        read.push(next.unwrap());
    }
    String::from_utf8(read).unwrap()
}

async fn connect(to: SocketAddr, sent: &str) -> TcpStream {
    let mut io = TcpStream::connect(to).await.unwrap();
    io.write_all(sent.as_bytes()).await.unwrap();
    io
}

const EXPECTS: &str = "POST / HTTP/1.1\r\nhost: orders\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

#[tokio::test]
async fn a_body_is_sent_when_the_application_says_continue_and_no_sooner() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    let mut client = connect(caller.outbound, EXPECTS).await;
    let mut io = app.next().await;
    let head = read_until(&mut io, "\r\n\r\n").await;
    assert!(head.contains("expect: 100-continue"), "{head}");
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(100), client.read(&mut byte)).await.is_err(), "nobody said it");
    io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"body").await.unwrap();
    assert_eq!(read_until(&mut io, "body").await, "body");
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_body_that_the_application_refuses_unseen_is_never_asked_for() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    let mut client = connect(caller.outbound, EXPECTS).await;
    let mut io = app.next().await;
    read_until(&mut io, "\r\n\r\n").await;
    io.write_all(b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let answer = read_until(&mut client, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 417") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn an_application_that_knows_no_expectations_is_sent_the_body_in_the_end() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    let mut client = connect(caller.outbound, EXPECTS).await;
    let mut io = app.next().await;
    read_until(&mut io, "\r\n\r\n").await;
    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    client.write_all(b"body").await.unwrap();
    assert_eq!(read_until(&mut io, "body").await, "body");
}

#[tokio::test]
async fn hints_are_dropped_and_counted() {
    let mut app = Played::start().await;
    let (caller, sidecar) = app.mesh(|_| {});
    let mut client = connect(caller.outbound, "GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await;
    let mut io = app.next().await;
    read_until(&mut io, "\r\n\r\n").await;
    let hints = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    io.write_all(hints.as_bytes()).await.unwrap();
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    let answer = read_until(&mut client, "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("link"), "{answer}");
    until("counted", || sidecar.scrape().contains("weft_informational_responses_dropped_total 2")).await;
}

#[tokio::test]
async fn chunks_and_trailers_pass_both_ways() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    let sent = "POST / HTTP/1.1\r\nhost: orders\r\nte: trailers\r\ntrailer: x-sum\r\n\
                transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n";
    let mut client = connect(caller.outbound, sent).await;
    let mut io = app.next().await;
    let got = read_until(&mut io, "x-sum: 1\r\n\r\n").await;
    assert!(got.contains("transfer-encoding: chunked") && got.contains("te: trailers"), "{got}");
    assert!(got.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"), "{got}");
    let answer = "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
                  2\r\nde\r\n0\r\nx-sum: 2\r\n\r\n";
    io.write_all(answer.as_bytes()).await.unwrap();
    let got = read_until(&mut client, "x-sum: 2\r\n\r\n").await;
    assert!(got.contains("trailer: x-sum") && got.contains("\r\n\r\n2\r\nde\r\n0\r\n"), "{got}");
}

#[tokio::test]
async fn an_older_client_is_answered_in_its_own_way() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    // It knows no chunks: the end of the connection is the end of its answer. An expectation is none of its.
    let old = "POST / HTTP/1.0\r\nhost: orders\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\na";
    let mut client = connect(caller.outbound, old).await;
    let mut io = app.next().await;
    let head = read_until(&mut io, "\r\n\r\na").await;
    assert!(head.starts_with("POST / HTTP/1.1\r\n") && !head.contains("expect"), "{head}");
    io.write_all(chunked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    // One that asks to stay, and gets a length, may.
    let keeps = "GET / HTTP/1.0\r\nhost: orders\r\nconnection: keep-alive\r\n\r\n";
    let mut client = connect(caller.outbound, keeps).await;
    for round in 0..2 {
        if round > 0 {
            client.write_all(keeps.as_bytes()).await.unwrap();
        }
        read_until(&mut io, "\r\n\r\n").await;
        io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        let answer = read_until(&mut client, "ok").await.to_lowercase();
        assert!(answer.starts_with("http/1.0 200") && answer.contains("connection: keep-alive"), "{answer}");
    }
}

#[tokio::test]
async fn an_older_application_is_understood_and_its_connection_is_not_used_again() {
    let mut app = Played::start().await;
    let (caller, _sidecar) = app.mesh(|_| {});
    for answer in ["HTTP/1.0 200 OK\r\n\r\nok", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"] {
        let mut client = connect(caller.outbound, "GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await;
        let mut io = app.next().await;
        read_until(&mut io, "\r\n\r\n").await;
        io.write_all(answer.as_bytes()).await.unwrap();
        drop(io);
        // The first has no length to tell, so it comes in chunks.
        let got = read_until(&mut client, if answer.contains("length") { "ok" } else { "0\r\n\r\n" }).await;
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.contains("ok"), "{got}");
    }
}

#[tokio::test]
async fn nothing_is_said_of_the_way_unless_the_settings_ask_for_it() {
    let came = "GET /a HTTP/1.1\r\nhost: orders\r\nx-forwarded-for: 1.2.3.4\r\nconnection: close\r\n\r\n";
    let said = HeaderPolicy { via: Some("weft".into()), forwarded: Forwarded::Append };
    for (headers, address, via) in
        [(HeaderPolicy::default(), "1.2.3.4", ""), (said, "1.2.3.4, 127.0.0.1", "1.1 weft")]
    {
        let mut app = Played::start().await;
        let (caller, _sidecar) = app.mesh(|config| config.headers = headers.clone());
        let asking = tokio::spawn(raw_owned(caller.outbound, came));
        let mut io = app.next().await;
        let head = read_until(&mut io, "\r\n\r\n").await;
        assert!(head.contains(&format!("x-forwarded-for: {address}\r\n")), "{head}");
        assert_eq!(head.contains("x-forwarded-proto: http\r\n"), !via.is_empty(), "{head}");
        // Both sidecars are named, in both directions.
        assert_eq!(head.matches(&format!("via: {via}\r\n")).count(), via.len().min(2), "{head}");
        io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let answer = asking.await.unwrap();
        assert_eq!(answer.matches(&format!("via: {via}\r\n")).count(), via.len().min(2), "{answer}");
    }
}

async fn raw_owned(to: SocketAddr, bytes: &'static str) -> String {
    raw(to, bytes).await
}

#[tokio::test]
async fn a_place_outside_the_mesh_has_the_policys_time_and_no_more() {
    let mut app = Played::start().await;
    let mut policy = Policy::default();
    policy.timeouts.total = Some(Duration::from_millis(200));
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    for (deadline, status, code) in [("9000", 504, "upstream-timeout"), ("50", 504, "deadline-exceeded")] {
        let uri = format!("http://{}/x", app.address);
        let asked = request("GET", "x").uri(uri).header("weft-deadline", deadline);
        let got = send(caller.outbound, asked.body(Full::default()).unwrap()).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
        drop(app.next().await);
    }
}

#[tokio::test]
async fn a_relay_that_breaks_off_says_which_side_it_was_and_a_silent_one_ends() {
    let mut app = Played::start().await;
    let limits = Limits { relay_idle_timeout: Some(Duration::from_millis(300)), ..Limits::default() };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let caller = Sidecar::start(SidecarConfig {
        upstreams: vec![upstream("db", Protocol::Tcp)],
        access_log: weft_sidecar::config::AccessLog::File(path.clone()),
        limits,
        ..config()
    });
    caller.publish("db", vec![endpoint("db", "1", app.address, None)]);
    let records = || std::fs::read_to_string(&path).unwrap_or_default();
    // The client goes.
    let client = connect(caller.upstreams[0], "a").await;
    let mut io = app.next().await;
    read_until(&mut io, "a").await;
    let reset = |io: &TcpStream| socket2::SockRef::from(io).set_linger(Some(Duration::ZERO)).unwrap();
    reset(&client);
    drop(client);
    until("the client's doing", || records().contains(r#""cancelled":true"#)).await;
    // The application goes.
    let _client = connect(caller.upstreams[0], "a").await;
    let mut io = app.next().await;
    read_until(&mut io, "a").await;
    reset(&io);
    drop(io);
    until("the application's doing", || records().contains(r#""weft-error":"upstream-reset""#)).await;
    // Nobody does anything.
    let mut client = connect(caller.upstreams[0], "a").await;
    let _io = app.next().await;
    let mut byte = [0];
    assert_eq!(timeout(DEADLINE, client.read(&mut byte)).await.unwrap().unwrap(), 0);
}
