//! Many connections: open and used now and then, or opened and closed all the time. What they take of memory is given
//! back.

#![allow(clippy::print_stdout, reason = "the figures are quoted from the output")]

use std::{path::Path, time::Duration};

use anyhow::ensure;
use serde_json::Value;
use weft_tests::{
    Scale, Sidecar,
    load::flood::{Flood, Tally},
    machine::{self, Usage},
    process,
    upstream::{Manner, Upstream},
    wait::eventually,
};

const SERVICE: &str = "orders";
/// What may be left of a load, in KiB.
const REST_KIB_MAX: u64 = 4 * 1_024;
/// How long memory may take to come back: idle connections to the upstream, which a burst has left, are closed after
/// a minute. On a machine with nothing else to do it is seconds.
const REST_TIMEOUT: Duration = Duration::from_secs(80);
/// Memory that stays so near for so long has settled.
const SETTLED_KIB: u64 = 256;
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// What a connection with a request a second may take, in KiB: all of its buffers, where it has no time to rest.
const CONNECTION_KIB_MAX: u64 = 48;
/// Seconds until the connections are open and each has had its first request, which costs more than the others.
const WARM_UP: &str = "5";

async fn sidecar(dir: &Path, upstream: &Upstream) -> anyhow::Result<Sidecar> {
    machine::open_many_files()?;
    let mut sidecar = Sidecar::in_front_of(dir, upstream.address).await?;
    machine::part(sidecar.process().pid())?;
    Ok(sidecar)
}

fn churn(sidecar: &Sidecar, rate: f64) -> Flood {
    Flood {
        target: sidecar.outbound,
        host: SERVICE.to_owned(),
        rate,
        warm_up: Duration::from_secs(1),
        duration: Scale::current().pick(Duration::from_secs(5), Duration::from_secs(60)),
        connections: 4_000,
        patience: Duration::from_secs(1),
        closes: true,
    }
}

async fn run(sidecar: &mut Sidecar, flood: Flood, what: &str) -> anyhow::Result<(Tally, u64)> {
    let pid = sidecar.process().pid();
    let usage = Usage::begin(pid)?;
    let tally = flood.run().await?;
    let (percent, kib) = (usage.percent()?, machine::resident_kib(pid)?);
    println!("connections, {what}: {}, sidecar {percent:.0} % of a core, {kib} KiB", tally.summary());
    Ok((tally, kib))
}

/// Waits until the sidecar holds hardly more than `before`.
async fn gives_back(sidecar: &mut Sidecar, before: u64) -> anyhow::Result<()> {
    let pid = sidecar.process().pid();
    let after = eventually("memory is given back", REST_TIMEOUT, async || {
        let kib = machine::resident_kib(pid)?;
        ensure!(kib <= before + REST_KIB_MAX, "{before} KiB before, {kib} KiB now");
        Ok(kib)
    })
    .await?;
    println!("connections: {before} KiB before, {after} KiB after");
    Ok(())
}

/// Memory after a second of the same load: code that has run, connections to the upstream, tables that have grown
/// once.
async fn warm(sidecar: &mut Sidecar, load: &Flood) -> anyhow::Result<u64> {
    let second = Flood { duration: Duration::from_secs(1), ..load.clone() };
    run(sidecar, second, "warm").await?;
    settled(sidecar).await
}

async fn settled(sidecar: &mut Sidecar) -> anyhow::Result<u64> {
    let pid = sidecar.process().pid();
    // Two looks a while apart that are alike.
    eventually("memory has settled", REST_TIMEOUT, async || {
        let before = machine::resident_kib(pid)?;
        tokio::time::sleep(SETTLED_AFTER).await;
        let now = machine::resident_kib(pid)?;
        ensure!(now.abs_diff(before) < SETTLED_KIB, "{before} KiB, then {now} KiB");
        Ok(now)
    })
    .await
}

/// The load of the benchmarks, which is lean enough for as many connections as there are: what it says of `seconds`
/// with a request a second on each.
async fn each_a_second(sidecar: &mut Sidecar, connections: usize, seconds: u64) -> anyhow::Result<Value> {
    let pid = sidecar.process().pid();
    let mut command = tokio::process::Command::new(process::binary("weft-bench")?);
    command.args(["load", "--work", "http1", "--host", SERVICE, "--target", &sidecar.outbound.to_string()]);
    command.args(["--connections", &connections.to_string(), "--rate", &connections.to_string()]);
    command.args(["--warm-up", WARM_UP, "--seconds", &seconds.to_string(), "--cpu-of", &pid.to_string()]);
    let output = command.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = serde_json::from_slice(&output.stdout)?;
    println!("connections, {connections} of them: {said}, {} KiB at most", machine::peak_kib(pid)?);
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_each_of_many_connections_has_a_request_a_second() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Answers)?;
    let mut sidecar = sidecar(dir.path(), &upstream).await?;
    let (connections, seconds) = Scale::current().pick((1_000, 5), (10_000, 60));
    each_a_second(&mut sidecar, connections, 1).await?;
    let before = settled(&mut sidecar).await?;
    let said = each_a_second(&mut sidecar, connections, seconds).await?;
    let offered = u64::try_from(connections)? * seconds;
    assert_eq!(said["failed"], 0, "{said}");
    assert!(said["completed"].as_u64().is_some_and(|done| done * 100 >= offered * 98), "{said}");
    let (most, peak) = (CONNECTION_KIB_MAX, machine::peak_kib(sidecar.process().pid())?);
    assert!(peak <= before + most * u64::try_from(connections)?, "{before} KiB before, {peak} KiB at most");
    gives_back(&mut sidecar, before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_connections_that_come_and_go_leave_nothing_behind() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Answers)?;
    let mut sidecar = sidecar(dir.path(), &upstream).await?;
    let rate = Scale::current().pick(500.0, 1_000.0);
    let churn = churn(&sidecar, rate);
    let before = warm(&mut sidecar, &churn).await?;
    let (tally, _) = run(&mut sidecar, churn, "opened and closed").await?;
    assert!(tally.good * 1_000 >= tally.offered * 999, "{}", tally.summary());
    gives_back(&mut sidecar, before).await
}
