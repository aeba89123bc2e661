//! Damaged files: an opening either finds everything that was written, or says that it does not. It never panics,
//! and never goes on with less.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use weft_control_plane::store::{SledStore, Store as _, StoreError};

use super::{scale, workload};

const TRANSACTIONS: u64 = 250;

#[derive(Debug)]
enum Damage {
    Flip { file: PathBuf, at: u64, bit: u8 },
    Truncate { file: PathBuf, length: u64 },
    Zero { file: PathBuf, at: u64, length: usize },
}

impl Damage {
    fn random(root: &Path, random: &mut fastrand::Rng) -> anyhow::Result<Self> {
        let mut files = files_of(root)?;
        files.retain(|file| !file.ends_with("lock"));
        // Mostly the large one.
        let db = root.join("sled/db");
        let file = if random.u8(..4) > 0 { db } else { files.swap_remove(random.usize(..files.len())) };
        let length = fs::metadata(&file)?.len().max(1);
        let at = random.u64(..length);
        Ok(match random.u8(..4) {
            0 => Self::Truncate { file, length: at },
            1 => Self::Zero { file, at, length: 4_096 },
            _ => Self::Flip { file, at, bit: random.u8(..8) },
        })
    }

    fn inflict(&self) -> anyhow::Result<()> {
        let open = |file| OpenOptions::new().read(true).write(true).open(file);
        match self {
            Self::Flip { file, at, bit } => {
                let file = open(file)?;
                let mut byte = [0];
                if file.read_at(&mut byte, *at)? == 1 {
                    file.write_all_at(&byte.map(|byte| byte ^ (1 << bit)), *at)?;
                }
            }
            Self::Truncate { file, length } => open(file)?.set_len(*length)?,
            Self::Zero { file, at, length } => open(file)?.write_all_at(&vec![0; *length], *at)?,
        }
        Ok(())
    }
}

#[tokio::test]
async fn heavy_damage_is_reported_and_never_read_over() -> anyhow::Result<()> {
    let original = TempDir::new()?;
    let store = SledStore::open(original.path())?;
    for number in 1..=TRANSACTIONS {
        store.commit(workload::txn(number % 3, number / 3 + 1)).await?;
    }
    let (written, revision) = (workload::read(&*store).await?, store.revision());
    store.close().await;
    drop(store);

    let (mut reported, mut harmless) = (0, 0);
    let cases = scale::pick(60, 1_000)?;
    let mut random = fastrand::Rng::with_seed(2);
    for case in 0..cases {
        let copy = TempDir::new()?;
        copy_all(original.path(), copy.path())?;
        let damage = Damage::random(copy.path(), &mut random)?;
        damage.inflict()?;
        match SledStore::open(copy.path()) {
            Ok(store) => {
                let found = workload::read(&*store).await.with_context(|| format!("{case}: {damage:?}"))?;
                ensure!(found == written, "{case}: {damage:?}: found {found:?}, written was {written:?}");
                ensure!(store.revision() == revision, "{case}: {damage:?}: at {}", store.revision());
                harmless += 1;
            }
            Err(StoreError::Damaged { .. } | StoreError::NewerFormat { .. }) => reported += 1,
            Err(error) => anyhow::bail!("{case}: {damage:?}: {error}"),
        }
    }
    println!("{cases} damages: {reported} reported, {harmless} where nothing was");
    ensure!(reported > cases / 4, "only {reported} of {cases} were noticed");
    Ok(())
}

fn files_of(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_of(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for file in files_of(from)? {
        let target = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(target.parent().context("it is below the root")?)?;
        fs::copy(&file, &target)?;
    }
    Ok(())
}
