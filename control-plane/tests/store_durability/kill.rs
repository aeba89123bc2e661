//! `kill -9` at random moments, again and again on one directory.

use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use weft_control_plane::store::SledStore;

use super::{
    scale, workload,
    writer::{Writer, check_nothing_lost},
};

#[tokio::test]
async fn heavy_a_killed_writer_loses_nothing_it_was_answered() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let mut answers = 0;
    let rounds = scale::pick(8, 50)?;
    for round in 0..rounds {
        let mut writer = Writer::start(directory.path())?;
        writer.follow(Duration::from_millis(fastrand::u64(0..300)))?;
        writer.kill()?;
        answers += writer.answers;
        let store = SledStore::open(directory.path()).with_context(|| format!("after kill {round}"))?;
        let found = workload::read(&*store).await.with_context(|| format!("after kill {round}"))?;
        check_nothing_lost(&writer.answered, &found).with_context(|| format!("after kill {round}"))?;
        store.close().await;
    }
    println!("{rounds} kills, {answers} answered commits, all there");
    Ok(())
}
