//! More is asked than can be done: of an upstream that is slow, and of one that is down. What is done in time must not
//! fall for it, and memory stays where it is.

#![allow(clippy::print_stdout, reason = "the figures are quoted from the output")]

use std::{fmt::Write, fs, path::Path, time::Duration};

use weft_tests::{
    Scale, Sidecar,
    load::flood::{Flood, Tally},
    machine::{self, Usage},
    upstream::{Manner, Upstream},
};

const SERVICE: &str = "orders";
/// The upstream's workers, and what one needs for a request.
const WORKERS: usize = 8;
const WORK: Duration = Duration::from_millis(20);
/// So many requests a second are what it can do.
const CAPACITY: f64 = 400.0;
/// Who waits for longer has gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a sidecar may hold more under load than before it, in KiB.
const GROWTH_KIB_MAX: u64 = 64 * 1_024;

/// A sidecar that stands alone before these upstreams, with this policy, on a core of its own.
async fn sidecar(dir: &Path, upstreams: &[&Upstream], policy: &str) -> anyhow::Result<Sidecar> {
    machine::open_many_files()?;
    let mut config = format!("policy: {policy}\nservices:\n  {SERVICE}:\n");
    for upstream in upstreams {
        let (ip, port) = (upstream.address.ip(), upstream.address.port());
        writeln!(config, "    - {{address: {ip}, port: {port}, protocol: http}}")?;
    }
    let file = dir.join("sidecar.yaml");
    fs::write(&file, config)?;
    let file = file.to_str().expect("a temporary path is UTF-8");
    let records = dir.join("records");
    let records = records.to_str().expect("a temporary path is UTF-8");
    let mut sidecar = Sidecar::start(dir, "sidecar", &["--config", file, "--access-log", records]).await?;
    machine::part(sidecar.process().pid())?;
    Ok(sidecar)
}

fn flood(sidecar: &Sidecar, rate: f64, connections: usize) -> Flood {
    Flood {
        target: sidecar.outbound,
        host: SERVICE.to_owned(),
        rate,
        warm_up: Duration::from_secs(2),
        duration: Scale::current().pick(Duration::from_secs(3), Duration::from_secs(20)),
        connections,
        patience: PATIENCE,
        closes: false,
    }
}

/// One run, with the sidecar's use of its core in percent and its memory in KiB.
async fn run(sidecar: &mut Sidecar, flood: Flood, what: &str) -> anyhow::Result<(Tally, f64, u64)> {
    let pid = sidecar.process().pid();
    let usage = Usage::begin(pid)?;
    let tally = flood.run().await?;
    let (percent, kib) = (usage.percent()?, machine::resident_kib(pid)?);
    println!("overload, {what}: {}, sidecar {percent:.0} % of a core, {kib} KiB", tally.summary());
    Ok((tally, percent, kib))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_an_upstream_offered_twice_what_it_can_do_does_what_it_can() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Works(WORKERS, WORK))?;
    let mut sidecar = sidecar(dir.path(), &[&upstream], "{concurrency: adaptive}").await?;
    let idle = machine::resident_kib(sidecar.process().pid())?;
    let mut best: f64 = 0.0;
    for part in [0.9, 1.0] {
        let flood = flood(&sidecar, CAPACITY * part, 1_000);
        best = best.max(run(&mut sidecar, flood, &format!("upstream at {part}")).await?.0.goodput());
    }
    let twice = flood(&sidecar, CAPACITY * 2.0, 2_000);
    let (tally, percent, kib) = run(&mut sidecar, twice, "upstream at 2").await?;
    println!("overload, upstream at 2: {:.1} % of the best", tally.goodput() / best * 100.0);
    assert!(percent < 70.0, "the sidecar is what is overloaded: {percent:.0} %");
    assert!(tally.goodput() > best * 0.9, "best {best:.0}/s, {}", tally.summary());
    assert!(tally.quantile(0.99) < PATIENCE / 2, "{}", tally.summary());
    assert!(kib < idle + GROWTH_KIB_MAX, "{idle} KiB before, {kib} KiB now");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_an_upstream_that_is_down_gets_no_storm_of_retries() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstreams = [Upstream::start(Manner::Dies)?, Upstream::start(Manner::Dies)?];
    let mut sidecar = sidecar(dir.path(), &[&upstreams[0], &upstreams[1]], "{}").await?;
    let flood = Flood { warm_up: Duration::ZERO, ..flood(&sidecar, 500.0, 1_000) };
    let (tally, _, _) = run(&mut sidecar, flood, "upstream down").await?;
    let received: u64 = upstreams.iter().map(Upstream::received).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    let ratio = received as f64 / tally.offered as f64;
    println!("overload, upstream down: {received} attempts, {ratio:.3} of what was asked");
    assert!(ratio <= 1.2 + 0.02, "{ratio:.3}");
    Ok(())
}
