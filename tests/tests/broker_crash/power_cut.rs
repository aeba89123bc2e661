//! Power cuts at random moments, again and again on one file system. A broker that confirms what only the kernel knows
//! passes every test with `kill -9` and fails this one.

use std::{
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;
use weft_tests::{Broker, Scale};

use crate::{disk::LoopDisk, work::Work};

const DISK_BYTES: u64 = 2 << 30;
/// How long the broker lives on after the cut: whatever it still confirms must be there.
const AFTERMATH: Duration = Duration::from_millis(300);

#[tokio::test]
async fn heavy_a_power_cut_loses_nothing_that_was_confirmed() -> anyhow::Result<()> {
    let Some(mut disk) = LoopDisk::new_or_skip(DISK_BYTES)? else { return Ok(()) };
    let dir = TempDir::new()?;
    // What the process prints is beside the disk, not on it.
    std::fs::create_dir(disk.root().join("broker"))?;
    symlink(disk.root().join("broker"), dir.path().join("broker"))?;
    let mut broker = Broker::start(dir.path()).await?;
    let work = Work::prepare(broker.amqp).await?;
    let cuts = Scale::current().pick(2, 20);
    for cut in 1..=cuts {
        let life = work.begin(broker.amqp);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..1_500))).await;
        let life = life.check_alive().with_context(|| format!("before cut {cut}"))?;
        let at = Instant::now();
        disk.cut_power()?;
        tokio::time::sleep(AFTERMATH).await;
        broker.kill9()?;
        life.end().await?;
        work.ledger().ended(at);
        disk.unmount()?;
        disk.mount()?;
        broker.restart().await.with_context(|| format!("after cut {cut}"))?;
        work.ledger().verdict().with_context(|| format!("at cut {cut}"))?;
    }
    work.finish(broker.amqp).await?;
    let ledger = work.ledger();
    let (confirms, deliveries, returns) = (ledger.confirms, ledger.deliveries, ledger.returns);
    println!("{cuts} power cuts, {confirms} confirmed, {deliveries} delivered, {returns} of them again");
    broker.kill9()?;
    disk.unmount()
}
