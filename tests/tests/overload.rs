//! More is asked than can be done: of an upstream, of the sidecar itself, and of an upstream that is down. What is
//! done in time must not fall for it, and memory stays where it is.

#![allow(clippy::print_stdout, reason = "the figures are quoted from the output")]

use std::{fmt::Write, fs, path::Path, time::Duration};

use weft_tests::{
    Scale, Sidecar, interop,
    load::flood::{Flood, Tally},
    machine::{self, Usage},
    quota::Quota,
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
/// The same, where it is the sidecar that has no time.
const CPU_PATIENCE: Duration = Duration::from_millis(500);
/// Until those have given up who came when nobody knew yet that it was too much, and what they left is worked off: with
/// the connections of the test, about twice the work of four seconds.
const CPU_WARM_UP: Duration = Duration::from_secs(15);
/// What it then has of a core, in percent: so little that the test can send four times as many requests as it can do.
const CPU_PERCENT: u64 = 10;
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
    let least = Scale::current().pick(0.8, 0.9);
    assert!(tally.goodput() > best * least, "best {best:.0}/s, {}", tally.summary());
    assert!(tally.quantile(0.99) < PATIENCE / 2, "{}", tally.summary());
    assert!(kib < idle + GROWTH_KIB_MAX, "{idle} KiB before, {kib} KiB now");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn heavy_a_sidecar_without_cpu_to_spare_does_not_do_less_the_more_is_asked() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = Upstream::start(Manner::Answers)?;
    let mut sidecar = sidecar(dir.path(), &[&upstream], "{}").await?;
    let _quota = match Quota::limit(sidecar.process().pid(), CPU_PERCENT) {
        Ok(quota) => quota,
        Err(error) => {
            interop::skip("a sidecar without cpu to spare", &format!("no limit on cpu: {error:#}"));
            return Ok(());
        }
    };
    // As many clients as it takes to keep it busy: each waits for its answer.
    let alone = flood(&sidecar, 20_000.0, 32);
    let capacity = run(&mut sidecar, alone, "sidecar's cpu, no more than it can").await?.0.goodput();
    let idle = machine::resident_kib(sidecar.process().pid())?;
    // Enough for all who are waiting to have one, and as many again where the system grants them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let connections = (capacity * 8.0 * CPU_PATIENCE.as_secs_f64()) as usize;
    let connections = connections.min(usize::try_from(machine::open_many_files()? / 4 * 3)?);
    let mut goodputs = Vec::new();
    for times in [2.0, 4.0] {
        let flood = flood(&sidecar, capacity * times, connections);
        let flood = Flood { patience: CPU_PATIENCE, warm_up: CPU_WARM_UP, ..flood };
        let (tally, _, kib) = run(&mut sidecar, flood, &format!("sidecar's cpu at {times}")).await?;
        assert!(kib < idle + GROWTH_KIB_MAX, "{idle} KiB before, {kib} KiB now");
        goodputs.push(tally.goodput());
    }
    let part = goodputs[1] / goodputs[0] * 100.0;
    println!(
        "overload, sidecar's cpu: of {capacity:.0}/s alone, {goodputs:.0?}/s at 2 and 4 times, {part:.0} %"
    );
    // A collapse leaves nothing, or next to nothing. In a short run, on a machine that others share, the figures of two
    // that are well differ threefold: they are compared where there is time.
    let (least, least_of_capacity) = Scale::current().pick((0.0, 0.1), (80.0, 0.2));
    assert!(part >= least, "it falls as load rises: {goodputs:?}");
    let good = goodputs.iter().all(|goodput| *goodput >= capacity * least_of_capacity);
    assert!(good, "of {capacity:.0}/s alone, {goodputs:?}");
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
