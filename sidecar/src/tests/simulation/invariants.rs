//! What must hold of every run, whatever its seed; over what was seen from outside and the plan of what went wrong.

use std::{collections::BTreeMap, ops::Range};

use super::{
    history::{Asked, Listed, Seen, Told, Tried},
    plan::{CALM_LAST_MS, Plan},
};

/// When all must work again after the last fault: the longest wait for the control plane, and some.
const RECOVERED_MS: u64 = 9_000;
/// How long an idempotent request takes, at most, where the caller is told of what becomes of replicas, and one of
/// them is well: two others that hang are noticed by then, one after the other.
const ANSWERED_MS: u64 = 11_000;

/// All that was seen of a run.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) plan: &'a Plan,
    pub(super) asked: &'a [Asked],
    pub(super) seen: &'a [Seen],
    pub(super) listed: &'a [Listed],
    pub(super) tried: &'a [Tried],
}

impl Evidence<'_> {
    /// What did not hold, in words; empty where all did.
    pub(super) fn broken(&self) -> Vec<String> {
        let of_one = |asked| [answered(asked), self.kept_its_promise(asked), self.recovered(asked)];
        let mut broken: Vec<_> = self.asked.iter().flat_map(of_one).flatten().collect();
        broken.extend(unsafe_twice(self.asked, self.seen));
        broken.extend(over_budget(self.plan, self.asked, self.tried));
        broken.extend(uncounted(self.seen, self.tried));
        broken.extend(self.unnoticed());
        broken.extend(self.not_listed_again());
        broken
    }

    /// No idempotent request fails while one replica is within reach: from before the request until after its answer
    /// it is well, and the caller's table lists it. Unless the budget is spent, and then the answer says so. Where
    /// no policy ends a try that hangs, it is discovery that does; while it is away, the total timeout is what is
    /// left.
    fn kept_its_promise(&self, asked: &Asked) -> Option<String> {
        if !asked.is_idempotent || asked.says_spent() {
            return None;
        }
        let reachable = (0..self.plan.replicas.len()).find(|replica| {
            self.plan.is_well(*replica, &asked.time) && self.is_listed(*replica, &asked.time)
        })?;
        let is_told = self.plan.is_told(&asked.time);
        let may_hang = self.plan.policy.timeouts.per_try.is_none() && !is_told;
        let is_excused = may_hang && asked.has_timed_out();
        if !(asked.has_succeeded() || is_excused) {
            return Some(format!("failed although replica {reachable} was within reach: {asked:?}"));
        }
        let took = asked.time.end - asked.time.start;
        (took > ANSWERED_MS && !may_hang).then(|| format!("took {took} ms: {asked:?}"))
    }

    /// When all faults are over, all requests succeed, unsafe ones too.
    fn recovered(&self, asked: &Asked) -> Option<String> {
        let is_late = asked.time.start > self.plan.time_ms - CALM_LAST_MS + RECOVERED_MS;
        (is_late && !asked.has_succeeded()).then(|| format!("failed when all was well again: {asked:?}"))
    }

    /// Whether the caller's table lists the replica all the time.
    fn is_listed(&self, replica: usize, time: &Range<u64>) -> bool {
        let before = self.listed.iter().rev().find(|listed| listed.at < time.start);
        let within = self.listed.iter().filter(|listed| (time.start..=time.end).contains(&listed.at));
        before.is_some() && before.into_iter().chain(within).all(|listed| listed.replicas.contains(&replica))
    }

    /// A replica that is gone for long is not listed any more, where the caller is told.
    fn unnoticed(&self) -> Vec<String> {
        let gone = self.plan.gone().filter(|(replica, at)| self.is_listed(*replica, &(*at..*at)));
        gone.map(|(replica, at)| format!("replica {replica} is gone, and listed at {at} ms")).collect()
    }

    /// At the end all replicas are listed.
    fn not_listed_again(&self) -> Option<String> {
        let listed = self.listed.last().map_or(0, |listed| listed.replicas.len());
        (listed < self.plan.replicas.len()).then(|| format!("only {listed} replicas are listed at the end"))
    }
}

/// Each request is answered, and with its own answer.
fn answered(asked: &Asked) -> Option<String> {
    match &asked.told {
        Told::Nothing(why) => Some(format!("no answer, {why}: {asked:?}")),
        Told::Answer { status: 200, is_right: false, .. } => Some(format!("the wrong answer: {asked:?}")),
        Told::Answer { .. } => None,
    }
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

/// In any time, attempts beyond the first of each request are no more than the budget can pay: what it has saved at
/// most, its share of the requests made meanwhile, and its floor, of which a second's worth may be in hand.
fn over_budget(plan: &Plan, asked: &[Asked], tried: &[Tried]) -> Option<String> {
    let budget = plan.policy.retry.budget;
    let requests = |at: u64| asked.iter().filter(|asked| asked.time.start <= at).count() as u64;
    // Requests that have begun by then, and attempts.
    let counted: Vec<_> = tried.iter().map(|tried| (tried.at, requests(tried.at), tried.attempts)).collect();
    counted.iter().enumerate().find_map(|(place, (from, requests_before, attempts_before))| {
        counted.iter().skip(place).find_map(|(to, requests, attempts)| {
            let (requests, attempts) = (requests - requests_before, attempts - attempts_before);
            let share = u64::from(budget.reserve) + requests * u64::from(budget.percent) / 100;
            let floor = (to - from + 1_000) * u64::from(budget.floor_per_second) / 1_000;
            // Each worker may have asked a moment before and be tried a moment after.
            let most = requests + plan.workers as u64 + share + floor + 1;
            let words =
                || format!("{attempts} attempts for {requests} requests at {from}..{to} ms: {budget:?}");
            (attempts > most).then(words)
        })
    })
}

/// What reaches applications was an attempt that the sidecar has counted.
fn uncounted(seen: &[Seen], tried: &[Tried]) -> Option<String> {
    let last = tried.last()?;
    let seen = seen.iter().filter(|seen| seen.at <= last.at).count() as u64;
    (seen > last.attempts).then(|| format!("{seen} requests came in {} attempts", last.attempts))
}

fn times(seen: &[Seen]) -> BTreeMap<u64, u32> {
    let mut times = BTreeMap::new();
    for one in seen {
        *times.entry(one.id).or_default() += 1;
    }
    times
}
