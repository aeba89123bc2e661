//! The HTTP/1 corpus, at a sidecar's outbound and inbound ports: each input is refused, or reaches the backend as one
//! message that every reader reads alike, and the next request fares as if nothing had been.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, ensure};
use weft_tests::{
    Sidecar,
    hostile::{backend::Backend, h1, run::Place},
    wait::eventually,
};

/// For an answer, or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(20);

async fn all_at(inbound: bool) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = Backend::start().await?;
    let mut sidecar = Sidecar::in_front_of(dir.path(), backend.address).await?;
    let address = if inbound { sidecar.inbound } else { sidecar.outbound };
    let place = Place { address, backend: &backend, patience: PATIENCE, is_peer: false };
    let mut wrong = Vec::new();
    for case in h1::cases() {
        let expect = case.expected(inbound);
        let outcome = place.run(case, expect).await.with_context(|| case.name)?;
        if let Err(why) = outcome.check(expect) {
            wrong.push(format!("{} (RFC {}): {why}\n    {outcome:?}", case.name, case.rfc));
        }
    }
    ensure!(wrong.is_empty(), "{} cases go wrong:\n{}", wrong.len(), wrong.join("\n"));
    eventually("the sidecar is alive", PATIENCE, async || sidecar.wait_ready().await).await?;
    ensure!(sidecar.process().try_wait()?.is_none(), "it has ended");
    Ok(())
}

#[tokio::test]
async fn every_input_is_refused_or_forwarded_as_one_message_outbound() -> anyhow::Result<()> {
    all_at(false).await
}

#[tokio::test]
async fn every_input_is_refused_or_forwarded_as_one_message_inbound() -> anyhow::Result<()> {
    all_at(true).await
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    let doubled: Vec<_> = h1::cases().filter(|case| !names.insert(case.name)).map(|case| case.name).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(names.len() >= 150, "{} cases", names.len());
}
