//! Answers that are not the usual one to a whole request: early ones, empty ones, changes of protocols; and what
//! an application may neither say nor hear.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weft_sidecar::config::{Egress, SidecarConfig};

use crate::{
    edges::in_flight,
    mesh::{App, DEADLINE, Got, Replica, Sidecar, config, endpoint, post, request, send, text, until},
};

/// Agrees to any change of protocols and echoes bytes; anything else gets 426.
async fn changing() -> App {
    App::start(|mut request| {
        Box::pin(async move {
            let Some(protocol) = request.headers().get("upgrade").cloned() else {
                return text(StatusCode::UPGRADE_REQUIRED, "");
            };
            let changed = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(changed.await.unwrap());
                let mut read = Vec::new();
                io.read_to_end(&mut read).await.unwrap();
                read.reverse();
                io.write_all(&read).await.unwrap();
                io.shutdown().await.unwrap();
            });
            let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "");
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            response.headers_mut().insert("upgrade", protocol);
            response
        })
    })
    .await
}

#[tokio::test]
async fn a_change_of_protocols_passes_and_then_bytes_flow_both_ways() {
    let replica = Replica::http("chat", "1", changing().await);
    let caller = Sidecar::calling("chat", &[&replica]);
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    let asked =
        b"GET / HTTP/1.1\r\nhost: chat\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n";
    io.write_all(asked).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(DEADLINE, io.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    io.write_all(b"abc").await.unwrap();
    io.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, io.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "cba");
    until("nothing is in flight", || in_flight(&caller, "chat") == 0).await;
    let counted = r#"service="chat.default",code_class="1xx",error=""} 1"#;
    until("counted", || caller.scrape().contains(counted)).await;
}

#[tokio::test]
async fn an_upgrade_that_is_refused_or_to_http2_is_answered_as_any_request() {
    let replica = Replica::http("chat", "1", changing().await);
    let caller = Sidecar::calling("chat", &[&replica]);
    let h2c = request("GET", "chat").header("connection", "upgrade").header("upgrade", "h2c");
    assert_eq!(send(caller.outbound, h2c.body(Full::default()).unwrap()).await.status, 426);
}

#[tokio::test]
async fn a_bare_endpoint_hears_of_a_deadline_in_grpcs_words_only() {
    let app = App::start(|request| {
        let headers = request.headers().clone();
        Box::pin(async move {
            let names: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("weft-")).collect();
            let left = headers.get("grpc-timeout").map_or("", |value| value.to_str().unwrap());
            text(StatusCode::OK, format!("{names:?} {left}"))
        })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let bare = Sidecar::start(config());
    bare.publish("orders", vec![endpoint("orders", "1", replica.app.address, None)]);
    let ask = || {
        let request = request("GET", "orders").header("grpc-timeout", "5S").header("weft-deadline", "9000");
        request.body(Full::default()).unwrap()
    };
    let heard = |got: Got| String::from_utf8(got.body.to_vec()).unwrap();
    let plain = heard(send(bare.outbound, ask()).await);
    assert!(plain.starts_with("[] ") && plain.ends_with('m'), "{plain}");
    let caller = Sidecar::calling("orders", &[&replica]);
    let meshed = heard(send(caller.outbound, ask()).await);
    let left = meshed.strip_prefix(r#"["weft-deadline"] "#).and_then(|left| left.strip_suffix('m'));
    assert!((1..=5_000).contains(&left.unwrap().parse::<u32>().unwrap()), "{meshed}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_sent_arrives() {
    let app = App::start(|_| Box::pin(async { text(StatusCode::PAYLOAD_TOO_LARGE, "too much") })).await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    for length in [4, 100_000, 1_000_000] {
        let mut io = TcpStream::connect(caller.outbound).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: {length}\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        // The other side may have answered and closed by then.
        let _ = io.write_all(&vec![0; length]).await;
        let mut answer = [0; 12];
        timeout(DEADLINE, io.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    // The rest of a body that never comes does not hold the answer back either; that no more requests are read
    // from that connection is told.
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: 10000000\r\n\r\nsome";
    io.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(DEADLINE, io.read_u8()).await.unwrap().unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
    drop(io);
    until("nothing is in flight", || in_flight(&caller, "orders") == 0).await;
}

#[tokio::test]
async fn an_answer_to_a_whole_body_keeps_the_connection() {
    let app = App::start(|request| {
        Box::pin(async move { text(StatusCode::OK, request.into_body().collect().await.unwrap().to_bytes()) })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    let mut io = TcpStream::connect(caller.outbound).await.unwrap();
    for _ in 0..20 {
        for framed in
            ["content-length: 5\r\n\r\nwhole", "transfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"]
        {
            io.write_all(format!("POST / HTTP/1.1\r\nhost: orders\r\n{framed}").as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"whole") {
                answer.push(timeout(DEADLINE, io.read_u8()).await.unwrap().unwrap());
            }
        }
    }
    let metrics = caller.scrape();
    assert!(metrics.contains(r#"weft_connections_opened_total{kind="upstream"} 1"#), "{metrics}");
}

#[tokio::test]
async fn only_registered_names_are_carried_where_egress_says_so() {
    let outside = App::named("outside").await;
    let caller = Sidecar::start(SidecarConfig { egress: Egress::Registered, ..config() });
    let uri = format!("http://{}/x", outside.address);
    let got =
        send(caller.outbound, Request::get(uri).header("host", "outside").body(Full::default()).unwrap())
            .await;
    assert_eq!((got.status, got.header("weft-error"), outside.count()), (404, "no-route", 0));
}

#[tokio::test]
async fn statuses_without_a_body_pass_and_the_connection_is_kept() {
    let app = App::start(|request| {
        let status = request.headers()["x-status"].to_str().unwrap().parse().unwrap();
        Box::pin(async move { text(StatusCode::from_u16(status).unwrap(), "") })
    })
    .await;
    let replica = Replica::http("orders", "1", app);
    let caller = Sidecar::calling("orders", &[&replica]);
    for status in [200, 204, 304] {
        for method in ["GET", "HEAD", "DELETE"] {
            let sent = request(method, "orders").header("x-status", status);
            assert_eq!(send(caller.outbound, sent.body(Full::default()).unwrap()).await.status, status);
        }
    }
    let metrics = caller.scrape();
    assert!(metrics.contains(r#"weft_connections_opened_total{kind="upstream"} 1"#), "{metrics}");
}

#[tokio::test]
async fn an_application_cannot_have_a_post_sent_again_by_any_header_or_status() {
    let app = |name| {
        App::start(move |_| {
            Box::pin(async move {
                let mut response = text(StatusCode::MISDIRECTED_REQUEST, name);
                for header in ["weft-error", "weft-retry", "weft-attempt", "weft-deadline"] {
                    response.headers_mut().insert(header, "wrong-endpoint".parse().unwrap());
                }
                response
            })
        })
    };
    let meshed = Replica::http("orders", "1", app("meshed").await);
    let bare = app("bare").await;
    let caller = Sidecar::calling("orders", &[&meshed]);
    let bare_endpoint = endpoint("orders", "2", bare.address, None);
    caller.publish("orders", vec![meshed.endpoint.clone(), bare_endpoint]);
    for sent in 1..=20 {
        let got = post(caller.outbound, "orders").await;
        let ours = got.headers.keys().any(|name| name.as_str().starts_with("weft-"));
        assert_eq!((got.status, ours, meshed.app.count() + bare.count()), (421, false, sent));
    }
}
