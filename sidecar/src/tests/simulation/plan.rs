//! What one simulation is made of, from its seed alone: replicas, policy, load, and what goes wrong when. Pure; the
//! world carries it out, and the invariants ask it who was well at a time.

use std::{ops::Range, time::Duration};

use weft_model::policy::{Balance, HedgePolicy, Policy, RetryBudget, SuccessRatePolicy};

use super::network::Quality;

/// How long requests are made, in milliseconds.
const TIME_MS: Range<u64> = 18_000..24_000;
/// Before it nothing is asked: all have to find each other.
pub(super) const BEGIN_MS: u64 = 2_000;
/// Before it nothing goes wrong.
const CALM_FIRST_MS: u64 = 2_500;
/// At the end nothing goes wrong any more for so long, and then all must work again.
pub(super) const CALM_LAST_MS: u64 = 10_500;
/// What a fault leaves behind when it is over: news of broken connections under way.
const TAIL_MS: u64 = 300;
/// What a loss of power does: connections that are kept for as long do not know that they are broken.
const TAIL_OF_POWER_LOSS_MS: u64 = 60_000;
/// Until a sidecar that lost the control plane is on its stream again: the longest wait between two tries, and the
/// longest try.
const TAIL_OF_SILENCE_MS: u64 = 8_500;
/// Until the caller knows of a replica that is gone or hangs: a lease and some looks, or two failed checks.
const NOTICED_MS: u64 = 4_500;

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

/// Something goes wrong at one place for a while.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) site: Site,
    /// In milliseconds since the beginning.
    pub(super) time: Range<u64>,
    pub(super) kind: Kind,
}

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    Replica(usize),
    ControlPlane,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The application does something else than to answer, with so many requests of a hundred.
    Behaves(Behaviour, u32),
    /// The application is killed, and started again at the end.
    ApplicationDown,
    /// All processes of the host are. Of the control plane too.
    HostDown,
    /// The host is off, and comes back without a memory of its connections.
    PowerLoss,
    /// The link between caller and host carries nothing.
    Cut,
    /// None of the host's links does.
    Isolated,
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
        let policy = policy(rng);
        let until = time_ms - CALM_LAST_MS;
        let mut faults: Vec<_> = (0..replicas.len())
            .flat_map(|replica| faults(Site::Replica(replica), until, rng, |rng| kind(&policy, rng)))
            .filter(|fault| policy.timeouts.per_try.is_some() || fault.is_noticed())
            .collect();
        if rng.bool() {
            faults.extend(self::faults(Site::ControlPlane, until, rng, |rng| {
                [Kind::HostDown, Kind::Cut, Kind::Isolated, Kind::PowerLoss][rng.usize(..4)]
            }));
        }
        faults.sort_by_key(|fault| (fault.time.start, fault.site));
        Self {
            seed,
            time_ms,
            replicas,
            policy,
            usual: Quality { delay_ms_max: rng.u64(1..=5), loss_percent: 0 },
            workers: rng.usize(2..=3),
            think_ms_max: rng.u64(100..600),
            faults,
        }
    }

    /// Whether nothing was wrong with a replica at any moment of this time, nor shortly before.
    pub(super) fn is_well(&self, replica: usize, time: &Range<u64>) -> bool {
        self.faults
            .iter()
            .filter(|fault| fault.site == Site::Replica(replica))
            .all(|fault| fault.is_over(time))
    }

    /// Whether the caller was told all the time of what becomes of replicas.
    pub(super) fn is_told(&self, time: &Range<u64>) -> bool {
        self.faults.iter().filter(|fault| fault.site == Site::ControlPlane).all(|fault| fault.is_over(time))
    }

    /// Replicas that a caller which is told cannot believe in at a certain time: that of the fault, and a while.
    pub(super) fn gone(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.faults.iter().filter_map(|fault| {
            let Site::Replica(replica) = fault.site else { return None };
            let at = fault.time.start + NOTICED_MS;
            let is_long = fault.time.end > at;
            (is_long && fault.kind.shows() && self.is_told(&(fault.time.start..at))).then_some((replica, at))
        })
    }
}

impl Kind {
    /// Whether it shows to the control plane.
    fn shows(self) -> bool {
        match self {
            Self::Behaves(Behaviour::Hangs | Behaviour::ResetsUnread | Behaviour::ResetsRead, 100) => true,
            Self::ApplicationDown | Self::HostDown | Self::PowerLoss | Self::Isolated => true,
            Self::Behaves(..) | Self::Cut | Self::Lossy => false,
        }
    }
}

impl Fault {
    /// Whether a request that waits for its answer would ever hear of it: of one that nobody has noticed while it
    /// lasted, nobody hears, and only a timeout ends the wait.
    fn is_noticed(&self) -> bool {
        let is_silent = matches!(self.kind, Kind::PowerLoss | Kind::Behaves(Behaviour::Hangs, _));
        !is_silent || self.time.end - self.time.start > NOTICED_MS
    }

    fn tail(&self) -> u64 {
        match (self.site, self.kind) {
            (Site::ControlPlane, _) => TAIL_OF_SILENCE_MS,
            (Site::Replica(_), Kind::PowerLoss) => TAIL_OF_POWER_LOSS_MS,
            (Site::Replica(_), _) => TAIL_MS,
        }
    }

    /// Whether this time is free of it.
    fn is_over(&self, time: &Range<u64>) -> bool {
        self.time.end + self.tail() < time.start || self.time.start > time.end
    }
}

/// What goes wrong at one place, one thing after another.
fn faults(
    site: Site,
    until: u64,
    rng: &mut fastrand::Rng,
    kind: impl Fn(&mut fastrand::Rng) -> Kind,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut at = CALM_FIRST_MS + rng.u64(..4_000);
    loop {
        let end = at + rng.u64(50..8_000);
        if end >= until {
            return faults;
        }
        faults.push(Fault { site, time: at..end, kind: kind(rng) });
        at = end + rng.u64(500..5_000);
    }
}

/// Where a try may take for ever, only what shows to the control plane: nobody else would ever end it.
fn kind(policy: &Policy, rng: &mut fastrand::Rng) -> Kind {
    let may_hide = policy.timeouts.per_try.is_some();
    let behaviour = match rng.u32(..14) {
        0 | 1 => return Kind::ApplicationDown,
        2 | 3 => return Kind::HostDown,
        4 if may_hide => return Kind::Cut,
        4 | 13 => return Kind::Isolated,
        5 if may_hide => return Kind::Lossy,
        12 => return Kind::PowerLoss,
        6 => Behaviour::IsSlow(rng.u64(10..2_000)),
        7 => Behaviour::Declines,
        8 => Behaviour::ResetsUnread,
        9 => Behaviour::ResetsRead,
        10 => Behaviour::BreaksOff,
        _ => Behaviour::Hangs,
    };
    let is_whole = rng.bool() || !may_hide;
    Kind::Behaves(behaviour, if is_whole { 100 } else { rng.u32(10..100) })
}

/// A policy that wants what the invariants ask for: a try for each replica, and a retry of what an application
/// declines.
fn policy(rng: &mut fastrand::Rng) -> Policy {
    let mut policy = Policy::default();
    policy.retry.on.statuses = vec![503];
    if rng.u32(..3) > 0 {
        policy.timeouts.per_try = Some(Duration::from_millis(rng.u64(300..1_500)));
    }
    policy.timeouts.connect = Duration::from_millis(rng.u64(100..1_000));
    if rng.u32(..3) == 0 {
        policy.retry.budget =
            RetryBudget { percent: rng.u32(..20), floor_per_second: rng.u32(..2), reserve: rng.u32(1..5) };
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
