//! What is at the edge of HTTP: framing and hosts told twice, heads over the limit, versions that do not match,
//! callers that go away.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_model::endpoint::Protocol;
use weft_sidecar::config::{AccessLog, SidecarConfig};

use crate::mesh::{
    App, DEADLINE, Got, Replica, Sidecar, collect, config, get, post, request, send, text, until,
};

/// Says which hosts and lengths it was told, and what body came.
async fn witness() -> App {
    App::start(|request| {
        Box::pin(async move {
            let all = |name| {
                let values = request.headers().get_all(name).iter();
                values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>().join("|")
            };
            let authority = request.uri().authority().map_or(String::new(), ToString::to_string);
            let seen = format!("{authority};{};{};", all("host"), all("content-length"));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            text(StatusCode::OK, seen + &String::from_utf8_lossy(&body))
        })
    })
    .await
}

/// Writes these bytes, and reads until the other side closes.
pub(crate) async fn raw(to: SocketAddr, bytes: &str) -> String {
    let mut io = TcpStream::connect(to).await.unwrap();
    io.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE, io.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn send_h2(to: SocketAddr, request: Request<Full<Bytes>>) -> Got {
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    collect(timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap()).await
}

/// Requests without a finished response, and those without a head.
pub(crate) fn in_flight(sidecar: &Sidecar, service: &str) -> u32 {
    let table = sidecar.publisher.current();
    let service = &table.services[&service.parse().unwrap()];
    let load = |cell: &weft_sidecar::table::EndpointCell| {
        cell.in_flight.load(Ordering::Relaxed) + cell.unanswered.load(Ordering::Relaxed)
    };
    service.endpoints.iter().map(|endpoint| load(&endpoint.cell)).sum()
}

#[tokio::test]
async fn a_length_beside_chunks_frames_nothing() {
    let replica = Replica::http("orders", "1", witness().await);
    let caller = Sidecar::calling("orders", &[&replica]);
    let smuggled = "POST / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\ncontent-length: 3\r\n\
                    transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    let answer = raw(caller.outbound, smuggled).await;
    assert!(answer.ends_with("orders;;abcde"), "{answer}");
    let bare = raw(replica.sidecar.inbound, smuggled).await;
    assert!(bare.ends_with("orders;;abcde"), "{bare}");
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused_on_both_sides() {
    let replica = Replica::http("orders", "1", witness().await);
    let caller = Sidecar::calling("orders", &[&replica]);
    for to in [caller.outbound, replica.sidecar.inbound] {
        let two = "GET / HTTP/1.1\r\nhost: orders\r\nhost: other\r\nconnection: close\r\n\r\n";
        let answer = raw(to, two).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("weft-error: bad-request"), "{answer}");
    }
    assert_eq!(replica.app.count(), 0);
}

#[tokio::test]
async fn an_http2_request_has_one_host_however_it_is_told() {
    let replica = Replica::http("orders", "1", witness().await);
    let caller = Sidecar::calling("orders", &[&replica]);
    let both = Request::get("http://orders/").header("host", "other").body(Full::default()).unwrap();
    assert_eq!(&send_h2(caller.outbound, both).await.body[..], b"orders;;;");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_by_name_and_one_below_passes() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::calling("orders", &[&replica]);
    for (length, status, code) in [(15_000, 200, ""), (70_000, 431, "header-too-large")] {
        let long = || request("GET", "orders").header("x-long", "a".repeat(length));
        let got = send(caller.outbound, long().body(Full::default()).unwrap()).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
        let got = send(replica.sidecar.inbound, long().body(Full::default()).unwrap()).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
        let h2 = Request::get("http://orders/").header("x-long", "a".repeat(length));
        let got = send_h2(caller.outbound, h2.body(Full::default()).unwrap()).await;
        assert_eq!((got.status, got.header("weft-error")), (status, code));
    }
}

#[tokio::test]
async fn http1_to_a_service_of_http2_alone_is_refused_before_anything_is_sent() {
    let mut replica = Replica::start("echo", "1", App::named("echo").await, Protocol::Grpc);
    replica.endpoint.ports[0].protocol = Protocol::Grpc;
    let caller = Sidecar::calling("echo", &[&replica]);
    let got = get(caller.outbound, "echo").await;
    assert_eq!((got.status, got.header("weft-error")), (502, "protocol-error"));
    assert!(got.body.starts_with(b"protocol-error: the service"), "{:?}", got.body);
    let bare = get(replica.sidecar.inbound, "echo").await;
    assert_eq!((bare.status, bare.header("weft-error")), (502, "protocol-error"));
    assert_eq!(replica.app.count(), 0);
    let h2 = Request::get("http://echo/").body(Full::default()).unwrap();
    assert_eq!(send_h2(caller.outbound, h2).await.status, 200);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_attempt_with_it_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let app = App::start(|_| Box::pin(std::future::pending())).await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::start(SidecarConfig { access_log: AccessLog::File(path.clone()), ..config() });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    for (sent, begun) in [
        "GET / HTTP/1.1\r\nhost: orders\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: 9\r\n\r\nhalf",
    ]
    .into_iter()
    .zip(1..)
    {
        let mut io = TcpStream::connect(caller.outbound).await.unwrap();
        io.write_all(sent.as_bytes()).await.unwrap();
        until("the application has it", || replica.app.count() == begun).await;
        assert_eq!(in_flight(&caller, "orders"), 2);
        drop(io);
        until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
    }
    let cancelled = |text: String| text.matches(r#""cancelled":true"#).count();
    until("two records", || cancelled(std::fs::read_to_string(&path).unwrap_or_default()) == 2).await;
    let counted = |sidecar: &Sidecar, direction: &str| {
        let line =
            format!(r#"weft_requests_cancelled_total{{direction="{direction}",service="orders.default"}} 2"#);
        sidecar.scrape().contains(&line)
    };
    until("counted here", || counted(&caller, "outbound")).await;
    until("counted there", || counted(&replica.sidecar, "inbound")).await;
}

#[tokio::test]
async fn nothing_stays_in_flight_whatever_becomes_of_a_call() {
    let app = App::start(|request| {
        Box::pin(async move {
            match request.headers().get("x-do").map(http::HeaderValue::as_bytes) {
                Some(b"break") => text(crate::mesh::BREAK, ""),
                Some(b"hang") => std::future::pending().await,
                _ => text(StatusCode::OK, "a".repeat(1_000_000)),
            }
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    for what in ["break", "hang", "answer"] {
        for method in ["GET", "POST", "HEAD"] {
            let sent = request(method, "orders").header("x-do", what).header("weft-deadline", "100");
            send(caller.outbound, sent.body(Full::default()).unwrap()).await;
        }
        let sent = Request::get("http://orders/").header("x-do", what).header("weft-deadline", "100");
        send_h2(caller.outbound, sent.body(Full::default()).unwrap()).await;
    }
    // One that leaves in the middle of the answer.
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await.unwrap();
    io.read_exact(&mut [0; 100]).await.unwrap();
    drop(io);
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
}

#[tokio::test]
async fn many_http2_calls_to_a_place_that_does_not_answer_fail_together() {
    // A listener whose queue is full drops what more comes, as a machine that is gone does.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(io)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queue.push(io);
    }
    let mut policy = weft_model::policy::Policy::default();
    policy.retry.retries_max = 0;
    let caller = Sidecar::start(SidecarConfig { policy, ..config() });
    caller.publish("orders", vec![crate::mesh::endpoint("orders", "1", address, None)]);
    let begun = std::time::Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let request = Request::get("http://orders/").body(Full::default()).unwrap();
            tokio::spawn(send_h2(caller.outbound, request))
        })
        .collect();
    for call in calls {
        let got = call.await.unwrap();
        assert_eq!((got.status, got.header("weft-error")), (502, "connect-failed"));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn two_data_threads_share_ports_words_and_sums() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let caller = Sidecar::start(SidecarConfig { data_threads: 2, ..config() });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    let calls = (0..64).map(|_| {
        let outbound = caller.outbound;
        tokio::spawn(
            async move { (get(outbound, "orders").await.status, post(outbound, "orders").await.status) },
        )
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), (200, 200));
    }
    assert_eq!(in_flight(&caller, "orders"), 0);
    let metrics = caller.scrape();
    assert!(metrics.contains(r#"service="orders.default",code_class="2xx",error=""} 128"#), "{metrics}");
    let threads = caller.threads.unwrap();
    threads.begin_drain();
    timeout(DEADLINE, threads.drained()).await.unwrap();
    timeout(DEADLINE, threads.shutdown()).await.unwrap();
}

#[tokio::test]
async fn our_answer_to_head_has_no_body_in_http2_either() {
    let caller = Sidecar::start(config());
    let head = Request::head("http://nowhere/").body(Full::default()).unwrap();
    let answered = send_h2(caller.outbound, head).await;
    let got = (answered.status, answered.header("weft-error"), answered.body.len());
    assert_eq!(got, (404, "no-route", 0));
    let whole = get(caller.outbound, "nowhere").await;
    for head in
        [answered, send(caller.outbound, request("HEAD", "nowhere").body(Full::default()).unwrap()).await]
    {
        assert_eq!(head.header("content-length"), whole.body.len().to_string());
    }
}

#[tokio::test]
async fn who_is_answered_while_it_sends_can_read_the_answer() {
    let caller = Sidecar::start(config());
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    let part = [b'x'; 64 * 1_024];
    let head = format!("POST / HTTP/1.1\r\nhost: nowhere\r\ncontent-length: {}\r\n\r\n", 64 * part.len());
    io.write_all(head.as_bytes()).await.unwrap();
    io.write_all(&part).await.unwrap();
    io.readable().await.unwrap();
    // The answer is there, and of the rest nobody asks for anything.
    for _ in 0..8 {
        io.write_all(&part).await.unwrap();
    }
    io.shutdown().await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE, io.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close"), "{answer}");
}
