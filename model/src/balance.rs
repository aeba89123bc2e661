//! The choice of an endpoint: pure over a plan made with the table, and over loads that the caller reads out of
//! its cells. It knows nothing of connections, and ejection only as a state of a candidate.
//!
//! ```text
//!  level of priority ─▶ zone ─▶ algorithm ─▶ another group ─▶ last resort
//! ```
//! What is preferred, in this order: open endpoints that this request has not tried; ejected ones not tried
//! (the floor: an ejection never turns into an error by itself); any callable one that was tried. Critical
//! ones never. In a panic, with too few open to take the traffic, those ejected for bad answers count as open.

mod group;
pub mod hash;
mod maglev;
mod plan;
mod priority;
mod random;
mod ring;
mod slow_start;
mod turn;
mod two_choices;
mod zone;

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;

use self::{
    group::Group,
    plan::{Groups, Level},
};
pub use self::{plan::Plan, two_choices::PROBE_INTERVAL};
use crate::{outlier::Gate, policy::Balance};

/// Draws for open endpoints before all are looked at: with at most half of them closed, ten draws find two in
/// all but a few of a thousand choices, and a service of a thousand replicas is not scanned.
const DRAWS: usize = 10;
/// How long a count of open endpoints is good, in nanoseconds: they are counted only where shares depend on it,
/// and then not for every request.
const COUNT_INTERVAL: u64 = 10_000_000;

/// What the choice sees of one endpoint. Times are nanoseconds since any fixed point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Discovery says that it may be called.
    pub callable: bool,
    /// This request has been there.
    pub is_tried: bool,
    /// The accrual's view.
    pub gate: Gate,
    /// It was ejected because nobody is there: no panic brings it back.
    pub is_refused: bool,
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
    /// Since when it is in service; 0 = since before we knew of it.
    pub started_at: u64,
    /// Share of the traffic, at least 1.
    pub weight: u16,
}

/// The circumstances of one choice.
#[derive(Debug)]
pub struct Choice<'a> {
    /// Among whom, and how.
    pub plan: &'a Plan,
    /// How many of them are open.
    pub counts: &'a Counts,
    /// The hash of what the request is hashed by; `None` = it has no such thing.
    pub key: Option<u64>,
    /// Whether a silent endpoint may be asked again with this request: only one that can move elsewhere.
    pub may_probe: bool,
    /// Now, in nanoseconds.
    pub now: u64,
    /// The service's turn, for round robin.
    pub turn: u32,
}

/// Open endpoints by level and group, counted now and then by one thread for one plan.
#[derive(Debug, Default)]
pub struct Counts {
    taken_at: Cell<Option<u64>>,
    open: RefCell<SmallVec<[(u32, u32); 2]>>,
}

/// Endpoints that are open, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    open: u32,
    all: u32,
}

/// A choice under way.
struct Scene<'a, R> {
    choice: &'a Choice<'a>,
    read: &'a R,
}

/// The part of it that an algorithm sees.
struct Scope<'a, R> {
    scene: &'a Scene<'a, R>,
    level: usize,
    group: &'a Group,
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

    /// Whether it can take its share: one on trial cannot.
    fn is_ready(&self) -> bool {
        self.callable && self.gate == Gate::Open
    }
}

/// The place of the endpoint to call, or `None` when none is callable. `read` gives the candidate at a place
/// of the plan.
pub fn choose(
    choice: &Choice<'_>,
    rng: &mut fastrand::Rng,
    read: impl Fn(usize) -> Candidate,
) -> Option<usize> {
    let scene = Scene { choice, read: &read };
    let levels = &choice.plan.levels;
    let first = if levels.len() > 1 { scene.level(rng) } else { 0 };
    scene
        .in_level(first, rng)
        .or_else(|| {
            (0..levels.len()).filter(|level| *level != first).find_map(|level| scene.in_level(level, rng))
        })
        .or_else(|| scene.last_resort(rng))
}

