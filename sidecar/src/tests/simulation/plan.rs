//! What one simulation is made of, from its seed alone: replicas, policy, load, and what goes wrong when. Pure; the
//! world carries it out, and the invariants ask it who was well at a time.

use std::{ops::Range, time::Duration};

use weft_model::policy::{Balance, HedgePolicy, Policy, RetryBudget, SuccessRatePolicy};

use super::network::Quality;

/// How long requests are made, in milliseconds.
const TIME_MS: Range<u64> = 8_000..16_000;
/// Before it nothing goes wrong.
const CALM_FIRST_MS: u64 = 500;
/// At the end nothing goes wrong any more for so long, and then all must work again.
pub(super) const CALM_LAST_MS: u64 = 3_000;
/// What a fault leaves behind when it is over: news of broken connections under way.
const TAIL_MS: u64 = 300;
/// What a loss of power does: connections that are kept for as long do not know that they are broken.
const TAIL_OF_POWER_LOSS_MS: u64 = 60_000;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) time_ms: u64,
    pub(super) replicas: Vec<Replica>,
    pub(super) policy: Policy,
    pub(super) usual: Quality,
    pub(super) workers: usize,
    /// Between two requests of one worker, at most.
    pub(super) think_ms_max: u64,
    /// Sorted by when they begin; those of one replica do not overlap.
    pub(super) faults: Vec<Fault>,
}

/// One instance of the service that is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    /// Behind a sidecar of its own, or dialled plainly.
    pub(super) has_sidecar: bool,
}

/// Something goes wrong with one replica for a while.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) replica: usize,
    /// In milliseconds since the beginning.
    pub(super) time: Range<u64>,
    pub(super) kind: Kind,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The application does something else than to answer, with so many requests of a hundred.
    Behaves(Behaviour, u32),
    /// The application is killed, and started again at the end.
    ApplicationDown,
    /// All processes of the host are.
    HostDown,
    /// The host is off, and comes back without a memory of its connections.
    PowerLoss,
    /// The link between caller and replica carries nothing.
    Cut,
    /// It loses much.
    Lossy,
}

/// What an application does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Answers,
    /// After a while, in milliseconds.
    IsSlow(u64),
    /// With 503.
    Declines,
    /// Breaks the connection off before it has looked at the request.
    ResetsUnread,
    /// The same once it has.
    ResetsRead,
    /// Breaks off in the middle of its response head.
    BreaksOff,
    /// Says nothing.
    Hangs,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let time_ms = rng.u64(TIME_MS);
        let replicas = vec![Replica { has_sidecar: true }; 3];
        let replicas: Vec<_> =
            replicas.into_iter().map(|_| Replica { has_sidecar: rng.u32(..4) > 0 }).collect();
        let mut faults: Vec<_> =
            (0..replicas.len()).flat_map(|replica| faults(replica, time_ms - CALM_LAST_MS, rng)).collect();
        faults.sort_by_key(|fault| (fault.time.start, fault.replica));
        Self {
            seed,
            time_ms,
            replicas,
            policy: policy(rng),
            usual: Quality { delay_ms_max: rng.u64(1..=5), loss_percent: 0 },
            workers: rng.usize(2..=5),
            think_ms_max: rng.u64(50..400),
            faults,
        }
    }

    /// Whether nothing was wrong with a replica at any moment of this time, nor shortly before.
    pub(super) fn is_well(&self, replica: usize, time: &Range<u64>) -> bool {
        self.faults
            .iter()
            .filter(|fault| fault.replica == replica)
            .all(|fault| fault.time.end + fault.tail() < time.start || fault.time.start > time.end)
    }
}

impl Fault {
    fn tail(&self) -> u64 {
        if self.kind == Kind::PowerLoss { TAIL_OF_POWER_LOSS_MS } else { TAIL_MS }
    }
}

/// What goes wrong with one replica, one thing after another.
fn faults(replica: usize, until: u64, rng: &mut fastrand::Rng) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut at = CALM_FIRST_MS + rng.u64(..4_000);
    loop {
        let end = at + rng.u64(50..5_000);
        if end >= until {
            return faults;
        }
        faults.push(Fault { replica, time: at..end, kind: kind(rng) });
        at = end + rng.u64(500..5_000);
    }
}

fn kind(rng: &mut fastrand::Rng) -> Kind {
    let behaviour = match rng.u32(..13) {
        0 | 1 => return Kind::ApplicationDown,
        2 | 3 => return Kind::HostDown,
        4 => return Kind::Cut,
        5 => return Kind::Lossy,
        12 => return Kind::PowerLoss,
        6 => Behaviour::IsSlow(rng.u64(10..2_000)),
        7 => Behaviour::Declines,
        8 => Behaviour::ResetsUnread,
        9 => Behaviour::ResetsRead,
        10 => Behaviour::BreaksOff,
        _ => Behaviour::Hangs,
    };
    Kind::Behaves(behaviour, if rng.bool() { 100 } else { rng.u32(10..100) })
}

/// A policy that wants what the invariants ask for: a try for each replica, an end to each try, and a retry of
/// what an application declines.
fn policy(rng: &mut fastrand::Rng) -> Policy {
    let mut policy = Policy::default();
    policy.retry.on.statuses = vec![503];
    policy.timeouts.per_try = Some(Duration::from_millis(rng.u64(300..1_500)));
    policy.timeouts.connect = Duration::from_millis(rng.u64(100..1_000));
    if rng.u32(..3) == 0 {
        policy.retry.budget =
            RetryBudget { percent: rng.u32(..30), floor_per_second: rng.u32(..4), reserve: rng.u32(1..20) };
    }
    if rng.u32(..3) == 0 {
        policy.hedge =
            Some(HedgePolicy { delay: Duration::from_millis(rng.u64(5..200)), attempts_max: rng.u32(2..4) });
    }
    policy.balance.algorithm = match rng.u32(..4) {
        0 => Balance::LeastRequest,
        1 => Balance::RoundRobin,
        2 => Balance::Random,
        _ => Balance::P2cPeakEwma,
    };
    policy.outlier.consecutive = rng.u32(1..8);
    policy.outlier.base = Duration::from_millis(rng.u64(200..5_000));
    if rng.u32(..4) == 0 {
        policy.outlier.success_rate = Some(SuccessRatePolicy {
            interval: Duration::from_secs(rng.u64(1..5)),
            requests_min: rng.u32(2..10),
            endpoints_min: 2,
            stdev_factor_thousandths: rng.u32(500..1_900),
        });
    }
    policy
}
