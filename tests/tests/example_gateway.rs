//! The gateway example, run by `weft up` as a person would: jobs are taken, calls are shared out, what is
//! killed is replaced, and nothing is left behind.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::task::JoinSet;
use weft_tests::{
    http::{Answer, get, send},
    process::{binary, signal_pid},
    up::{Up, all_gone},
    wait::eventually,
};

const FILE: &str = "examples/gateway/weft.yaml";
/// For a replica to be back after it was killed.
const BACK_TIMEOUT: Duration = Duration::from_secs(30);
/// More than one replica answers while the others wait.
const CALLS_AT_ONCE: usize = 20;
/// For `weft up` to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

async fn submit(edge: SocketAddr, body: &str) -> anyhow::Result<Answer> {
    let request =
        Request::post("/jobs").header("host", "api-server").header("content-type", "application/json");
    send(edge, request.body(Full::new(Bytes::from(body.to_owned())))?).await
}

/// The account manager that a call reached; an error unless it was answered well.
async fn manager(edge: SocketAddr) -> anyhow::Result<String> {
    let answer = get(edge, "api-server", "/accounts/biology").await?;
    ensure!(answer.status == StatusCode::OK, "{answer:?}");
    let body = answer.json()?;
    let manager = body.get("account_manager").and_then(Value::as_str);
    Ok(manager.context("the answer names no account manager")?.to_owned())
}

fn pid(replica: &Value, field: &str) -> anyhow::Result<u32> {
    Ok(u32::try_from(
        replica.get(field).and_then(Value::as_u64).with_context(|| format!("no {field} in {replica}"))?,
    )?)
}

#[tokio::test]
async fn jobs_are_taken_and_calls_are_shared_out() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut up = Up::start(dir.path(), FILE).await?;
    let edge = up.edge()?;

    let taken = submit(edge, r#"{"account": "biology", "jobtype": "fold", "credits": 2}"#).await?;
    ensure!(taken.status == StatusCode::CREATED, "{taken:?}");
    let id = taken.json()?["id"].as_str().context("no id")?.to_owned();
    let shown = get(edge, "api-server", &format!("/jobs/{id}")).await?;
    assert_eq!(shown.json()?["state"], "accepted");
    let poor = submit(edge, r#"{"account": "chemistry", "jobtype": "fold", "credits": 11}"#).await?;
    assert_eq!(poor.status, StatusCode::PAYMENT_REQUIRED);
    let unknown = submit(edge, r#"{"account": "alchemy", "jobtype": "fold"}"#).await?;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    // Many at once: one after the other, the fastest replica has room for all of them.
    let (mut managers, begun) = (BTreeSet::new(), Instant::now());
    while managers.len() < 3 && begun.elapsed() < BACK_TIMEOUT {
        let mut calls = JoinSet::new();
        (0..CALLS_AT_ONCE).for_each(|_| drop(calls.spawn(manager(edge))));
        while let Some(answer) = calls.join_next().await {
            managers.insert(answer??);
        }
    }
    assert_eq!(managers.len(), 3, "{managers:?}");
    assert!(up.process().stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_killed_replica_and_a_killed_control_plane_are_replaced_and_no_request_fails() -> anyhow::Result<()>
{
    let dir = tempfile::tempdir()?;
    let up = Up::start(dir.path(), FILE).await?;
    let edge = up.edge()?;
    let before = up.replica("account-manager-2")?;
    let control_before = up.status()?["control_plane"].clone();

    signal_pid(pid(&before, "sidecar_pid")?, Signal::SIGKILL)?;
    let _dies_with_its_sidecar = signal_pid(pid(&before, "app_pid")?, Signal::SIGKILL);
    signal_pid(pid(&control_before, "pid")?, Signal::SIGKILL)?;
    for _ in 0..40 {
        manager(edge).await?;
    }
    eventually("the replica answers again", BACK_TIMEOUT, async || {
        ensure!(manager(edge).await? == "account-manager-2");
        Ok(())
    })
    .await?;
    let after = up.replica("account-manager-2")?;
    assert_ne!(pid(&after, "app_pid")?, pid(&before, "app_pid")?);
    let control_after = up.status()?["control_plane"].clone();
    assert_ne!(control_after["pid"], control_before["pid"]);
    assert_eq!(control_after["http"], control_before["http"], "others hold its address");
    Ok(())
}

#[tokio::test]
async fn a_mesh_that_is_told_to_stop_leaves_nothing_behind() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut up = Up::start(dir.path(), FILE).await?;
    let pids = up.pids()?;
    up.process().signal(Signal::SIGINT)?;
    let status = up.process().wait(STOP_TIMEOUT)?;
    assert!(status.success(), "{status}");
    all_gone(&pids).await
}

#[tokio::test]
async fn a_mesh_whose_weft_up_is_killed_leaves_nothing_behind() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut up = Up::start(dir.path(), FILE).await?;
    let pids = up.pids()?;
    up.process().kill()?;
    all_gone(&pids).await
}

#[tokio::test]
async fn the_command_line_finds_the_mesh_and_answers_by_exit_code() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut up = Up::start(dir.path(), FILE).await?;
    let code = |arguments: &[&str]| anyhow::Ok(up.weft(arguments)?.status.code());
    assert_eq!(code(&["status"])?, Some(0));
    assert_eq!(code(&["status", "account-manager"])?, Some(0));
    assert_eq!(code(&["status", "nobody"])?, Some(1));
    let endpoints = up.weft(&["endpoints", "account-manager", "-o", "json"])?;
    let endpoints: Value = serde_json::from_slice(&endpoints.stdout)?;
    assert_eq!(endpoints["endpoints"].as_array().map(Vec::len), Some(3));
    assert_eq!(code(&["kv", "put", "a/b", "c d"])?, Some(0));
    assert_eq!(up.weft(&["kv", "get", "a/b"])?.stdout, b"c d\n");
    assert_eq!(code(&["kv", "put", "a/b", "x", "--cas", "0"])?, Some(1));
    assert_eq!(code(&["kv", "delete", "a/b"])?, Some(0));
    assert_eq!(code(&["kv", "get", "a/b"])?, Some(1));
    up.process().stop()?;
    let gone = up.weft(&["status"])?;
    assert_eq!(gone.status.code(), Some(2), "{gone:?}");
    Ok(())
}

#[test]
fn the_demo_ends_by_itself_and_no_request_fails() -> anyhow::Result<()> {
    let mut demo = std::process::Command::new(binary("weft")?);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FILE);
    let output = demo.arg("demo").arg(file).args(["--rate", "50"]).env("DEMO_SECONDS", "6").output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    for words in
        ["kill -9 account-manager-2", "kill -9 the control plane", "no request failed; 0 processes left"]
    {
        ensure!(text.contains(words), "`{words}` is not in\n{text}");
    }
    Ok(())
}
