//! Power cuts at random moments, again and again on one file system. A store that only asked the kernel to begin
//! writing (as sled's own flush does) passes every test with `kill -9` and fails this one.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use weft_control_plane::store::SledStore;

use super::{
    disk::LoopDisk,
    scale,
    workload::{self, Last},
    writer::{Writer, check_nothing_lost},
};

const DISK_BYTES: u64 = 512 << 20;

#[tokio::test]
async fn heavy_a_power_cut_loses_nothing_that_was_answered() -> anyhow::Result<()> {
    let Some(mut disk) = LoopDisk::new_or_skip(DISK_BYTES)? else { return Ok(()) };
    let directory = disk.root().join("store");
    let mut answers = 0;
    let cuts = scale::pick(3, 20)?;
    for cut in 0..cuts {
        let mut writer = Writer::start(&directory)?;
        writer.follow(Duration::from_millis(fastrand::u64(0..1_500)))?;
        disk.cut_power()?;
        // It may be told of answers until the last moment, so it is not killed before the disk's error reaches it.
        let failure = writer.follow_to_failure()?;
        ensure!(failure.contains("cannot be written"), "{failure}");
        answers += writer.answers;
        check_after(&mut disk, &directory, &mut writer).await.with_context(|| format!("after cut {cut}"))?;
    }
    println!("{cuts} power cuts, {answers} answered commits, all there");
    disk.unmount()
}

/// Openings write too: they create, or cut off what was torn. So they are cut as well, and twice in a row.
#[tokio::test]
async fn heavy_a_power_cut_while_it_opens_leaves_a_store_that_opens() -> anyhow::Result<()> {
    let Some(mut disk) = LoopDisk::new_or_skip(DISK_BYTES)? else { return Ok(()) };
    let rounds = scale::pick(2, 12)?;
    for round in 0..rounds {
        let directory = disk.root().join(format!("store-{round}"));
        let mut answered = Last::new();
        for cut in 0..5 {
            let mut writer = Writer::spawn(&directory)?;
            // An opening takes about as long; a later cut finds a torn log for the next one to mend.
            writer.follow(Duration::from_micros(fastrand::u64(5_000..120_000)))?;
            disk.cut_power()?;
            // Only what is on the disk afterwards is looked at here, not what a process says whose disk dies
            // while it opens: sled has been seen to say nothing then.
            writer.kill()?;
            answered.append(&mut writer.answered);
            writer.answered.clone_from(&answered);
            let what = || format!("round {round}, cut {cut}");
            check_after(&mut disk, &directory, &mut writer).await.with_context(what)?;
        }
        std::fs::remove_dir_all(&directory)?;
    }
    println!("{rounds} times 5 power cuts during or soon after an opening");
    disk.unmount()
}

/// Brings the power back, and compares what is there with what the writer was answered.
async fn check_after(disk: &mut LoopDisk, directory: &Path, writer: &mut Writer) -> anyhow::Result<()> {
    writer.kill()?;
    disk.unmount()?;
    disk.mount()?;
    let store = SledStore::open(directory)?;
    let found = workload::read(&*store).await?;
    check_nothing_lost(&writer.answered, &found)?;
    store.close().await;
    Ok(())
}
