//! The power of two choices: of two endpoints drawn by weight, the one where a request costs less. A cost of
//! equal endpoints differs by chance alone, so each gets its share; one that is slow, busy or silent loses.

use std::time::Duration;

use super::{Candidate, DRAWS, Scope};

/// An endpoint that is passed over because it has been silent is asked again after this time, so that one
/// long upload or long poll does not starve it while it answers others.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Where shares differ, an endpoint that is drawn twice in a row has the request, as its share wants, unless
/// another one costs less than this part.
const CLEARLY_LESS: f64 = 0.5;

/// One of the two.
#[derive(Clone, Copy)]
struct Drawn {
    place: usize,
    candidate: Candidate,
    /// How much of a mean endpoint's load it should have.
    share: f64,
}

impl Candidate {
    /// How long nothing came back, in nanoseconds; 0 when nothing is owed.
    fn silence(&self, now: u64) -> u64 {
        if self.unanswered == 0 { 0 } else { now.saturating_sub(self.silent_since) }
    }

    /// Whether a probe is due: it has been silent for so long that it is not chosen by its cost.
    fn wants_probe(&self, now: u64) -> bool {
        let interval = u64::try_from(PROBE_INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.silence(now) > interval && now.saturating_sub(self.asked_at) > interval
    }
}

impl Drawn {
    /// What is under way there, in terms of its share, with this request. An idle endpoint costs the same
    /// whatever its share: the draw has counted that already.
    fn load(&self) -> f64 {
        1.0 + f64::from(self.candidate.in_flight) / self.share
    }

    /// What another request would cost here: the time an answer takes, or, if longer, the time the endpoint
    /// has been silent by now, for each request in flight and this one. A hung endpoint has no slow answers
    /// to show; its silence is what tells.
    #[allow(clippy::cast_precision_loss, reason = "a cost is compared, not counted")]
    fn cost(&self, now: u64, unknown: f64) -> f64 {
        let ewma = if self.candidate.ewma > 0.0 { self.candidate.ewma } else { unknown };
        ewma.max(self.candidate.silence(now) as f64) * self.load()
    }
}

/// By peak-EWMA of response times and requests in flight.
pub(super) fn faster<R: Fn(usize) -> Candidate>(
    scope: &Scope<'_, R>,
    rng: &mut fastrand::Rng,
) -> Option<usize> {
    let (may_probe, now) = (scope.scene.choice.may_probe, scope.scene.choice.now);
    of_two(scope, rng, |one, other| {
        if may_probe && one.candidate.wants_probe(now) {
            return (0.0, 1.0);
        }
        // Of an endpoint that has answered nothing yet, the other's time is the best guess.
        let unknown = one.candidate.ewma.max(other.candidate.ewma).max(1.0);
        (one.cost(now, unknown), other.cost(now, unknown))
    })
}

/// By requests in flight.
pub(super) fn less_busy<R: Fn(usize) -> Candidate>(
    scope: &Scope<'_, R>,
    rng: &mut fastrand::Rng,
) -> Option<usize> {
    of_two(scope, rng, |one, other| (one.load(), other.load()))
}

fn of_two<R: Fn(usize) -> Candidate>(
    scope: &Scope<'_, R>,
    rng: &mut fastrand::Rng,
    costs: impl Fn(&Drawn, &Drawn) -> (f64, f64),
) -> Option<usize> {
    let better = |one: &Drawn, other: &Drawn, is_twice: bool| {
        let (cost, of_other) = costs(one, other);
        let bound = if is_twice { cost * CLEARLY_LESS } else { cost };
        if of_other < bound { other.place } else { one.place }
    };
    let mut first: Option<Drawn> = None;
    let (mut is_uneven, mut is_twice) = (scope.group.is_weighted(), false);
    // One alone needs no draw.
    let draws = if scope.group.len() > 1 { DRAWS } else { 0 };
    for _ in 0..draws {
        let place = scope.group.draw(rng)?;
        if first.is_some_and(|first| first.place == place) {
            is_twice |= is_uneven;
            continue;
        }
        let Some(drawn) = draw(scope, place) else { continue };
        let started = scope.share(&drawn.candidate);
        if started < 1.0 {
            is_uneven = true;
            if rng.f64() >= started {
                continue;
            }
        }
        match first {
            Some(first) => return Some(better(&first, &drawn, is_twice)),
            None => first = Some(drawn),
        }
    }
    // The draws failed, so few are open, or one has nearly all of the weight: look at all, from a random place.
    let start = rng.usize(..scope.group.len().max(1));
    let mut others = scope
        .group
        .from(start)
        .filter(|place| first.is_none_or(|first| first.place != *place))
        .filter_map(|place| draw(scope, place));
    let one = first.or_else(|| others.next())?;
    Some(others.next().map_or(one.place, |other| better(&one, &other, is_uneven)))
}

fn draw<R: Fn(usize) -> Candidate>(scope: &Scope<'_, R>, place: usize) -> Option<Drawn> {
    let candidate = scope.admit(place)?;
    let share = scope.group.relative(candidate.weight) * scope.share(&candidate);
    Some(Drawn { place, candidate, share })
}
