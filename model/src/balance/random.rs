//! Any open endpoint, by weight: nothing is remembered and nothing compared.

use super::{Candidate, DRAWS, Scope};

pub(super) fn any<R: Fn(usize) -> Candidate>(scope: &Scope<'_, R>, rng: &mut fastrand::Rng) -> Option<usize> {
    for _ in 0..DRAWS {
        let place = scope.group.draw(rng)?;
        let Some(candidate) = scope.admit(place) else { continue };
        let share = scope.share(&candidate);
        if share >= 1.0 || rng.f64() < share {
            return Some(place);
        }
    }
    of_all(scope, rng)
}

/// The draws failed, so few are open: looks at all, and keeps each with the share that it has of those so far.
fn of_all<R: Fn(usize) -> Candidate>(scope: &Scope<'_, R>, rng: &mut fastrand::Rng) -> Option<usize> {
    let (mut kept, mut sum) = (None, 0.0);
    for place in scope.group.from(0) {
        let Some(candidate) = scope.admit(place) else { continue };
        let share = scope.group.relative(candidate.weight) * scope.share(&candidate);
        sum += share;
        if rng.f64() * sum < share {
            kept = Some(place);
        }
    }
    kept
}
