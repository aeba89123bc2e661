//! A full disk: writes are refused with the reason, reads and watches go on, and nothing answered is missing once there
//! is room again.

use std::{fs, time::Duration};

use anyhow::{Context as _, bail, ensure};
use weft_control_plane::store::{SledStore, Store as _, StoreError};

use super::{disk::LoopDisk, workload};

const DISK_BYTES: u64 = 48 << 20;
/// What is freed afterwards.
const BALLAST_BYTES: usize = 24 << 20;
/// More transactions than the disk has room for.
const TRANSACTIONS_MAX: u64 = 20_000;

#[tokio::test]
async fn heavy_a_full_disk_refuses_writes_and_keeps_the_rest() -> anyhow::Result<()> {
    let mut disk = match LoopDisk::new(DISK_BYTES)? {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
    let ballast = disk.root().join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES])?;
    let directory = disk.root().join("store");
    let store = SledStore::open(&directory)?;
    let mut answered = 0;
    let refusal = loop {
        match store.commit(workload::txn(0, answered + 1)).await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
        // Each round is a bit larger than the last, as nothing is ever taken away from this key.
        let padding = weft_control_plane::store::Operation::Put {
            key: format!("/weft/1/padding/default/{answered}").into(),
            value: vec![2; 100_000].into(),
            lease: None,
        };
        let padding = weft_control_plane::store::Txn { guards: Vec::new(), operations: vec![padding] };
        if let Err(error) = store.commit(padding).await {
            break error;
        }
        ensure!(answered < TRANSACTIONS_MAX, "the disk is never full");
    };
    ensure!(matches!(refusal, StoreError::Disk { .. }), "{refusal}");
    println!("after {answered} answered commits: {refusal}");
    ensure!(workload::read(&*store).await?.get(&0) == Some(&answered), "reads go on");
    let mut watch = store.watch("/weft/1/durability/", store.revision()).context("watches go on")?;
    tokio::time::timeout(Duration::from_secs(5), watch.next()).await.ok();
    let Err(StoreError::Disk { .. }) = store.commit(workload::txn(0, answered + 1)).await else {
        bail!("a later write may not build on what is unknown");
    };
    store.close().await;

    fs::remove_file(ballast)?;
    let store = SledStore::open(&directory).context("with room again it opens")?;
    let found = workload::read(&*store).await?;
    ensure!(
        found.get(&0).is_some_and(|last| *last >= answered),
        "{answered} were answered, {found:?} are there"
    );
    store.close().await;
    drop(store);
    disk.unmount()
}
