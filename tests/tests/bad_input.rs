//! Bad input gets a clear error that names the thing and the remedy, an exit code, and costs only itself.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, ensure};
use weft_tests::{ControlPlane, Sidecar, http::get, process::binary, wait::eventually};

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    // A command that wrongly keeps running must not keep the test.
    Ok(Command::new("timeout").arg("20").arg(binary(program)?).args(arguments).output()?)
}

/// It ends with a failure whose text holds all of `words`, and it did not panic.
fn refused(output: &Output, words: &[&str]) -> anyhow::Result<()> {
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success(), "it succeeded: {text}");
    ensure!(output.status.code() != Some(124), "it kept running: {text}");
    ensure!(!text.contains("panicked"), "{text}");
    for word in words {
        ensure!(text.contains(word), "`{word}` is not in: {text}");
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path")
}

#[test]
fn an_unknown_field_in_weft_yaml_is_named_with_file_and_line() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("weft.yaml");
    std::fs::write(&file, "name: shop\nservices:\n  orders:\n    command: [sleep, '1']\n    replica: 3\n")?;
    for command in ["check", "up"] {
        refused(&run("weft", &[command, text(&file)?])?, &["weft.yaml:5", "replica", "orders"])?;
    }
    Ok(())
}

#[test]
fn an_unknown_field_in_a_daemons_file_is_named_with_file_and_line() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("daemon.yaml");
    std::fs::write(&file, "\nport: 1\n")?;
    let (file, data) = (text(&file)?, dir.path().join("data"));
    refused(&run("weft-sidecar", &["run", "--config", file])?, &["daemon.yaml:2", "port"])?;
    let arguments = ["--data-dir", text(&data)?, "--config", file];
    refused(&run("weft-control-plane", &arguments)?, &["daemon.yaml:2", "port"])
}

#[test]
fn a_missing_file_is_named() -> anyhow::Result<()> {
    refused(&run("weft", &["up", "/nowhere/weft.yaml"])?, &["/nowhere/weft.yaml"])?;
    refused(&run("weft-sidecar", &["run", "--config", "/nowhere/sidecar.yaml"])?, &["/nowhere/sidecar.yaml"])
}

#[test]
fn a_port_in_use_is_named_with_its_flag() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    let dir = tempfile::tempdir()?;
    let data = text(dir.path())?;
    let control = ["--data-dir", data, "--http", &taken, "--grpc", "127.0.0.1:0"];
    refused(&run("weft-control-plane", &control)?, &[&taken, "in use", "--http"])?;
    let sidecar = ["run", "--data-dir", data, "--outbound", &taken];
    refused(&run("weft-sidecar", &sidecar)?, &[&taken, "in use", "--outbound"])
}

#[test]
fn a_listener_beyond_loopback_needs_a_word() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let arguments = ["run", "--data-dir", text(dir.path())?, "--inbound", "0.0.0.0:0"];
    refused(&run("weft-sidecar", &arguments)?, &["--insecure-listen"])
}

#[tokio::test]
async fn a_second_control_plane_on_one_directory_is_refused() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let _first = ControlPlane::start(dir.path()).await?;
    let data = dir.path().join("control-plane");
    let arguments = ["--data-dir", text(&data)?, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    refused(&run("weft-control-plane", &arguments)?, &["in use", "--data-dir"])
}

#[tokio::test]
async fn a_damaged_data_directory_says_what_to_do() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut control = ControlPlane::start(dir.path()).await?;
    for n in 0..50 {
        weft_tests::http::put(control.http, &format!("/v1/kv/key-{n}"), "x".repeat(200)).await?;
    }
    control.kill()?;
    let data = dir.path().join("control-plane");
    damage(&data)?;
    let arguments = ["--data-dir", text(&data)?, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    refused(&run("weft-control-plane", &arguments)?, &["damaged", "--data-dir"])
}

/// Overwrites the middle of the largest file below a directory.
fn damage(dir: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            let entry = entry?;
            if entry.is_dir() {
                folders.push(path);
            } else {
                files.push((entry.len(), path));
            }
        }
    }
    let (_, path) = files.into_iter().max().context("a file")?;
    let content = std::fs::read(&path)?;
    let used = content.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let garbage: Vec<u8> = content.iter().take(used).map(|byte| byte ^ 0x5a).collect();
    std::fs::write(&path, garbage)?;
    Ok(())
}

#[tokio::test]
async fn garbage_on_any_port_costs_only_its_connection() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let control = ControlPlane::start(dir.path()).await?;
    let sidecar =
        Sidecar::start(dir.path(), "sidecar", &["--control-plane", &format!("http://{}", control.grpc)])
            .await?;
    for address in [control.http, control.grpc, sidecar.outbound, sidecar.inbound, sidecar.admin] {
        for seed in 0..20_u64 {
            throw_garbage(address, seed);
        }
    }
    eventually("all still answer", Duration::from_secs(5), async || {
        ensure!(get(control.http, "localhost", "/v1/status/leader").await?.status == 200);
        ensure!(get(sidecar.admin, "localhost", "/live").await?.status == 200);
        ensure!(get(sidecar.outbound, "nobody", "/").await?.status == 404);
        Ok(())
    })
    .await
}

/// Begins like something, goes on like nothing. The other side may hang up at any time.
fn throw_garbage(address: SocketAddr, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let starts: [&[u8]; 5] =
        [b"", b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01", b"\0WEFT"];
    let mut bytes = random.choice(starts).unwrap_or_default().to_vec();
    bytes.extend((0..random.usize(0..4_000)).map(|_| random.u8(..)));
    if let Ok(mut stream) = TcpStream::connect(address) {
        let _hung_up = stream.write_all(&bytes);
    }
}
