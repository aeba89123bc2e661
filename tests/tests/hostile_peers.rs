//! The hostile corpus beside nginx, HAProxy and Envoy: where the sidecar does otherwise than each of them, the case says
//! why. With `WEFT_HOSTILE_TABLE=1` the comparison is written to `docs/hostile-inputs.md`.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, ensure};
use weft_tests::{
    Sidecar,
    hostile::{
        self,
        backend::Backend,
        h1, h2,
        outcome::Verdict,
        peers::{Kind, Peer},
        run::Place,
        table::{self, Column, Line},
    },
    interop::repository,
};

const TEST: &str = "hostile_peers";
/// For an answer, or for the end of a connection: a peer that waits is not waited for.
const PATIENCE: Duration = Duration::from_millis(800);

/// A proxy under test and what stands behind it.
struct Front<'a> {
    http1: SocketAddr,
    http2: SocketAddr,
    backend: &'a Backend,
    is_peer: bool,
}

/// What one proxy made of each case: of the HTTP/1 ones, the requests of HTTP/2, and its frames.
#[derive(Default)]
struct Verdicts([Vec<Verdict>; 3]);

impl Front<'_> {
    async fn verdicts(&self) -> anyhow::Result<Verdicts> {
        let mut verdicts = Verdicts::default();
        let [http1, requests, frames] = &mut verdicts.0;
        let place = |address| {
            let Self { backend, is_peer, .. } = *self;
            Place { address, backend, patience: PATIENCE, is_peer }
        };
        for case in h1::cases() {
            let outcome = place(self.http1).run(case, case.expect).await.with_context(|| case.name)?;
            http1.push(outcome.verdict(case));
        }
        for (cases, verdicts) in [(h2_requests(), requests), (h2_frames(), frames)] {
            for case in cases {
                let outcome = place(self.http2).play(case).await.with_context(|| case.name)?;
                verdicts.push(outcome.verdict(case));
            }
        }
        Ok(verdicts)
    }
}

fn h2_requests() -> Vec<&'static h2::Case> {
    h2::requests::CASES.iter().collect()
}

fn h2_frames() -> Vec<&'static h2::Case> {
    h2::conformance::cases().collect()
}

async fn peer(dir: &Path, kind: Kind, backend: &Backend) -> anyhow::Result<Option<Peer>> {
    let Some(program) = kind.program(TEST) else { return Ok(None) };
    Ok(Some(kind.start(&program, dir, backend.address).await?))
}

/// The lines of one section, whose cases have these names, rules and reasons.
fn lines(
    section: usize,
    cases: impl Iterator<Item = (&'static str, &'static str, &'static str)>,
    ours: &Verdicts,
    theirs: &[Option<Verdicts>],
) -> Vec<Line> {
    let of = |verdicts: &Verdicts, place: usize| verdicts.0.get(section)?.get(place).cloned();
    let line = |(place, (name, rfc, why)): (usize, _)| {
        let theirs = theirs.iter().map(|column| of(column.as_ref()?, place)).collect();
        Some(Line { name, rfc, why, ours: of(ours, place)?, theirs })
    };
    cases.enumerate().filter_map(line).collect()
}

fn sections(ours: &Verdicts, theirs: &[Option<Verdicts>]) -> Vec<(&'static str, Vec<Line>)> {
    let h1 = h1::cases().map(|case: &hostile::Case| (case.name, case.rfc, case.why));
    let facts = |case: &'static h2::Case| (case.name, case.rfc, case.why);
    vec![
        ("HTTP/1", lines(0, h1, ours, theirs)),
        ("HTTP/2: requests", lines(1, h2_requests().into_iter().map(facts), ours, theirs)),
        ("HTTP/2: frames and header blocks", lines(2, h2_frames().into_iter().map(facts), ours, theirs)),
    ]
}

#[tokio::test]
async fn the_sidecar_stands_alone_only_with_a_reason() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let backends =
        [Backend::start().await?, Backend::start().await?, Backend::start().await?, Backend::start().await?];
    let [own, behind @ ..] = &backends;
    let sidecar = Sidecar::in_front_of(dir.path(), own.address).await?;
    let mut peers = Vec::new();
    for (kind, backend) in Kind::ALL.into_iter().zip(behind) {
        peers.push(peer(dir.path(), kind, backend).await?);
    }
    let fronts: Vec<Option<Front<'_>>> = peers
        .iter()
        .zip(behind)
        .map(|(peer, backend)| {
            let peer = peer.as_ref()?;
            Some(Front { http1: peer.http1, http2: peer.http2, backend, is_peer: true })
        })
        .collect();
    let front = Front { http1: sidecar.outbound, http2: sidecar.outbound, backend: own, is_peer: false };
    let of = async |place: usize| match fronts.get(place) {
        Some(Some(front)) => front.verdicts().await.map(Some),
        _ => Ok(None),
    };
    let (ours, nginx, haproxy, envoy) = tokio::join!(front.verdicts(), of(0), of(1), of(2));
    let (ours, theirs) = (ours?, [nginx?, haproxy?, envoy?]);
    let sections = sections(&ours, &theirs);
    let columns: Vec<Column> =
        Kind::ALL.into_iter().zip(&peers).map(|(kind, peer)| column(kind, peer.as_ref())).collect();
    if writes_table() && peers.iter().all(Option::is_some) {
        fs::write(repository().join("docs/hostile-inputs.md"), table::document(&columns, &sections))?;
    }
    let is_silent = |line: &&Line| table::stands_alone(line) && line.why.is_empty();
    let silent = sections.iter().flat_map(|(_, lines)| lines).filter(is_silent);
    let silent: Vec<String> = silent.map(|line| format!("{line:?}")).collect();
    ensure!(silent.is_empty(), "no reason is given for\n{}", silent.join("\n"));
    Ok(())
}

fn column(kind: Kind, peer: Option<&Peer>) -> Column {
    let version = peer.map_or("(not here)", |peer| &peer.version);
    Column { title: format!("{} {version}", kind.name()) }
}

#[expect(clippy::disallowed_methods, reason = "this test's one switch")]
fn writes_table() -> bool {
    std::env::var_os("WEFT_HOSTILE_TABLE").is_some()
}
