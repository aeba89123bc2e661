//! What passes through two sidecars: HTTP/1.1 by Host and as a proxy, HTTP/2, bytes with half-close, a
//! server that speaks first, and the named failures.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_tests::{
    ControlPlane, Replica, Sidecar,
    http::{Answer, get, send},
};

/// For bytes that must come.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

struct Mesh {
    _dir: tempfile::TempDir,
    _control: ControlPlane,
    replica: Replica,
    caller: Sidecar,
}

/// One replica of `orders` with arguments for its application, and a caller with an upstream to it.
async fn mesh(app: &[&str], protocol: &str) -> anyhow::Result<Mesh> {
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let replica = start_replica(dir.path(), &control, app, protocol).await?;
    control.wait_passing("orders", 1).await?;
    let control_plane = format!("http://{}", control.grpc);
    let caller =
        Sidecar::start(dir.path(), "caller", &["--control-plane", &control_plane, "--upstream", "orders=0"])
            .await?;
    Ok(Mesh { _dir: dir, _control: control, replica, caller })
}

async fn start_replica(
    dir: &Path,
    control: &ControlPlane,
    app: &[&str],
    protocol: &str,
) -> anyhow::Result<Replica> {
    let check = if app.is_empty() { "http:/health" } else { "tcp" };
    Replica::start_checked(
        dir,
        control,
        "orders",
        "orders-1",
        &["--check", check, "--protocol", protocol],
        app,
    )
    .await
}

#[tokio::test]
async fn a_host_header_names_the_service_in_three_ways() -> anyhow::Result<()> {
    let mesh = mesh(&[], "http").await?;
    for host in ["orders", "orders.default", "orders.default.mesh", "Orders:4140"] {
        let answer = get(mesh.caller.outbound, host, "/a?b=c").await?;
        ensure!(answer.status == 200, "{host}: {answer:?}");
        ensure!(answer.json()?["instance"] == "orders-1", "{host}: {}", answer.text());
        ensure!(answer.headers.get("weft-error").is_none(), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_absolute_uri_is_proxied_in_the_mesh_and_beyond() -> anyhow::Result<()> {
    let mesh = mesh(&[], "http").await?;
    let app = mesh.replica.sidecar.ports["app"].as_str().context("an app address")?.to_owned();
    for uri in ["http://orders.default.mesh/x".to_owned(), format!("http://{app}/x")] {
        let request = Request::get(&uri).header("host", "ignored.example").body(Full::default())?;
        let answer = send(mesh.caller.outbound, request).await?;
        ensure!(answer.status == 200, "{uri}: {answer:?}");
        ensure!(answer.json()?["path"] == "/x", "{uri}: {}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn http2_with_prior_knowledge_stays_http2_up_to_the_application() -> anyhow::Result<()> {
    let mesh = mesh(&[], "auto").await?;
    let answer = get_h2(mesh.caller.outbound, "orders.default").await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.json()?["version"] == "HTTP/2.0", "{}", answer.text());
    let through_upstream = get_h2(mesh.caller.upstream("orders")?, "anything").await?;
    ensure!(through_upstream.json()?["version"] == "HTTP/2.0", "{}", through_upstream.text());
    Ok(())
}

async fn get_h2(address: SocketAddr, authority: &str) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let uri = format!("http://{authority}/h2");
    let response = sender.send_request(Request::get(uri).body(Full::<Bytes>::default())?).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

#[tokio::test]
async fn unknown_names_and_stopped_services_are_told_apart() -> anyhow::Result<()> {
    let mut mesh = mesh(&[], "http").await?;
    let unknown = get(mesh.caller.outbound, "nobody", "/").await?;
    ensure!(unknown.status == StatusCode::NOT_FOUND, "{unknown:?}");
    ensure!(unknown.headers["weft-error"] == "no-route", "{unknown:?}");
    mesh.replica.kill()?;
    let dead = get(mesh.caller.outbound, "orders", "/").await?;
    ensure!(dead.status.is_server_error(), "{dead:?}");
    let code = dead.headers.get("weft-error").context("a named failure")?.to_str()?;
    ensure!(["connect-failed", "no-healthy-endpoint", "upstream-reset"].contains(&code), "{dead:?}");
    Ok(())
}

#[tokio::test]
async fn bytes_pass_both_ways_with_half_close() -> anyhow::Result<()> {
    let mesh = mesh(&["--mode", "tcp"], "tcp").await?;
    let mut stream = TcpStream::connect(mesh.caller.upstream("orders")?).await?;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut read, mut write) = stream.split();
    let mut received = Vec::new();
    let writing = async {
        write.write_all(&sent).await?;
        // The application sees the end and only then ends its own half.
        write.shutdown().await
    };
    let reading = tokio::time::timeout(READ_TIMEOUT, read.read_to_end(&mut received));
    let (written, read) = tokio::join!(writing, reading);
    written?;
    read??;
    ensure!(received == sent, "{} of {} bytes came back", received.len(), sent.len());
    Ok(())
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_at_once() -> anyhow::Result<()> {
    let mesh = mesh(&["--mode", "greet"], "auto").await?;
    let mut stream = TcpStream::connect(mesh.caller.upstream("orders")?).await?;
    let mut greeting = [0; 20];
    tokio::time::timeout(READ_TIMEOUT, stream.read_exact(&mut greeting)).await??;
    ensure!(&greeting == b"220 orders-1 ready\r\n", "{}", String::from_utf8_lossy(&greeting));
    stream.write_all(b"hello").await?;
    let mut echo = [0; 5];
    tokio::time::timeout(READ_TIMEOUT, stream.read_exact(&mut echo)).await??;
    ensure!(&echo == b"hello");
    Ok(())
}

#[tokio::test]
async fn a_sidecar_alone_works_from_its_file() -> anyhow::Result<()> {
    let mesh = mesh(&[], "http").await?;
    let app: SocketAddr = mesh.replica.sidecar.ports["app"].as_str().context("an app address")?.parse()?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("alone.yaml");
    let (ip, port) = (app.ip(), app.port());
    std::fs::write(&config, format!("services:\n  billing:\n    - address: {ip}\n      port: {port}\n"))?;
    let alone =
        Sidecar::start(dir.path(), "alone", &["--config", config.to_str().context("a path")?]).await?;
    let answer = get(alone.outbound, "billing", "/").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let unknown = get(alone.outbound, "orders", "/").await?;
    ensure!(unknown.headers["weft-error"] == "no-route", "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrapped_command_gives_its_exit_code() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut sidecar =
        Sidecar::launch(dir.path(), "wrapped", &["--", "sh", "-c", "sleep 0.3; exit 7"]).await?;
    let status = sidecar.process().wait(Duration::from_secs(10))?;
    ensure!(status.code() == Some(7), "{status}");
    Ok(())
}