impl<R: Fn(usize) -> Candidate> Scene<'_, R> {
    /// The level of priority that this request goes to.
    fn level(&self, rng: &mut fastrand::Rng) -> usize {
        self.count();
        let draw = self.draw(1, rng);
        let open = self.choice.counts.open.borrow();
        priority::level(self.reaches(&open), draw)
    }

    fn in_level(&self, level: usize, rng: &mut fastrand::Rng) -> Option<usize> {
        let known = self.choice.plan.levels.get(level)?;
        match &known.groups {
            Groups::Whole(group) => self.in_group(level, group, rng),
            Groups::Zones { near, far, spill_percent } => {
                self.count();
                let (open_near, open_far) = self.open(level);
                let near_count = Count { open: open_near, all: known.sizes.0 };
                let far_count = Count { open: open_far, all: known.sizes.1 };
                let stays = self.draw(2, rng) < zone::share(near_count, far_count, *spill_percent);
                let (one, other) = if stays { (near, far) } else { (far, near) };
                self.in_group(level, one, rng).or_else(|| self.in_group(level, other, rng))
            }
        }
    }

    fn in_group(&self, level: usize, group: &Group, rng: &mut fastrand::Rng) -> Option<usize> {
        let scope = Scope { scene: self, level, group };
        match self.choice.plan.algorithm {
            Balance::P2cPeakEwma => two_choices::faster(&scope, rng),
            Balance::LeastRequest => two_choices::less_busy(&scope, rng),
            Balance::RoundRobin => turn::next(&scope, rng),
            Balance::Random => random::any(&scope, rng),
            Balance::RingHash(_) | Balance::Maglev(_) => match self.choice.key {
                Some(key) => scope.hashed(key),
                None => random::any(&scope, rng),
            },
        }
    }

    /// No open endpoint is left that was not tried: first an ejected one, the one that comes back first; then
    /// one that was tried.
    fn last_resort(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let until = |candidate: &Candidate| match candidate.gate {
            Gate::Ejected(until) => until,
            Gate::Open | Gate::HalfOpen => 0,
        };
        let plan = self.choice.plan;
        plan.places_from(rng.usize(..plan.places().len().max(1)))
            .map(|place| (place, (self.read)(place)))
            .filter(|(_, candidate)| candidate.callable)
            .min_by_key(|(_, candidate)| (candidate.is_tried, until(candidate)))
            .map(|(place, _)| place)
    }

    /// 0 to 1, the same for the same key: what is hashed stays in its level and zone.
    fn draw(&self, salt: u64, rng: &mut fastrand::Rng) -> f64 {
        match self.choice.key {
            Some(key) => hash::share(hash::combine(key, salt)),
            None => rng.f64(),
        }
    }

    /// Whether too few are open for ejections by bad answers to be kept up.
    #[cold]
    fn is_panic(&self, level: usize) -> bool {
        let plan = self.choice.plan;
        let Some(known) = plan.levels.get(level).filter(|_| plan.panic_percent > 0) else { return false };
        self.count();
        let (near, far) = self.open(level);
        let (open, wanted) = (u64::from(near) + u64::from(far), u64::from(plan.panic_percent));
        let is_below = open * 100 < u64::from(known.size()) * wanted;
        is_below
            && (plan.levels.len() == 1 || self.reaches(&self.choice.counts.open.borrow()).sum::<f64>() < 1.0)
    }

    /// What each level can take.
    fn reaches<'s>(&'s self, open: &'s [(u32, u32)]) -> impl Iterator<Item = f64> + Clone + 's {
        let plan = self.choice.plan;
        plan.levels.iter().zip(open).map(|(level, (near, far))| {
            priority::reach(Count { open: near.saturating_add(*far), all: level.size() }, plan.overprovision)
        })
    }

    fn open(&self, level: usize) -> (u32, u32) {
        self.choice.counts.open.borrow().get(level).copied().unwrap_or_default()
    }

    /// Counts anew, unless it was done a moment ago.
    fn count(&self) {
        let (counts, now) = (self.choice.counts, self.choice.now);
        if counts.taken_at.get().is_some_and(|at| now.saturating_sub(at) < COUNT_INTERVAL) {
            return;
        }
        counts.taken_at.set(Some(now));
        let count = |group: &Group| {
            let ready = group.from(0).filter(|place| (self.read)(*place).is_ready()).count();
            u32::try_from(ready).unwrap_or(u32::MAX)
        };
        let count_level = |level: &Level| {
            let (near, far) = level.groups();
            (count(near), far.map_or(0, count))
        };
        *counts.open.borrow_mut() = self.choice.plan.levels.iter().map(count_level).collect();
    }
}

impl<R: Fn(usize) -> Candidate> Scope<'_, R> {
    /// The candidate at this place, if this request may go there.
    fn admit(&self, place: usize) -> Option<Candidate> {
        let candidate = (self.scene.read)(place);
        let may_go = candidate.is_open()
            || (candidate.callable && !candidate.is_refused && self.scene.is_panic(self.level));
        (may_go && !candidate.is_tried).then_some(candidate)
    }

    /// How much of its weight a new endpoint has by now, above 0 to 1.
    fn share(&self, candidate: &Candidate) -> f64 {
        let choice = self.scene.choice;
        slow_start::share(candidate.started_at, choice.now, choice.plan.slow_start)
    }

    fn hashed(&self, key: u64) -> Option<usize> {
        self.group.hashed(key, |place, draw| {
            // A new endpoint takes its keys one after the other, each once and for all.
            self.admit(place).is_some_and(|candidate| hash::share(draw) < self.share(&candidate))
        })
    }
}

/// Whether one more endpoint may be ejected: of `callable` endpoints, `ejected` are out already. At least one
/// always stays; by soft failures, at least the share that the policy names.
pub fn may_eject(callable: usize, ejected: usize, hard: bool, percent_max: u32) -> bool {
    let after = ejected + 1;
    after < callable && (hard || after * 100 <= callable * percent_max as usize)
}

#[cfg(test)]
mod tests;
