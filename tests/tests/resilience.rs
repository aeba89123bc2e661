//! What users see when parts of the mesh fail under load: nothing. Real processes, an open-loop load whose
//! latency counts from the scheduled time.

#![allow(clippy::print_stdout, reason = "the figures are quoted from the output")]

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use http::Method;
use nix::sys::signal::Signal;
use weft_tests::{
    ControlPlane, Replica, Scale, Sidecar,
    http::{get, put},
    load::{Load, Plan, Report},
    process::signal_pid,
    wait::eventually,
};

const SERVICE: &str = "orders";
/// No answer may take longer, whatever fails.
const LATENCY_MAX: Duration = Duration::from_secs(6);

struct Mesh {
    dir: tempfile::TempDir,
    control: ControlPlane,
    replicas: Vec<Replica>,
    caller: Sidecar,
}

impl Mesh {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let control = ControlPlane::start(dir.path()).await?;
        let mut replicas = Vec::new();
        for id in ["orders-1", "orders-2", "orders-3"] {
            replicas.push(Replica::start(dir.path(), &control, SERVICE, id).await?);
        }
        control.wait_passing(SERVICE, replicas.len()).await?;
        let caller = caller(dir.path(), &control, "caller").await?;
        Ok(Self { dir, control, replicas, caller })
    }

    fn load(&self, method: Method, rate: u32, duration: Duration) -> Load {
        let (target, host) = (self.caller.outbound, SERVICE.to_owned());
        Load::start(Plan { target, host, method, rate, duration })
    }

    fn replica(&mut self, index: usize) -> anyhow::Result<&mut Replica> {
        self.replicas.get_mut(index).context("three replicas")
    }
}

async fn caller(dir: &Path, control: &ControlPlane, name: &str) -> anyhow::Result<Sidecar> {
    let config = dir.join(format!("{name}.yaml"));
    std::fs::write(&config, format!("subscribe: [{SERVICE}]\n"))?;
    let config = config.to_str().context("a path")?;
    Sidecar::start(dir, name, &["--control-plane", &format!("http://{}", control.grpc), "--config", config])
        .await
}

fn no_failure(report: &Report) -> anyhow::Result<()> {
    println!("{}", report.summary());
    ensure!(report.failed == 0, "{} of {} failed", report.failed, report.sent);
    ensure!(report.max() < LATENCY_MAX, "one took {:?}", report.max());
    Ok(())
}

