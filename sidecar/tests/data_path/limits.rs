//! Limits by name: what a client may send, how slowly, and what becomes of one that goes beyond.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_sidecar::{config::SidecarConfig, limits::Limits};

use crate::{
    edges::{in_flight, raw, send_h2},
    mesh::{App, DEADLINE, Replica, Sidecar, config, get, request, send, text, until},
};

/// A caller's sidecar with these limits, and one replica.
fn limited(limits: Limits, replica: &Replica) -> Sidecar {
    let caller = Sidecar::start(SidecarConfig { limits, ..config() });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    caller
}

async fn reading() -> App {
    App::start(|request| {
        Box::pin(async move {
            match request.into_body().collect().await {
                Ok(body) => text(StatusCode::OK, body.to_bytes().len().to_string()),
                Err(_) => text(crate::mesh::BREAK, ""),
            }
        })
    })
    .await
}

fn counted(sidecar: &Sidecar, line: &str) -> bool {
    sidecar.scrape().lines().any(|counted| counted == line)
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_name_whether_its_length_is_told_or_not() {
    let replica = Replica::http("orders", "1", reading().await);
    let caller = limited(Limits { body_bytes_max: Some(100_000), ..Limits::default() }, &replica);
    for (length, status, code) in [(100_000, 200, ""), (100_001, 413, "body-too-large")] {
        let told = request("POST", "orders").body(Full::from(vec![b'a'; length])).unwrap();
        let got = send(caller.outbound, told).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
        let h2 = Request::post("http://orders/").body(Full::from(vec![b'a'; length])).unwrap();
        let got = send_h2(caller.outbound, h2).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
        let chunks = format!(
            "POST / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             {length:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(length)
        );
        let answer = raw(caller.outbound, &chunks).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(code.is_empty() || answer.contains(&format!("weft-error: {code}")), "{answer}");
    }
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
    let metrics = caller.scrape();
    assert!(metrics.contains(r#"code_class="4xx",error="body-too-large"}"#), "{metrics}");
}

#[tokio::test]
async fn a_target_or_a_number_of_fields_over_the_limit_is_refused_by_name() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let limits = Limits { request_line_bytes_max: 100, header_count_max: 10, ..Limits::default() };
    let caller = limited(limits, &replica);
    let long = format!("/{}", "a".repeat(100));
    let many = (0..11).fold(Request::get("http://orders/"), |head, n| head.header(format!("x-{n}"), "1"));
    let got = send_h2(caller.outbound, many.body(Full::default()).unwrap()).await;
    assert_eq!((got.status, got.header("weft-error")), (431, "header-too-large"));
    let fields: String = (0..11).map(|n| format!("x-{n}: 1\r\n")).collect();
    for head in [format!("GET {long} HTTP/1.1\r\n"), format!("GET / HTTP/1.1\r\n{fields}")] {
        let answer = raw(caller.outbound, &format!("{head}host: orders\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert!(answer.contains("weft-error: header-too-large"), "{answer}");
    }
    assert_eq!((get(caller.outbound, "orders").await.status, replica.app.count()), (200, 1));
}

#[tokio::test]
async fn what_is_no_http_is_answered_by_name_counted_and_ends_the_connection() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::calling("orders", &[&replica]);
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let uri = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    for (sent, status, code) in [
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "400 Bad Request", "bad-request"),
        ("GET / HTTP/9.9\r\n\r\n", "400 Bad Request", "bad-request"),
        (&huge, "431 Request Header Fields Too Large", "header-too-large"),
        (&uri, "431 Request Header Fields Too Large", "header-too-large"),
        (
            "GET / HTTP/1.1\r\nhost: orders\r\n\r\nGET /\x01 HTTP/1.1\r\n\r\n",
            "400 Bad Request",
            "bad-request",
        ),
    ] {
        for to in [caller.outbound, replica.sidecar.inbound] {
            let answer = raw(to, sent).await;
            let (_, last) = answer.split_at(answer.rfind("HTTP/1.1 ").unwrap_or(0));
            assert!(last.starts_with(&format!("HTTP/1.1 {status}\r\nweft-error: {code}\r\n")), "{answer}");
            assert!(last.contains(&format!("\r\n\r\n{code}: ")), "{answer}");
        }
    }
    let refused =
        r#"weft_requests_total{direction="outbound",service="",code_class="4xx",error="bad-request"} 3"#;
    until("counted", || counted(&caller, refused)).await;
    let refused = r#"weft_requests_total{direction="inbound",service="orders.default",code_class="4xx",error="header-too-large"} 2"#;
    until("counted there", || counted(&replica.sidecar, refused)).await;
}

/// Limits of a fraction of a second, each, but for those that are set over them.
fn hasty() -> Limits {
    let time = Duration::from_millis(400);
    Limits { header_timeout: time, body_timeout: time, write_timeout: time, ..Limits::default() }
}

#[tokio::test]
async fn a_head_that_drips_in_ends_the_connection() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = limited(hasty(), &replica);
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    let begun = Instant::now();
    let drip = async {
        while io.write_all(b"GET / HTTP/1.1\r\nx: y\r\n").await.is_ok() {
            let mut byte = [0];
            match timeout(Duration::from_millis(20), io.read(&mut byte)).await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => panic!("an answer to half a head"),
                Err(_) => {}
            }
        }
    };
    timeout(DEADLINE, drip).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    let line = r#"weft_connections_timed_out_total{kind="outbound",reason="head"} 1"#;
    until("counted", || counted(&caller, line)).await;
}

