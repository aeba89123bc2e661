//! The admin server over a real socket.

use std::{net::SocketAddr, time::Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{drain::Drain, listen};

fn admin(reasons: &'static [&'static str]) -> Admin {
    let mut registry = Registry::default();
    crate::metrics::register(&mut registry, "test", "1");
    Admin {
        registry: Arc::new(Mutex::new(registry)),
        ready: Arc::new(|| reasons.iter().map(ToString::to_string).collect()),
        config_dump: Arc::new(|| Box::pin(async { serde_json::json!({ "node": "n" }) })),
        more: None,
    }
}

fn start(admin: Admin, drain: &Drain) -> SocketAddr {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = listen::bind(any, "a test", listen::Options::default()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin.serve(listener, drain.watch()));
    address
}

async fn ask(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn ready_gives_its_reasons() {
    let drain = Drain::new();
    let address = start(admin(&["the application has not passed its check"]), &drain);
    let answer = ask(address, "GET /ready HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("the application has not passed its check"), "{answer}");
    assert!(ask(address, "GET /live HTTP/1.1").await.starts_with("HTTP/1.1 200"));
    let ready = start(admin(&[]), &drain);
    assert!(ask(ready, "HEAD /ready HTTP/1.1").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let drain = Drain::new();
    let address = start(admin(&[]), &drain);
    let plain = ask(address, "GET /metrics HTTP/1.1").await;
    assert!(plain.contains("text/plain; version=0.0.4") && !plain.contains("# EOF"), "{plain}");
    let open = ask(address, "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text").await;
    assert!(open.contains(exposition::OPEN_METRICS) && open.ends_with("# EOF\n"), "{open}");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_is_said() {
    let drain = Drain::new();
    let address = start(admin(&[]), &drain);
    assert!(ask(address, "GET /config_dump HTTP/1.1").await.contains("\"node\": \"n\""));
    assert!(ask(address, "GET / HTTP/1.1").await.contains("there are /live, /ready"));
    assert!(ask(address, "POST /ready HTTP/1.1\r\ncontent-length: 0").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_drain_ends_the_server_and_its_idle_connections() {
    let drain = Drain::new();
    let address = start(admin(&[]), &drain);
    let mut idle = TcpStream::connect(address).await.unwrap();
    ask(address, "GET /live HTTP/1.1").await;
    let begun = Instant::now();
    drain.finish(Duration::from_secs(10)).await.unwrap();
    assert!(begun.elapsed() < HEADER_TIMEOUT, "a connection without a request is closed at once");
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