async fn one_killed_one_stopped(stop_sidecar_too: bool) -> anyhow::Result<()> {
    let (rate, duration) =
        Scale::current().pick((300, Duration::from_secs(12)), (1_000, Duration::from_secs(20)));
    let mut mesh = Mesh::start().await?;
    let load = mesh.load(Method::GET, rate, duration);
    tokio::time::sleep(duration / 5).await;
    mesh.replica(0)?.kill()?;
    tokio::time::sleep(duration / 5).await;
    let stopped = mesh.replica(1)?;
    if stop_sidecar_too {
        stopped.signal(Signal::SIGSTOP)?;
    } else {
        signal_pid(stopped.app_pid, Signal::SIGSTOP)?;
    }
    let report = load.report().await?;
    no_failure(&report)?;
    // A short run, on a machine whose host may take a third of it away for seconds, says less of the last hundredth.
    let (share, most) =
        Scale::current().pick((0.95, Duration::from_secs(1)), (0.99, Duration::from_millis(100)));
    let slowest = report.quantile(share);
    ensure!(slowest < most, "{share} of them take up to {slowest:?}");
    ensure!(report.by_instance.len() == 3, "not all replicas had a part: {:?}", report.by_instance);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn load_a_killed_and_a_stopped_replica_fail_no_get() -> anyhow::Result<()> {
    one_killed_one_stopped(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn load_a_killed_replica_and_a_stopped_application_fail_no_get() -> anyhow::Result<()> {
    one_killed_one_stopped(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn load_a_post_reaches_an_application_once_though_replicas_are_killed() -> anyhow::Result<()> {
    let duration = Scale::current().pick(Duration::from_secs(6), Duration::from_secs(20));
    let mut mesh = Mesh::start().await?;
    let load = mesh.load(Method::POST, 300, duration);
    tokio::time::sleep(duration / 4).await;
    mesh.replica(0)?.kill()?;
    tokio::time::sleep(duration / 4).await;
    mesh.replica(1)?.kill()?;
    let report = load.report().await?;
    println!("{}", report.summary());

    let mut reached = Vec::new();
    for replica in &mesh.replicas {
        reached.extend(replica.journal()?);
    }
    let times = reached.len();
    reached.sort_unstable();
    reached.dedup();
    ensure!(reached.len() == times, "{} POSTs reached an application twice", times - reached.len());
    for key in &report.answered {
        ensure!(reached.binary_search(key).is_ok(), "{key} was answered and never arrived");
    }
    // Only what was under way at the killed replicas may fail.
    ensure!(report.failed < report.sent / 50, "{} of {} failed", report.failed, report.sent);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn load_replicas_restarted_in_turn_by_sigterm_fail_no_post() -> anyhow::Result<()> {
    let mut mesh = Mesh::start().await?;
    let load = mesh.load(Method::POST, 200, Duration::from_secs(120));
    for (index, id) in ["orders-1", "orders-2", "orders-3"].into_iter().enumerate() {
        let status = mesh.replica(index)?.sidecar.process().stop()?;
        println!("{id} ended with {status}");
        let started = Replica::start(mesh.dir.path(), &mesh.control, SERVICE, id).await?;
        *mesh.replica(index)? = started;
        mesh.control.wait_passing(SERVICE, 3).await?;
    }
    let report = load.stop().await?;
    no_failure(&report)?;
    ensure!(report.by_instance.len() == 3, "not all replicas had a part: {:?}", report.by_instance);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn load_an_absent_control_plane_fails_no_get() -> anyhow::Result<()> {
    let (rate, away) = Scale::current().pick((300, Duration::from_secs(5)), (1_000, Duration::from_secs(15)));
    let mut mesh = Mesh::start().await?;
    let stored = put(mesh.control.http, "/v1/kv/config/limit", "42").await?;
    ensure!(stored.text().trim() == "true", "{stored:?}");
    let mut second = caller(mesh.dir.path(), &mesh.control, "second").await?;
    ensure!(get(second.outbound, SERVICE, "/work").await?.status == 200);
    snapshot_written(&mesh.dir.path().join("second")).await?;
    second.process().stop()?;

    let load = mesh.load(Method::GET, rate, Duration::from_secs(120));
    tokio::time::sleep(Duration::from_secs(2)).await;
    mesh.control.kill()?;
    tokio::time::sleep(away / 2).await;
    let control_plane = format!("http://{}", mesh.control.grpc);
    let second = Sidecar::launch(mesh.dir.path(), "second", &["--control-plane", &control_plane]).await?;
    eventually("a sidecar serves from its disk", Duration::from_secs(5), async || {
        let answer = get(second.outbound, SERVICE, "/work").await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await?;
    tokio::time::sleep(away / 2).await;
    mesh.control.restart().await?;
    mesh.control.wait_passing(SERVICE, 3).await?;
    let value = get(mesh.control.http, "localhost", "/v1/kv/config/limit?raw").await?;
    ensure!(value.text() == "42", "the KV lost its value: {value:?}");
    // The load goes on past the reconnection of the streams.
    tokio::time::sleep(Duration::from_secs(2)).await;
    no_failure(&load.stop().await?)
}

/// It is written at most once a second.
async fn snapshot_written(dir: &Path) -> anyhow::Result<()> {
    eventually("the snapshot is on disk", Duration::from_secs(5), async || {
        let files = std::fs::read_dir(dir.join("mesh"))?.collect::<Result<Vec<_>, _>>()?;
        let found = files.iter().any(|file| file.file_name().to_string_lossy().contains("snapshot"));
        ensure!(found, "only {files:?}");
        Ok(())
    })
    .await
}
