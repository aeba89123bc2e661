//! CONNECT in HTTP/1.1 and HTTP/2, and changes of protocols on streams of HTTP/2 (RFC 8441).

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{Empty, Full};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weft_model::endpoint::Protocol as Spoken;
use weft_sidecar::config::{AccessLog, Egress, SidecarConfig};

use crate::{
    edges::{in_flight, raw, send_h2},
    mesh::{App, DEADLINE, Replica, Sidecar, config, endpoint, hosting, text, until},
};

/// Reads to the end, and answers with all of it, backwards.
async fn reverser() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            tokio::spawn(reverse(io));
        }
    });
    address
}

async fn reverse(mut io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut read = Vec::new();
    if io.read_to_end(&mut read).await.is_ok() {
        read.reverse();
        let _ = io.write_all(&read).await;
        let _ = io.shutdown().await;
    }
}

/// A caller's sidecar, and a service `db` that speaks bytes behind its own.
async fn database() -> (Sidecar, Sidecar) {
    let address = reverser().await;
    let sidecar = Sidecar::start(hosting("db", address, Spoken::Tcp));
    let caller = Sidecar::start(config());
    caller.publish("db", vec![endpoint("db", "1", address, Some(sidecar.inbound))]);
    (caller, sidecar)
}

async fn connect_h1(to: SocketAddr, authority: &str, sent: &[u8]) -> String {
    let mut io = TcpStream::connect(to).await.unwrap();
    let head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    // The first bytes of the tunnel may come with the request.
    io.write_all(&[head.as_bytes(), sent].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(DEADLINE, io.read_u8()).await.unwrap().unwrap());
    }
    io.shutdown().await.unwrap();
    timeout(DEADLINE, io.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

async fn connect_h2(to: SocketAddr, request: Request<Empty<Bytes>>, sent: &[u8]) -> (u16, Vec<u8>) {
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let response = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let status = response.status().as_u16();
    let mut read = Vec::new();
    if status == 200 {
        let mut io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        io.write_all(sent).await.unwrap();
        io.shutdown().await.unwrap();
        timeout(DEADLINE, io.read_to_end(&mut read)).await.unwrap().unwrap();
    }
    (status, read)
}

#[tokio::test]
async fn a_tunnel_to_a_service_goes_through_its_balancer_and_keeps_half_close() {
    let (caller, _sidecar) = database().await;
    for authority in ["db:5432", "db.default:1", "DB.default.mesh:80"] {
        let answer = connect_h1(caller.outbound, authority, b"abc").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ncba"), "{answer}");
        assert!(!answer.contains("content-length") && !answer.contains("transfer-encoding"), "{answer}");
    }
    let h2 = Request::builder().method(Method::CONNECT).uri("db:5432").body(Empty::new()).unwrap();
    assert_eq!(connect_h2(caller.outbound, h2, b"abc").await, (200, b"cba".to_vec()));
    until("nothing is in flight", || in_flight(&caller, "db") == 0).await;
    let counted = r#"direction="outbound",service="db.default",code_class="2xx",error=""} 4"#;
    until("counted", || caller.scrape().contains(counted)).await;
}

#[tokio::test]
async fn a_tunnel_carries_much_in_both_directions() {
    let (caller, _sidecar) = database().await;
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let h2 = Request::builder().method(Method::CONNECT).uri("db:1").body(Empty::new()).unwrap();
    let (_, mut read) = connect_h2(caller.outbound, h2, &sent).await;
    read.reverse();
    assert!(read == sent, "{} of {} bytes", read.len(), sent.len());
}

#[tokio::test]
async fn a_tunnel_beyond_the_mesh_is_the_egress_settings_affair() {
    let address = reverser().await.to_string();
    let open = Sidecar::start(config());
    assert!(connect_h1(open.outbound, &address, b"ab").await.ends_with("\r\n\r\nba"));
    let h2 = Request::builder().method(Method::CONNECT).uri(&address).body(Empty::new()).unwrap();
    assert_eq!(connect_h2(open.outbound, h2, b"ab").await, (200, b"ba".to_vec()));
    let shut = Sidecar::start(SidecarConfig { egress: Egress::Registered, ..config() });
    let answer = connect_h1(shut.outbound, &address, b"").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("weft-error: no-route"), "{answer}");
}

