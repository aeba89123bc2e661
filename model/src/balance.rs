//! The choice of an endpoint: pure over loads that the caller reads out of its cells. It knows nothing of
//! connections, and ejection only as a state of a candidate.
//!
//! What is preferred, in this order: open endpoints that this request has not tried; ejected ones not tried
//! (the floor: an ejection never turns into an error by itself); any callable one that was tried. Critical
//! ones never.

use std::time::Duration;

use crate::{outlier::Gate, policy::Balance};

/// Draws for two open endpoints before all are looked at: with at most half of them closed, ten draws find
/// two in all but a few of a thousand choices, and a service of a thousand replicas is not scanned.
const DRAWS: usize = 10;
/// An endpoint that is passed over because it has been silent is asked again after this time, so that one
/// long upload or long poll does not starve it while it answers others.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What the choice sees of one endpoint. Times are nanoseconds since any fixed point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Discovery says that it may be called.
    pub callable: bool,
    /// The accrual's view.
    pub gate: Gate,
    /// Peak-EWMA, faded to now, in nanoseconds; 0 = unknown.
    pub ewma: f64,
    /// Requests without a finished response.
    pub in_flight: u32,
    /// Requests without a response head.
    pub unanswered: u32,
    /// Since when it has answered nothing although something is unanswered.
    pub silent_since: u64,
    /// When it was last given a request.
    pub asked_at: u64,
    /// Share of the traffic, at least 1.
    pub weight: u16,
}

/// The circumstances of one choice.
#[derive(Debug)]
pub struct Choice<'a> {
    /// How to choose.
    pub balance: &'a Balance,
    /// How many endpoints there are.
    pub count: usize,
    /// Those that this request has tried.
    pub tried: &'a [usize],
    /// Whether a silent endpoint may be asked again with this request: only one that can move elsewhere.
    pub may_probe: bool,
    /// Now, in nanoseconds.
    pub now: u64,
    /// The service's turn, for round robin.
    pub turn: u32,
}

impl Candidate {
    fn is_open(&self) -> bool {
        self.callable
            && match self.gate {
                Gate::Open => true,
                // A stream that has its head judges nothing, and may stay for as long as it likes.
                Gate::HalfOpen => self.unanswered == 0,
                Gate::Ejected(_) => false,
            }
    }

    /// How long nothing came back, in nanoseconds; 0 when nothing is owed.
    fn silence(&self, now: u64) -> u64 {
        if self.unanswered == 0 { 0 } else { now.saturating_sub(self.silent_since) }
    }

    /// What another request would cost here: the time an answer takes, or, if longer, the time the endpoint
    /// has been silent by now, for each request in flight and this one. A hung endpoint has no slow answers
    /// to show; its silence is what tells.
    #[allow(clippy::cast_precision_loss, reason = "a cost is compared, not counted")]
    fn cost(&self, now: u64, unknown: f64) -> f64 {
        let ewma = if self.ewma > 0.0 { self.ewma } else { unknown };
        let time = ewma.max(self.silence(now) as f64);
        time * f64::from(self.in_flight.saturating_add(1)) / f64::from(self.weight.max(1))
    }

    /// Whether a probe is due: it has been silent for so long that it is not chosen by its cost.
    fn wants_probe(&self, now: u64) -> bool {
        let interval = u64::try_from(PROBE_INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.silence(now) > interval && now.saturating_sub(self.asked_at) > interval
    }
}

/// The index of the endpoint to call, or `None` when none is callable. `read` gives the candidate at an index
/// below `count`.
pub fn choose(
    choice: &Choice<'_>,
    rng: &mut fastrand::Rng,
    read: impl Fn(usize) -> Candidate,
) -> Option<usize> {
    let open = |index: usize| {
        let candidate = read(index);
        (candidate.is_open() && !choice.tried.contains(&index)).then_some((index, candidate))
    };
    let chosen = match choice.balance {
        Balance::P2cPeakEwma
        | Balance::LeastRequest
        | Balance::Random
        | Balance::RingHash(_)
        | Balance::Maglev(_) => less_loaded_of_two(choice, rng, &open),
        Balance::RoundRobin => next_in_turn(choice, &open),
    };
    chosen.or_else(|| last_resort(choice, rng, &read))
}

fn less_loaded_of_two(
    choice: &Choice<'_>,
    rng: &mut fastrand::Rng,
    open: &impl Fn(usize) -> Option<(usize, Candidate)>,
) -> Option<usize> {
    let mut first: Option<(usize, Candidate)> = None;
    for _ in 0..DRAWS.min(choice.count * 4) {
        match (first, open(rng.usize(..choice.count))) {
            (Some((known, _)), Some((index, _))) if known == index => {}
            (Some(first), Some(second)) => return Some(better(choice, first, second)),
            (None, drawn) => first = drawn,
            (Some(_), None) => {}
        }
    }
    // The draws failed, so few are open: look at all, from a random place on.
    let start = rng.usize(..choice.count.max(1));
    let mut found = (0..choice.count).map(|step| (start + step) % choice.count).filter_map(open);
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => Some(better(choice, one, other)),
        (one, _) => one.map(|(index, _)| index),
    }
}

fn better(choice: &Choice<'_>, one: (usize, Candidate), other: (usize, Candidate)) -> usize {
    if choice.may_probe && one.1.wants_probe(choice.now) {
        return one.0;
    }
    // Of an endpoint that has answered nothing yet, the other's time is the best guess.
    let unknown = one.1.ewma.max(other.1.ewma).max(1.0);
    if other.1.cost(choice.now, unknown) < one.1.cost(choice.now, unknown) { other.0 } else { one.0 }
}

fn next_in_turn(choice: &Choice<'_>, open: &impl Fn(usize) -> Option<(usize, Candidate)>) -> Option<usize> {
    (0..choice.count)
        .filter_map(|step| choice.turn.checked_add(u32::try_from(step).ok()?).or(Some(0)))
        .filter_map(|turn| open(usize::try_from(turn).ok()? % choice.count))
        .map(|(index, _)| index)
        .next()
}

/// No open endpoint is left that was not tried: first an ejected one, the one that comes back first; then one
/// that was tried.
fn last_resort(
    choice: &Choice<'_>,
    rng: &mut fastrand::Rng,
    read: &impl Fn(usize) -> Candidate,
) -> Option<usize> {
    let until = |candidate: &Candidate| match candidate.gate {
        Gate::Ejected(until) => until,
        Gate::Open | Gate::HalfOpen => 0,
    };
    let start = rng.usize(..choice.count.max(1));
    (0..choice.count)
        .map(|step| (start + step) % choice.count)
        .map(|index| (index, read(index)))
        .filter(|(_, candidate)| candidate.callable)
        .min_by_key(|(index, candidate)| (choice.tried.contains(index), until(candidate)))
        .map(|(index, _)| index)
}

/// Whether one more endpoint may be ejected: of `callable` endpoints, `ejected` are out already. At least one
/// always stays; by soft failures, at least the share that the policy names.
pub fn may_eject(callable: usize, ejected: usize, hard: bool, percent_max: u32) -> bool {
    let after = ejected + 1;
    after < callable && (hard || after * 100 <= callable * percent_max as usize)
}

#[cfg(test)]
mod tests;
