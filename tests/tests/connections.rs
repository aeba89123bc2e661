//! Many connections: open and used now and then, or opened and closed all the time. What they take of memory is given
//! back.

#![allow(clippy::print_stdout, reason = "the figures are quoted from the output")]

use std::{path::Path, time::Duration};

use anyhow::ensure;
use weft_tests::{
    Scale, Sidecar,
    load::flood::{Flood, Tally},
    machine::{self, Usage},
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
const CONNECTION_KIB_MAX: u64 = 24;

async fn sidecar(dir: &Path, upstream: &Upstream) -> anyhow::Result<Sidecar> {
    machine::open_many_files()?;
    let mut sidecar = Sidecar::in_front_of(dir, upstream.address).await?;
    machine::part(sidecar.process().pid())?;
    Ok(sidecar)
}

fn flood(sidecar: &Sidecar, rate: f64, connections: usize, closes: bool) -> Flood {
    Flood {
        target: sidecar.outbound,
        host: SERVICE.to_owned(),
        rate,
        warm_up: Duration::from_secs(1),
        duration: Scale::current().pick(Duration::from_secs(5), Duration::from_secs(60)),
        connections,
        patience: Duration::from_secs(1),
        closes,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_each_of_many_connections_has_a_request_a_second() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Answers)?;
    let mut sidecar = sidecar(dir.path(), &upstream).await?;
    let (connections, rate) = Scale::current().pick((1_000, 1_000.0), (10_000, 10_000.0));
    let many = flood(&sidecar, rate, connections, false);
    let before = warm(&mut sidecar, &many).await?;
    let (tally, kib) = run(&mut sidecar, many, &format!("{connections} of them")).await?;
    assert!(tally.good * 1_000 >= tally.offered * 999, "{}", tally.summary());
    let most = before + CONNECTION_KIB_MAX * u64::try_from(connections)?;
    assert!(kib <= most, "{before} KiB before, {kib} KiB now");
    gives_back(&mut sidecar, before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_connections_that_come_and_go_leave_nothing_behind() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Answers)?;
    let mut sidecar = sidecar(dir.path(), &upstream).await?;
    let rate = Scale::current().pick(500.0, 1_000.0);
    let churn = flood(&sidecar, rate, 4_000, true);
    let before = warm(&mut sidecar, &churn).await?;
    let (tally, _) = run(&mut sidecar, churn, "opened and closed").await?;
    assert!(tally.good * 1_000 >= tally.offered * 999, "{}", tally.summary());
    gives_back(&mut sidecar, before).await
}