#[tokio::test]
async fn a_body_without_progress_ends_its_call_and_one_with_progress_does_not() {
    let replica = Replica::http("orders", "1", reading().await);
    let caller = limited(hasty(), &replica);
    let head = b"POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: 10000\r\n\r\n";
    let mut slow = TcpStream::connect(caller.outbound).await.unwrap();
    slow.write_all(head).await.unwrap();
    let mut steady = TcpStream::connect(caller.outbound).await.unwrap();
    steady.write_all(head).await.unwrap();
    for _ in 0..10 {
        steady.write_all(&[b'a'; 1_000]).await.unwrap();
        // One byte at a time is no progress.
        let _ = slow.write_all(b"a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut answer = [0; 12];
    timeout(DEADLINE, steady.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let ended = timeout(DEADLINE, slow.read(&mut answer)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
    let line = r#"weft_connections_timed_out_total{kind="outbound",reason="body"} 1"#;
    until("counted", || counted(&caller, line)).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_given_up() {
    let app = App::start(|_| Box::pin(async { text(StatusCode::OK, vec![b'a'; 30_000_000]) })).await;
    let replica = Replica::http("orders", "1", app);
    let caller = limited(hasty(), &replica);
    let mut h1 = TcpStream::connect(caller.outbound).await.unwrap();
    h1.write_all(b"GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await.unwrap();
    let line = r#"weft_connections_timed_out_total{kind="outbound",reason="write"} 1"#;
    until("counted", || counted(&caller, line)).await;
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
}

#[tokio::test]
async fn an_idle_connection_frees_its_buffers_serves_again_and_is_closed_in_the_end() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let limits = Limits { idle_timeout: Duration::from_secs(4), ..Limits::default() };
    let caller = limited(limits, &replica);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let asked = request("GET", "orders").body(Full::<Bytes>::default()).unwrap();
        let response = timeout(DEADLINE, sender.send_request(asked)).await.unwrap().unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "orders");
        // Longer than it takes to come to rest, shorter than the end.
        tokio::time::sleep(Duration::from_millis(3_200)).await;
    }
    timeout(DEADLINE, connection).await.unwrap().unwrap().unwrap();
    let line = r#"weft_connections_timed_out_total{kind="outbound",reason="idle"} 1"#;
    until("counted", || counted(&caller, line)).await;
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_others_are_served() {
    let app = App::start(|_| Box::pin(std::future::pending())).await;
    let replica = Replica::http("orders", "1", app);
    let caller = limited(Limits { stream_resets_max: 10, ..Limits::default() }, &replica);
    let io = TokioIo::new(TcpStream::connect(caller.outbound).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let mut connection = tokio::spawn(connection);
    let flood = async {
        loop {
            let requests = (0..200).map(|_| {
                let mut sender = sender.clone();
                let asked = Request::get("http://orders/").body(Full::<Bytes>::default()).unwrap();
                tokio::spawn(async move { timeout(Duration::ZERO, sender.send_request(asked)).await.is_ok() })
            });
            for request in requests.collect::<Vec<_>>() {
                let _ = request.await;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        ended = timeout(DEADLINE, &mut connection) => drop(ended.unwrap().unwrap()),
        () = flood => {}
    }
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
    let named = Replica::http("named", "1", App::named("named").await);
    caller.publish("named", vec![named.endpoint.clone()]);
    assert_eq!(get(caller.outbound, "named").await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place_and_a_tunnel_keeps_its_own() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = limited(Limits { connections_max: 1, ..Limits::default() }, &replica);
    let mut tunnel = TcpStream::connect(caller.outbound).await.unwrap();
    tunnel.write_all(b"CONNECT orders:80 HTTP/1.1\r\nhost: orders:80\r\n\r\n").await.unwrap();
    let mut yes = [0; 12];
    timeout(DEADLINE, tunnel.read_exact(&mut yes)).await.unwrap().unwrap();
    assert_eq!(&yes, b"HTTP/1.1 200");
    let outbound = caller.outbound;
    let mut waits = tokio::spawn(async move { get(outbound, "orders").await.status });
    assert!(timeout(Duration::from_millis(300), &mut waits).await.is_err(), "it has no place yet");
    drop(tunnel);
    assert_eq!(timeout(DEADLINE, waits).await.unwrap().unwrap(), 200);
}
