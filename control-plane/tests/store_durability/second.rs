//! A directory has one process at a time.

use anyhow::{bail, ensure};
use tempfile::TempDir;
use weft_control_plane::store::{SledStore, StoreError};

use super::writer::Writer;

#[tokio::test]
async fn a_second_process_is_told_that_the_directory_is_in_use() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let mut writer = Writer::start(directory.path())?;
    let Err(refused @ StoreError::InUse { .. }) = SledStore::open(directory.path()).map(|_| ()) else {
        bail!("two processes have it");
    };
    let holder = format!("in use by another process (pid {})", writer.pid());
    ensure!(refused.to_string().contains(&holder), "{refused}");
    writer.kill()?;
    SledStore::open(directory.path())?.close().await;
    Ok(())
}
