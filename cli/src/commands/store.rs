//! `weft store export` and `import`: a control plane's data as JSON lines, offline. The format is
//! `weft_control_plane::store::transfer`'s.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use weft_control_plane::store::{SledStore, transfer};

use super::Answer;
use crate::{args::StoreCommand, output};

/// Does what was typed.
pub(super) async fn run(command: StoreCommand) -> anyhow::Result<Answer> {
    match command {
        StoreCommand::Export { data_dir, to } => {
            anyhow::ensure!(
                SledStore::is_in(&data_dir),
                "there is no store in {}: give the --data-dir of weft-control-plane",
                data_dir.display()
            );
            export(&data_dir, to.as_deref()).await
        }
        StoreCommand::Import { data_dir, from } => import(&data_dir, from.as_deref()).await,
    }
}

async fn export(data_dir: &Path, to: Option<&Path>) -> anyhow::Result<Answer> {
    let store = SledStore::open(data_dir)?;
    let mut out: Box<dyn Write> = match to {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let keys = transfer::export(store.as_ref(), &mut out).await?;
    out.flush().context("cannot write the export")?;
    store.close().await;
    output::note(format!("{keys} keys written"));
    Ok(Answer::Yes)
}

async fn import(data_dir: &Path, from: Option<&Path>) -> anyhow::Result<Answer> {
    let store = SledStore::open(data_dir)?;
    let imported = match from {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            transfer::import(store.as_ref(), &mut BufReader::new(file)).await
        }
        None => transfer::import(store.as_ref(), &mut BufReader::new(io::stdin())).await,
    };
    store.close().await;
    output::note(format!("{} keys read", imported?));
    Ok(Answer::Yes)
}
