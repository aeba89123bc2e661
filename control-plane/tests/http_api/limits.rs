//! Limits: what is too much costs only its own request.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::Server;

#[tokio::test]
async fn a_value_of_512_kib_is_taken_and_one_byte_more_is_413() {
    let server = Server::start().await;
    let most = vec![b'x'; 512 * 1024];
    assert_eq!(server.put("/v1/kv/k", most.clone()).await.status, 200);
    let answer = server.put("/v1/kv/k", [most, vec![b'x']].concat()).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.text(), "Request body too large, max size: 524288 bytes");
}

#[tokio::test]
async fn a_registration_over_1_mib_is_413() {
    let server = Server::start().await;
    let body = json!({"Name": "web", "Meta": {"k": "x".repeat(1 << 20)}}).to_string();
    assert_eq!(server.put("/v1/agent/service/register", body).await.status, 413);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_told_and_closed() {
    let server = Server::with_connections(2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Its answer tells that the server has taken it.
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
        held.push(stream);
    }
    let mut over = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(5), over.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("too many connections"), "{answer}");
}

#[tokio::test]
async fn garbage_costs_only_its_connection() {
    let server = Server::start().await;
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n\r\n\0\0"]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
    }
    for (path, body) in [
        ("/v1/agent/service/register", "[".repeat(200_000)),
        ("/v1/agent/service/register", "{\"Name\": 7}".into()),
        ("/v1/agent/service/register", "null".into()),
        ("/v1/agent/check/register", "{\"TTL\": -5, \"Name\": \"x\"}".into()),
        ("/v1/catalog/register", "\u{0}".into()),
        ("/v1/agent/service/register?ns=%FF", "{}".into()),
    ] {
        let answer = server.put(path, body).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(server.get("/v1/status/leader").await.status, 200);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("weft_http_panics_total 0"), "{metrics}");
}

#[tokio::test]
async fn a_head_far_over_its_limit_is_refused() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "y".repeat(1 << 20));
    // The server may hang up before all is written.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}
