//! Seeded simulation: real sidecars on a simulated network, under faults that a seed decides, and what must hold
//! whatever the seed. Time is tokio's, held still and moved on when nothing is left to do; so a minute takes a
//! moment, and the same seed is the same run to the last byte.
//!
//! ```text
//!  seed ─▶ plan ─▶ world ─┬─ caller ─▶ sidecar ─▶ network ─▶ sidecar ─▶ application ─┬─▶ history ─▶ invariants
//!                         │             └─ discovery ◀─ control plane ─▶ attach       │
//!                         └─ faults, in their time ───────────────────────────────────┘
//! ```
//! What is real: all of the data path behind [`crate::net`], the discovery client with its snapshot on disk, the
//! attach stream, the checks' logic, gRPC. What is made up: sockets, applications, callers, and the control plane's
//! registry.

mod application;
mod caller;
mod connection;
mod control_plane;
mod history;
mod invariants;
mod network;
mod plan;
mod registry;
mod sidecar;
mod socket;
mod trace;
mod world;

pub(crate) use self::socket::{Acceptor, Place, Socket, epoch};
use self::{history::Tally, invariants::Evidence, plan::Plan};

/// Seeds that are tried: the issue's figure, and for each run a few of them.
const SEEDS_SOAK: u64 = 1_000;
const SEEDS_CI: u64 = 50;

/// As the environment says: one seed alone, or so many.
#[allow(
    clippy::disallowed_methods,
    reason = "the variables that size heavy tests, and that name one failure"
)]
fn seeds() -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("WEFT_SIMULATION_SEED") {
        let seed = seed.parse().expect("WEFT_SIMULATION_SEED is a number");
        return seed..seed + 1;
    }
    match std::env::var("WEFT_TEST_SCALE").as_deref() {
        Err(_) | Ok("" | "ci") => 0..SEEDS_CI,
        Ok("soak") => 0..SEEDS_SOAK,
        Ok(other) => panic!("WEFT_TEST_SCALE is `{other}`: give ci or soak"),
    }
}

#[test]
fn the_invariants_hold_whatever_the_seed() {
    let seeds = seeds();
    let is_alone = seeds.end - seeds.start == 1;
    let mut tally = Tally::default();
    for seed in seeds {
        let plan = Plan::new(seed);
        let run = world::run(&plan, is_alone);
        let (asked, seen) = (run.history.asked(), run.history.seen());
        let (listed, tried) = (run.history.listed(), run.history.tried());
        tally.add(&asked, &seen);
        let evidence = Evidence { plan: &plan, asked: &asked, seen: &seen, listed: &listed, tried: &tried };
        let broken = evidence.broken();
        if is_alone {
            println!("{plan:#?}\n{}", run.words.join("\n"));
        }
        assert!(
            broken.is_empty(),
            "seed {seed}, {} invariants broken; run it alone with WEFT_SIMULATION_SEED={seed}:\n{}",
            broken.len(),
            broken.join("\n")
        );
    }
    println!("{tally:?}");
    let has_bitten =
        [tally.again, tally.failed, tally.failed_unsafe, tally.spent].iter().all(|count| *count > 0);
    assert!(is_alone || has_bitten, "too little went wrong to show anything: {tally:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..2 {
        let plan = Plan::new(seed);
        let [one, other] = [(); 2].map(|()| world::run(&plan, true));
        let differs = one.words.iter().zip(&other.words).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.hash, other.hash, "seed {seed}");
    }
}
