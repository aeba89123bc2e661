//! What the registry says of real sidecars that die, stop, claim one id or outlive their control plane.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use weft_tests::{ControlPlane, Sidecar, http::get, wait::eventually};

const SERVICE: &str = "orders";
/// No lease ends for so long after a start of the control plane (DESIGN.md, "Registry and health").
const HOLD: Duration = Duration::from_secs(10);
/// A lease of 3 s, and what a busy machine adds.
const EXPIRY_MAX: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that must not change.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What a caller of Consul's API reads of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    id: String,
    status: String,
    output: String,
    modify_index: u64,
}

/// A control plane, and a port that stands for every application: only leases tell how an instance is.
struct Mesh {
    dir: tempfile::TempDir,
    control: ControlPlane,
    app: TcpListener,
}

impl Mesh {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let control = ControlPlane::start(dir.path()).await?;
        Ok(Self { dir, control, app: TcpListener::bind("127.0.0.1:0")? })
    }

    /// A sidecar of instance `id` that is ready.
    async fn sidecar(&self, name: &str, id: &str) -> anyhow::Result<Sidecar> {
        let (control_plane, app) =
            (format!("http://{}", self.control.grpc), self.app.local_addr()?.to_string());
        let own = ["--control-plane", &control_plane, "--app", &app, "--check", "tcp"];
        let named = ["--service", SERVICE, "--instance", id];
        Sidecar::start(self.dir.path(), name, &[&own[..], &named[..]].concat()).await
    }
}

async fn seen(control: &ControlPlane) -> anyhow::Result<Vec<Seen>> {
    let answer = get(control.http, "localhost", &format!("/v1/health/service/{SERVICE}")).await?.json()?;
    answer.as_array().context("not a list")?.iter().map(read).collect()
}

fn read(entry: &Value) -> anyhow::Result<Seen> {
    let id = entry.pointer("/Service/ID").and_then(Value::as_str).context("no id")?;
    let checks = entry["Checks"].as_array().context("no checks")?;
    let own = checks.iter().find(|check| check["CheckID"] == format!("service:{id}")).context("no check")?;
    let text = |field: &str| own[field].as_str().map(str::to_owned).context("not a text");
    let modify_index =
        entry.pointer("/Service/ModifyIndex").and_then(Value::as_u64).context("no ModifyIndex")?;
    Ok(Seen { id: id.to_owned(), status: text("Status")?, output: text("Output")?, modify_index })
}

async fn until_critical(control: &ControlPlane, id: &str) -> anyhow::Result<Seen> {
    eventually(&format!("{id} is critical"), PATIENCE, async || {
        let all = seen(control).await?;
        let one = all.iter().find(|one| one.id == id && one.status == "critical");
        one.cloned().with_context(|| format!("{all:?}"))
    })
    .await
}

async fn until_ids(control: &ControlPlane, wanted: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("the instances are {wanted:?}"), PATIENCE, async || {
        let ids: Vec<String> = seen(control).await?.into_iter().map(|one| one.id).collect();
        ensure!(ids == wanted, "{ids:?}");
        Ok(())
    })
    .await
}

