//! The HTTP/2 corpus and the conformance client, at a sidecar's outbound and inbound ports: a request that two servers
//! could read differently goes no further, and each frame and header block is met as RFC 9113 and RFC 7541 say.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use weft_tests::{
    Sidecar,
    hostile::{
        backend::Backend,
        h2::{Case, conformance, requests},
        run::Place,
    },
};

/// For an answer, or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(20);

async fn all(
    cases: impl Iterator<Item = &'static Case>,
    port: impl Fn(&Sidecar) -> SocketAddr,
) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = Backend::start().await?;
    let mut sidecar = Sidecar::in_front_of(dir.path(), backend.address).await?;
    let place = Place { address: port(&sidecar), backend: &backend, patience: PATIENCE, is_peer: false };
    let mut wrong = Vec::new();
    for case in cases {
        let outcome = place.play(case).await.with_context(|| case.name)?;
        if let Err(why) = outcome.check(case.expect) {
            wrong.push(format!("{} (RFC {}): {why}\n    {outcome:?}", case.name, case.rfc));
        }
    }
    ensure!(wrong.is_empty(), "{} cases go wrong:\n{}", wrong.len(), wrong.join("\n"));
    sidecar.wait_ready().await?;
    ensure!(sidecar.process().try_wait()?.is_none(), "it has ended");
    Ok(())
}

#[tokio::test]
async fn every_request_is_refused_or_forwarded_as_one_message_outbound() -> anyhow::Result<()> {
    all(requests::CASES.iter(), |sidecar| sidecar.outbound).await
}

#[tokio::test]
async fn every_request_is_refused_or_forwarded_as_one_message_inbound() -> anyhow::Result<()> {
    all(requests::CASES.iter(), |sidecar| sidecar.inbound).await
}

#[tokio::test]
async fn every_frame_and_block_is_met_as_the_rfc_says_outbound() -> anyhow::Result<()> {
    all(conformance::cases(), |sidecar| sidecar.outbound).await
}

#[tokio::test]
async fn every_frame_and_block_is_met_as_the_rfc_says_inbound() -> anyhow::Result<()> {
    all(conformance::cases(), |sidecar| sidecar.inbound).await
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    let all = requests::CASES.iter().chain(conformance::cases());
    let doubled: Vec<_> = all.filter(|case| !names.insert(case.name)).map(|case| case.name).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(conformance::cases().count() >= 70, "{} conformance cases", conformance::cases().count());
}
