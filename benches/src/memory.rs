//! What a proxy holds in memory: at rest, freshly started, and with connections that idle after a request each.

use std::process::Stdio;

use serde::Serialize;

use crate::{
    case::Case,
    driver::{Bench, ends, progress, running::Running},
    peer::Peer,
    process::pause,
};

/// The name of the case.
pub const NAME: &str = "memory";
/// Idle connections.
pub const CONNECTIONS: u32 = 1_000;
/// Fresh starts of each peer: memory varies little.
const ROUNDS_MAX: u32 = 3;
/// Looks, a hundredth of a second apart, before a peer is taken to be at rest: what is idle for a moment is not yet
/// idle.
const REST_LOOKS: u32 = 300;

/// In KiB, resident, all processes of the peer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// After the start.
    pub idle: u64,
    /// With [`CONNECTIONS`].
    pub connected: u64,
}

/// Starts each peer anew a few times.
///
/// # Errors
/// When one does not start.
pub fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<(Peer, Vec<Memory>)>> {
    let Some(case) = Case::named("h1") else { return Ok(Vec::new()) };
    let mut results: Vec<(Peer, Vec<Memory>)> =
        bench.peers().iter().map(|peer| (*peer, Vec::new())).collect();
    for _ in 0..bench.args.rounds.min(ROUNDS_MAX) {
        for (peer, memories) in &mut results {
            let memory = once(bench, *peer, &case)?;
            progress(&format!("{NAME} {}: {memory:?}", peer.name()));
            memories.extend(memory);
        }
    }
    Ok(results)
}

fn once(bench: &Bench<'_>, peer: Peer, case: &Case) -> anyhow::Result<Option<Memory>> {
    let Some(running) = Running::start(bench, peer, case, &bench.dir.join(NAME))? else { return Ok(None) };
    rest();
    let idle = running.resident_kib()?;
    let mut command = running.load(bench, case, CONNECTIONS);
    let mut holding = command.arg("--hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    ends::first_line(&mut holding)?;
    rest();
    let connected = running.resident_kib()?;
    drop(holding.stdin.take());
    holding.wait()?;
    Ok(Some(Memory { idle, connected }))
}

fn rest() {
    for _ in 0..REST_LOOKS {
        pause();
    }
}
