//! A directory has one process at a time.

use tempfile::TempDir;
use weft_control_plane::store::{SledStore, StoreError};

use super::writer::Writer;

#[tokio::test]
async fn a_second_process_is_told_that_the_directory_is_in_use() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let mut writer = Writer::start(directory.path())?;
    let refused = SledStore::open(directory.path()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    writer.kill()?;
    SledStore::open(directory.path())?.close().await;
    Ok(())
}
