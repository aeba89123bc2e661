//! What a person can see of requests in a running mesh: `weft explain` over two sidecars, `weft tap`, `weft top`, and
//! an access log that holds what was asked for.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use weft_tests::{
    ControlPlane, Replica, Sidecar,
    http::{get, put, send},
    process::{Process, binary},
    wait::eventually,
};

/// For a command to end, and for a record to be seen.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Of an endpoint that half of the first requests choose.
const REQUESTS_MAX: usize = 64;

struct Mesh {
    dir: tempfile::TempDir,
    control: ControlPlane,
    _replica: Replica,
    caller: Sidecar,
}

impl Mesh {
    /// A caller, and one replica of `orders`.
    async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let control = ControlPlane::start(dir.path()).await?;
        let replica = Replica::start(dir.path(), &control, "orders", "orders-1").await?;
        control.wait_passing("orders", 1).await?;
        let control_plane = format!("http://{}", control.grpc);
        let mut all = vec!["--control-plane", &control_plane, "--subscribe", "orders"];
        all.extend(arguments);
        let caller = Sidecar::start(dir.path(), "caller", &all).await?;
        Ok(Self { dir, control, _replica: replica, caller })
    }

    fn weft(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(binary("weft")?);
        command.args(arguments).args(["--address", &self.control.http.to_string()]);
        command.current_dir(self.dir.path());
        Ok(command)
    }

    async fn send(&self, id: &str, path: &str) -> anyhow::Result<()> {
        let request = Request::get(path).header("host", "orders").header("x-request-id", id);
        let answer = send(self.caller.outbound, request.body(Full::<Bytes>::default())?).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    }

    /// What the caller's sidecar knows of a request, once it does.
    async fn told(&self, id: &str) -> anyhow::Result<Value> {
        eventually("the request is kept", TIMEOUT, async || {
            let answer = get(self.caller.admin, "localhost", &format!("/explain?id={id}")).await?;
            let told = answer.json()?;
            Ok(told.pointer("/requests/0").context("not yet")?.clone())
        })
        .await
    }
}

#[tokio::test]
async fn a_retried_request_is_explained_by_both_sidecars() -> anyhow::Result<()> {
    let mesh = Mesh::start(&[]).await?;
    let dead = r#"{"Name": "orders", "ID": "dead", "Address": "127.0.0.1", "Port": 1,
                   "Check": {"TTL": "600s", "Status": "passing"}}"#;
    ensure!(put(mesh.control.http, "/v1/agent/service/register", dead).await?.status == 200);
    mesh.control.wait_passing("orders", 2).await?;
    let mut retried = None;
    for number in 0..REQUESTS_MAX {
        let id = format!("request-{number}");
        mesh.send(&id, "/explained").await?;
        if mesh.told(&id).await?["attempts"] != 1 {
            retried = Some(id);
            break;
        }
    }
    let id = retried.context("no request chose the endpoint that is not there")?;
    let told = eventually("both sidecars tell", TIMEOUT, async || {
        let output = mesh.weft(&["explain", &id, "-o", "json"])?.output()?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(told["requests"].as_array().map(Vec::len) == Some(2), "{told}");
        Ok(told)
    })
    .await?;
    let (caller, replica) = (&told["requests"][0], &told["requests"][1]);
    ensure!(caller["direction"] == "outbound" && replica["direction"] == "inbound", "{told}");
    ensure!(caller["path"] == "/explained" && caller["endpoints"]["count"] == 2, "{caller}");
    let (first, last) = (&caller["tries"][0], &caller["tries"][1]);
    ensure!(first["weft-error"] == "connect-failed" && first["then"] == "connect-failure", "{caller}");
    ensure!(last["status"] == 200, "{caller}");
    ensure!(caller["policy"]["retries_max"] == 2 && caller["policy"]["timeout_ms"] == 30_000, "{caller}");
    let words = String::from_utf8(mesh.weft(&["explain", &id])?.output()?.stdout)?;
    ensure!(words.contains("retried for connect-failure") && words.contains("inbound at"), "{words}");
    let unknown = mesh.weft(&["explain", "nobody"])?.output()?;
    ensure!(unknown.status.code() == Some(1), "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_tap_shows_what_its_filter_wants_and_top_what_is_called() -> anyhow::Result<()> {
    let mesh = Mesh::start(&[]).await?;
    let mut command = mesh.weft(&["tap", "orders", "--path", "/tapped", "--limit", "1"])?;
    let mut tap = Process::spawn("tap", &mut command, mesh.dir.path())?;
    eventually("the tap listens", TIMEOUT, async || {
        ensure!(tap.output().contains("listening at 2 sidecars"), "{}", tap.output());
        Ok(())
    })
    .await?;
    mesh.send("1", "/other").await?;
    mesh.send("2", "/tapped/it").await?;
    ensure!(tap.wait(TIMEOUT)?.success(), "{}", tap.output());
    ensure!(tap.output().contains("outbound GET /tapped/it 200"), "{}", tap.output());
    ensure!(!tap.output().contains("/other"), "{}", tap.output());

    let mut top = Process::spawn("top", &mut mesh.weft(&["top", "--once"])?, mesh.dir.path())?;
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        mesh.send("3", "/counted").await?;
        if let Some(status) = top.try_wait()? {
            break status;
        }
        ensure!(Instant::now() < deadline, "top still counts: {}", top.output());
    };
    let output = top.output();
    ensure!(status.success() && output.contains("orders.default") && output.contains("100.00 %"), "{output}");
    Ok(())
}

#[tokio::test]
async fn an_access_log_of_errors_holds_failures_only() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("access.log");
    let path = log.to_str().context("the path is UTF-8")?;
    let options = ["--access-log", path, "--access-log-when", "errors", "--access-log-format", "text"];
    let mesh = Mesh::start(&options).await?;
    mesh.send("well", "/").await?;
    let failed = Request::get("/failed").header("host", "nowhere").body(Full::<Bytes>::default())?;
    ensure!(send(mesh.caller.outbound, failed).await?.status == 404);
    let written = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    eventually("the failure is written", TIMEOUT, async || {
        ensure!(written(&log).contains("outbound GET /failed 404"), "{}", written(&log));
        Ok(())
    })
    .await?;
    ensure!(written(&log).lines().count() == 1, "{}", written(&log));
    Ok(())
}
