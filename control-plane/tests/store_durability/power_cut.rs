//! Power cuts at random moments, again and again on one file system. A store that only asked the kernel to begin
//! writing (as sled's own flush does) passes every test with `kill -9` and fails this one.

use std::time::Duration;

use anyhow::Context as _;
use weft_control_plane::store::SledStore;

use super::{
    disk::LoopDisk,
    scale, workload,
    writer::{Writer, check_nothing_lost},
};

const DISK_BYTES: u64 = 512 << 20;

#[tokio::test]
async fn heavy_a_power_cut_loses_nothing_that_was_answered() -> anyhow::Result<()> {
    let mut disk = match LoopDisk::new(DISK_BYTES)? {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
    let directory = disk.root().join("store");
    let mut answers = 0;
    let cuts = scale::pick(3, 20)?;
    for cut in 0..cuts {
        let mut writer = Writer::start(&directory)?;
        writer.follow(Duration::from_millis(fastrand::u64(0..1_500)))?;
        disk.cut_power()?;
        // It may be told of answers until the last moment, so it is not killed before.
        writer.follow(Duration::from_millis(50))?;
        writer.kill()?;
        answers += writer.answers;
        disk.unmount()?;
        disk.mount()?;
        let store = SledStore::open(&directory).with_context(|| format!("after cut {cut}"))?;
        let found = workload::read(&*store).await.with_context(|| format!("after cut {cut}"))?;
        check_nothing_lost(&writer.answered, &found).with_context(|| format!("after cut {cut}"))?;
        store.close().await;
    }
    println!("{cuts} power cuts, {answers} answered commits, all there");
    disk.unmount()
}