#[tokio::test]
async fn a_tunnel_that_cannot_be_is_refused_by_name_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::File(path.clone());
    let caller = Sidecar::start(SidecarConfig { egress: Egress::Registered, access_log: log, ..config() });
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    caller.publish("dead", vec![endpoint("dead", "1", dead, None)]);
    caller.publish("empty", vec![]);
    for (authority, status, code) in [
        ("dead:80", 502, "connect-failed"),
        ("empty:80", 503, "no-healthy-endpoint"),
        ("nobody:80", 404, "no-route"),
        ("dead:0", 400, "bad-request"),
        ("user@dead:80", 400, "bad-request"),
    ] {
        let answer = connect_h1(caller.outbound, authority, b"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{authority}: {answer}");
        assert!(answer.contains(&format!("weft-error: {code}")), "{authority}: {answer}");
    }
    let nowhere = "CONNECT dead HTTP/1.1\r\nhost: dead\r\nconnection: close\r\n\r\n";
    let answer = raw(caller.outbound, nowhere).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("weft-error: bad-request"), "{answer}");
    let records = || std::fs::read_to_string(&path).unwrap_or_default();
    until("recorded", || records().matches(r#""method":"CONNECT""#).count() >= 4).await;
    let dead = records().lines().any(|line| {
        line.contains(r#""service":"dead.default""#) && line.contains(r#""weft-error":"connect-failed""#)
    });
    assert!(dead, "{}", records());
}

#[tokio::test]
async fn a_tunnel_through_inbound_or_a_fixed_port_is_refused() {
    let replica = Replica::http("orders", "1", App::named("orders").await);
    let upstreams = vec![crate::mesh::upstream("orders", Spoken::Http)];
    let caller = Sidecar::start(SidecarConfig { upstreams, ..config() });
    caller.publish("orders", vec![replica.endpoint.clone()]);
    for to in [replica.sidecar.inbound, caller.upstreams[0]] {
        let answer = connect_h1(to, "orders:80", b"").await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("weft-error: bad-request"), "{answer}");
    }
    assert_eq!(replica.app.count(), 0);
}

#[tokio::test]
async fn an_extended_connect_reaches_the_application_and_carries_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let service =
                hyper::service::service_fn(|mut request: Request<hyper::body::Incoming>| async move {
                    let protocol =
                        request.extensions().get::<Protocol>().map(|name| name.as_str().to_owned());
                    let is_chat = request.uri().path() == "/chat" && protocol.as_deref() == Some("websocket");
                    if is_chat {
                        let stream = hyper::upgrade::on(&mut request);
                        tokio::spawn(async move { reverse(TokioIo::new(stream.await.unwrap())).await });
                    }
                    let status = if is_chat { StatusCode::OK } else { StatusCode::NOT_FOUND };
                    Ok::<_, std::convert::Infallible>(text(status, ""))
                });
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.enable_connect_protocol();
            tokio::spawn(server.serve_connection(TokioIo::new(io), service));
        }
    });
    let sidecar = Sidecar::start(hosting("chat", address, Spoken::Http2));
    let caller = Sidecar::start(config());
    caller.publish("chat", vec![endpoint("chat", "1", address, Some(sidecar.inbound))]);
    let ask = |path: &str| {
        let request = Request::builder().method(Method::CONNECT).uri(format!("http://chat{path}"));
        request.extension(Protocol::from_static("websocket")).body(Empty::new()).unwrap()
    };
    assert_eq!(connect_h2(caller.outbound, ask("/chat"), b"abc").await, (200, b"cba".to_vec()));
    assert_eq!(connect_h2(caller.outbound, ask("/other"), b"").await.0, 404);
    until("nothing is in flight", || in_flight(&caller, "chat") == 0).await;
}

#[tokio::test]
async fn an_http2_request_by_its_authority_is_never_taken_for_one_to_a_proxy() {
    // Nothing is translated between versions, so what leaves the mesh leaves it as HTTP/1.
    let outside = App::named("outside").await;
    let caller = Sidecar::start(config());
    let h2 = Request::get(format!("http://{}/", outside.address)).body(Full::default()).unwrap();
    let got = send_h2(caller.outbound, h2).await;
    assert_eq!((got.status, got.header("weft-error"), outside.count()), (404, "no-route", 0));
}
