//! Round robin: one after the other, by weight.

use super::{Candidate, Scope};

pub(super) fn next<R: Fn(usize) -> Candidate>(
    scope: &Scope<'_, R>,
    rng: &mut fastrand::Rng,
) -> Option<usize> {
    let (group, turn) = (scope.group, scope.scene.choice.turn);
    let number = group.turn(turn);
    let own = group.place(number)?;
    let admitted = scope.admit(own);
    if let Some(candidate) = &admitted {
        let share = scope.share(candidate);
        if share >= 1.0 || rng.f64() < share {
            return Some(own);
        }
    }
    // Somebody stands in: each time another one, so that the neighbour does not get all that a closed endpoint
    // cannot take.
    let others = group.len() - 1;
    let round = turn as usize / group.len();
    (0..others)
        .filter_map(|step| group.place((number + 1 + (round + step) % others) % group.len()))
        .find(|place| scope.admit(*place).is_some())
        .or_else(|| admitted.map(|_| own))
}
