//! A full disk: writes are refused with the reason, reads and watches go on, and nothing answered is missing once there
//! is room again.

use std::fs;

use anyhow::{Context as _, bail, ensure};
use weft_control_plane::store::{Operation, SledStore, Store as _, StoreError, Txn};

use super::{disk::LoopDisk, workload};

const DISK_BYTES: u64 = 48 << 20;
/// What is freed afterwards.
const BALLAST_BYTES: usize = 24 << 20;
const PADDING_BYTES: usize = 100_000;
/// More transactions than the disk has room for.
const TRANSACTIONS_MAX: u64 = 20_000;

#[tokio::test]
async fn heavy_a_full_disk_refuses_writes_and_keeps_the_rest() -> anyhow::Result<()> {
    let Some(mut disk) = LoopDisk::new_or_skip(DISK_BYTES)? else { return Ok(()) };
    let ballast = disk.root().join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES])?;
    let directory = disk.root().join("store");
    let store = SledStore::open(&directory)?;
    let mut watch = store.watch("/weft/1/durability/", 1)?;

    let (answered, refusal) = fill(&store).await?;
    ensure!(matches!(refusal, StoreError::Disk { .. }), "{refusal}");
    println!("after {answered} answered commits: {refusal}");
    ensure!(workload::read(&*store).await?.get(&0) == Some(&answered), "reads go on");
    for _ in 0..answered {
        watch.next().await.context("watches go on")?;
    }
    let Err(StoreError::Disk { .. }) = store.commit(workload::txn(0, answered + 1)).await else {
        bail!("a later write may not build on what is unknown");
    };
    store.close().await;
    // Whether a full disk has the few bytes that an opening takes is luck; that it is not damaged must be clear.
    match SledStore::open(&directory).map(|_| ()) {
        Ok(()) | Err(StoreError::Open { .. }) => {}
        Err(error) => bail!("on a full disk: {error}"),
    }

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

/// Commits until the store refuses; gives how many transactions of the workload were answered, and the refusal.
async fn fill(store: &SledStore) -> anyhow::Result<(u64, StoreError)> {
    for number in 1..TRANSACTIONS_MAX {
        if let Err(error) = store.commit(workload::txn(0, number)).await {
            return Ok((number - 1, error));
        }
        // The workload deletes as much as it puts; this only grows.
        let key = format!("/weft/1/padding/default/{number}").into();
        let operations = vec![Operation::Put { key, value: vec![2; PADDING_BYTES].into(), lease: None }];
        if let Err(error) = store.commit(Txn { guards: Vec::new(), operations }).await {
            return Ok((number, error));
        }
    }
    bail!("the disk is never full")
}