/// Who is attached as `id`: its admin address.
async fn holder(control: &ControlPlane, id: &str) -> anyhow::Result<String> {
    let answer = get(control.http, "localhost", "/v1/weft/sidecars").await?.json()?;
    let all = answer.as_array().context("not a list")?;
    let one = all.iter().find(|one| one["id"] == id).with_context(|| format!("{id} is not attached"))?;
    Ok(one["admin_address"].as_str().context("no address")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sidecar_is_critical_and_listed_and_a_stopped_one_is_gone_at_once() -> anyhow::Result<()> {
    let mesh = Mesh::start().await?;
    let control = &mesh.control;
    let started = Instant::now();
    let mut killed = mesh.sidecar("killed", "killed").await?;
    let mut stopped = mesh.sidecar("stopped", "stopped").await?;
    control.wait_passing(SERVICE, 2).await?;

    stopped.process().stop()?;
    let ids: Vec<String> = seen(control).await?.into_iter().map(|one| one.id).collect();
    ensure!(ids == ["killed"], "after SIGTERM: {ids:?}");

    tokio::time::sleep((started + HOLD).saturating_duration_since(Instant::now())).await;
    killed.process().kill()?;
    let silent = Instant::now();
    let dead = until_critical(control, "killed").await?;
    ensure!(dead.output == "lease expired", "{dead:?}");
    ensure!(silent.elapsed() < EXPIRY_MAX, "only after {:?}", silent.elapsed());
    ensure!(control.passing(SERVICE).await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sidecars_with_one_id_the_younger_has_it_and_the_older_says_why_it_has_not()
-> anyhow::Result<()> {
    let mesh = Mesh::start().await?;
    let control = &mesh.control;
    let older = mesh.sidecar("older", "one").await?;
    control.wait_passing(SERVICE, 1).await?;
    let mut younger = mesh.sidecar("younger", "one").await?;
    let by_the_younger = younger.admin.to_string();
    eventually("the younger takes over", PATIENCE, async || {
        ensure!(holder(control, "one").await? == by_the_younger);
        Ok(())
    })
    .await?;
    // It tries again, and is told again.
    eventually("the older is told why", PATIENCE, async || {
        ensure!(holder(control, "one").await? == by_the_younger, "the older has it back");
        let log = older.output();
        let told = log.matches("attached with the newer incarnation").count();
        ensure!(told >= 2 && log.contains("give another --instance, or stop the other"), "{log}");
        Ok(())
    })
    .await?;
    let all = seen(control).await?;
    ensure!(all.len() == 1 && all[0].status == "passing", "{all:?}");

    younger.process().stop()?;
    eventually("the older has it again", PATIENCE, async || {
        ensure!(holder(control, "one").await? == older.admin.to_string());
        Ok(())
    })
    .await?;
    control.wait_passing(SERVICE, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_control_plane_keeps_who_comes_back_and_notices_who_does_not() -> anyhow::Result<()> {
    let mut mesh = Mesh::start().await?;
    let _first = mesh.sidecar("a", "a").await?;
    let _second = mesh.sidecar("b", "b").await?;
    let mut killed = mesh.sidecar("c", "c").await?;
    mesh.control.wait_passing(SERVICE, 3).await?;
    let before = seen(&mesh.control).await?;
    killed.process().kill()?;
    mesh.control.kill()?;
    mesh.control.restart().await?;
    let restarted = Instant::now();
    loop {
        let all = seen(&mesh.control).await?;
        ensure!(all.len() == 3, "one is lost: {all:?}");
        ensure!(all[..2] == before[..2], "one flapped: {all:?}, before {before:?}");
        if all[2].status == "critical" {
            ensure!(all[2].output == "lease expired", "{all:?}");
            break;
        }
        ensure!(restarted.elapsed() < HOLD + EXPIRY_MAX, "the dead one still passes: {all:?}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    ensure!(holder(&mesh.control, "a").await.is_ok() && holder(&mesh.control, "b").await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_with_attached_sidecars_stops_within_a_second() -> anyhow::Result<()> {
    let mut mesh = Mesh::start().await?;
    let _first = mesh.sidecar("a", "a").await?;
    let _second = mesh.sidecar("b", "b").await?;
    mesh.control.wait_passing(SERVICE, 2).await?;
    let begun = Instant::now();
    let status = mesh.control.process().stop()?;
    let took = begun.elapsed();
    ensure!(status.success(), "{status}");
    ensure!(took < Duration::from_secs(1), "it took {took:?}: {}", mesh.control.process().output());
    mesh.control.restart().await?;
    until_ids(&mesh.control, &["a", "b"]).await?;
    mesh.control.wait_passing(SERVICE, 2).await
}
