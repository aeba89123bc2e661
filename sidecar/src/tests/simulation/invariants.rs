//! What must hold of every run, whatever its seed; over what was seen from outside and the plan of what went wrong.

use std::collections::BTreeMap;

use super::{
    history::{Asked, Seen, Told},
    plan::{CALM_LAST_MS, Plan},
};

/// When all must work again after the last fault.
const RECOVERED_MS: u64 = 1_000;

/// What did not hold, in words; empty where all did.
pub(super) fn broken(plan: &Plan, asked: &[Asked], seen: &[Seen]) -> Vec<String> {
    let mut broken = Vec::new();
    for one in asked {
        broken.extend(answered(one));
        broken.extend(kept_its_promise(plan, one));
        broken.extend(recovered(plan, one));
    }
    broken.extend(unsafe_twice(asked, seen));
    broken.extend(over_budget(plan, asked, seen));
    broken
}

/// Each request is answered, and with its own answer.
fn answered(asked: &Asked) -> Option<String> {
    match &asked.told {
        Told::Nothing(why) => Some(format!("no answer, {why}: {asked:?}")),
        Told::Answer { status: 200, is_right: false, .. } => Some(format!("the wrong answer: {asked:?}")),
        Told::Answer { .. } => None,
    }
}

/// No idempotent request fails while one replica is well, from before the request until after its answer; unless the
/// budget is spent, and then the answer says so.
fn kept_its_promise(plan: &Plan, asked: &Asked) -> Option<String> {
    if !asked.is_idempotent || asked.has_succeeded() || asked.says_spent() {
        return None;
    }
    let well = (0..plan.replicas.len()).find(|replica| plan.is_well(*replica, &asked.time))?;
    Some(format!("failed although replica {well} was well: {asked:?}"))
}

/// When all faults are over, all requests succeed, unsafe ones too.
fn recovered(plan: &Plan, asked: &Asked) -> Option<String> {
    let is_late = asked.time.start > plan.time_ms - CALM_LAST_MS + RECOVERED_MS;
    (is_late && !asked.has_succeeded()).then(|| format!("failed when all was well again: {asked:?}"))
}

/// No unsafe request reaches applications twice.
fn unsafe_twice(asked: &[Asked], seen: &[Seen]) -> Vec<String> {
    let times = times(seen);
    asked
        .iter()
        .filter(|asked| !asked.is_idempotent && times.get(&asked.id).copied().unwrap_or(0) > 1)
        .map(|asked| format!("an unsafe request was sent twice: {asked:?}"))
        .collect()
}

/// At any moment, what came more often than once is no more than the budget has earned by then: its share of the
/// requests, and its floor with a second's worth in hand. (It is less: where both accounts could pay, both are
/// charged.)
fn over_budget(plan: &Plan, asked: &[Asked], seen: &[Seen]) -> Option<String> {
    let budget = plan.policy.retry.budget;
    let mut known = BTreeMap::<u64, u32>::new();
    let mut again = 0_u64;
    for one in seen {
        let count = known.entry(one.id).or_default();
        *count += 1;
        if *count == 1 {
            continue;
        }
        again += 1;
        let requests = asked.iter().filter(|asked| asked.time.start <= one.at).count() as u64;
        let share = requests * u64::from(budget.percent) / 100;
        let floor = (one.at + 1_000) * u64::from(budget.floor_per_second) / 1_000;
        if again > share + floor + 1 {
            return Some(format!(
                "{again} retries by {} ms, where {requests} requests earn {share} and the time {floor}",
                one.at
            ));
        }
    }
    None
}

fn times(seen: &[Seen]) -> BTreeMap<u64, u32> {
    let mut times = BTreeMap::new();
    for one in seen {
        *times.entry(one.id).or_default() += 1;
    }
    times
}
