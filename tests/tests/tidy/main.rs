//! What decays when only prose asks for it, checked by machine: the rules of STYLE.md that clippy and rustfmt
//! cannot see. It reads the files of the repository and nothing else.

mod imports;
mod logs;
mod ratchet;
mod rules;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use ratchet::{Census, Verdict};

#[test]
fn every_file_keeps_the_rules() -> anyhow::Result<()> {
    let found = rules::check(&source::read_tree(&root()?)?);
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = found.iter().map(|finding| format!("{}: {}", finding.at, finding.what)).collect();
    bail!("{} places break a rule:\n{}", list.len(), list.join("\n"))
}

#[test]
fn no_count_of_the_ratchet_rises() -> anyhow::Result<()> {
    let root = root()?;
    let file = root.join("tests/tidy-ratchet.json");
    let census = Census::take(&source::read_tree(&root)?);
    let reached = ratchet::read(&file)?;
    if update_asked_for() {
        let lowered =
            reached.as_ref().map_or_else(|| census.counts.clone(), |r| ratchet::lowered(r, &census.counts));
        ratchet::write(&file, &lowered)?;
    }
    let reached = ratchet::read(&file)?.context("no tests/tidy-ratchet.json: `make ratchet` writes it")?;
    match ratchet::compare(&reached, &census) {
        Verdict::Holds => Ok(()),
        Verdict::Rose(list) => bail!("the ratchet only goes down:\n{}", list.join("\n")),
        Verdict::Fell(list) => {
            bail!("better than the ratchet; lower it with `make ratchet`:\n{}", list.join("\n"))
        }
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ stands in the repository")?;
    Ok(root.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a switch for the person at the keyboard, not configuration")]
fn update_asked_for() -> bool {
    std::env::var_os("UPDATE_RATCHET").is_some_and(|value| !value.is_empty())
}
