//! What holds of every algorithm whatever the fleet: shares by weight, small disruption, where traffic goes when
//! endpoints are missing. Bounds of shares are statistical: five standard deviations, with seeds.

use proptest::{collection::vec, prelude::*};

use super::{MS, S, endpoint, idle};
use crate::{
    balance::{Candidate, Choice, Counts, Plan, choose, hash},
    endpoint::Endpoint,
    outlier::Gate,
    policy::{Balance, BalancePolicy, HashKey, PriorityLevel, PriorityPolicy, ZonePolicy},
};

/// Requests that a distribution is counted over.
const REQUESTS: u32 = 20_000;

/// A service, its plan and the loads of its endpoints.
struct Fleet {
    endpoints: Vec<Endpoint>,
    policy: BalancePolicy,
    loads: Vec<Candidate>,
    now: u64,
}

impl Fleet {
    fn of(algorithm: Balance, weights: &[u16]) -> Self {
        let endpoints: Vec<_> =
            weights.iter().enumerate().map(|(number, weight)| endpoint(number, *weight)).collect();
        let loads = weights.iter().map(|weight| Candidate { weight: *weight, ..idle() }).collect();
        let policy = BalancePolicy { algorithm, ..BalancePolicy::default() };
        Self { endpoints, policy, loads, now: 100 * S }
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.policy, "here", &self.endpoints, None)
    }

    /// How many requests each endpoint gets; those with keys have one after the other.
    fn spread(&self, rng: &mut fastrand::Rng, requests: u32) -> Vec<u32> {
        let (plan, counts) = (self.plan(), Counts::default());
        let mut spread = vec![0; self.endpoints.len()];
        for turn in 0..requests {
            let chosen = self.choose(&plan, &counts, turn, rng).expect("one is callable");
            spread[chosen] += 1;
        }
        spread
    }

    fn choose(&self, plan: &Plan, counts: &Counts, turn: u32, rng: &mut fastrand::Rng) -> Option<usize> {
        let key = plan.hash_key().map(|_| hash::stable(&turn.to_le_bytes()));
        let choice = Choice { plan, counts, key, may_probe: true, now: self.now, turn };
        choose(&choice, rng, |place| {
            let health = self.endpoints[place].health;
            Candidate { callable: health.is_callable(), ..self.loads[place] }
        })
    }

    fn eject(&mut self, places: impl IntoIterator<Item = usize>) {
        for place in places {
            self.loads[place].gate = Gate::Ejected(self.now + S);
        }
    }
}

fn by_hash() -> [Balance; 2] {
    let key = || HashKey::Header("x-user".into());
    [Balance::RingHash(key()), Balance::Maglev(key())]
}

fn all() -> Vec<Balance> {
    let mut all = vec![Balance::P2cPeakEwma, Balance::LeastRequest, Balance::RoundRobin, Balance::Random];
    all.extend(by_hash());
    all
}

/// How far a count may be from its expectation: five standard deviations of a binomial, and for a ring the
/// roughness of its points.
fn tolerance(algorithm: &Balance, share: f64, weight: u16) -> f64 {
    let drawn = 5.0 * (f64::from(REQUESTS) * share * (1.0 - share)).sqrt() + 2.0;
    match algorithm {
        Balance::RoundRobin => 8.0,
        Balance::RingHash(_) => {
            drawn + 5.0 * f64::from(REQUESTS) * share / (64.0 * f64::from(weight.min(2))).sqrt()
        }
        _ => drawn,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_algorithm_gives_each_endpoint_its_weight(weights in vec(1_u16..10, 1..12), seed: u64) {
        let total: u16 = weights.iter().sum();
        for algorithm in all() {
            let fleet = Fleet::of(algorithm.clone(), &weights);
            let spread = fleet.spread(&mut fastrand::Rng::with_seed(seed), REQUESTS);
            for (got, weight) in spread.iter().zip(&weights) {
                let share = f64::from(*weight) / f64::from(total);
                let off = (f64::from(*got) - share * f64::from(REQUESTS)).abs();
                let bound = tolerance(&algorithm, share, *weight);
                prop_assert!(off <= bound, "{algorithm:?} {weights:?}: {spread:?}, {off} over {bound}");
            }
        }
    }

    #[test]
    fn an_endpoint_that_goes_or_comes_moves_few_keys_but_its_own(
        count in 2_usize..40, gone in any::<prop::sample::Index>(),
    ) {
        for algorithm in by_hash() {
            let mut fleet = Fleet::of(algorithm.clone(), &vec![1; count]);
            let mut rng = fastrand::Rng::with_seed(1);
            let owners = |fleet: &Fleet, rng: &mut fastrand::Rng| -> Vec<_> {
                let (plan, counts) = (fleet.plan(), Counts::default());
                let owner = |turn| fleet.choose(&plan, &counts, turn, rng).map(|at| fleet.endpoints[at].key.clone());
                (0..4_000).map(owner).collect()
            };
            let before = owners(&fleet, &mut rng);
            let removed = fleet.endpoints.remove(gone.index(count));
            fleet.loads.pop();
            let after = owners(&fleet, &mut rng);
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            let its_own = before.iter().filter(|owner| owner.as_ref() == Some(&removed.key)).count();
            // Maglev's table moves a few more; a ring none.
            let others = if matches!(algorithm, Balance::Maglev(_)) { 4_000 / 20 } else { 0 };
            prop_assert!(moved - its_own <= others, "{algorithm:?}: {moved} moved, {its_own} were its own");
            prop_assert!(its_own <= 4_000 / count * 2, "{algorithm:?}: {its_own} of one of {count}");
        }
    }

    #[test]
    fn a_key_comes_back_to_its_endpoint_after_an_ejection_and_no_other_key_moves(
        count in 2_usize..40, out in vec(any::<prop::sample::Index>(), 1..20), seed: u64,
    ) {
        for algorithm in by_hash() {
            let mut fleet = Fleet::of(algorithm, &vec![1; count]);
            fleet.policy.panic_percent = 0;
            let (plan, counts) = (fleet.plan(), Counts::default());
            let mut rng = fastrand::Rng::with_seed(seed);
            let before: Vec<_> = (0..500).map(|turn| fleet.choose(&plan, &counts, turn, &mut rng)).collect();
            fleet.eject(out.iter().map(|out| out.index(count)).filter(|place| *place != 0));
            for (turn, owner) in (0..).zip(before) {
                let owner = owner.expect("all were open");
                let now = fleet.choose(&plan, &counts, turn, &mut rng).expect("one is open");
                prop_assert!(fleet.loads[now].gate == Gate::Open);
                prop_assert!(fleet.loads[owner].gate != Gate::Open || now == owner);
                // The same stand-in each time.
                prop_assert_eq!(fleet.choose(&plan, &counts, turn, &mut rng), Some(now));
            }
        }
    }

    #[test]
    fn whatever_the_algorithm_the_choice_is_open_and_fresh_whenever_one_is(
        states in vec((any::<bool>(), 0_u8..3, any::<bool>(), 1_u16..4, 0_u8..3), 1..30),
        zones: bool, key: Option<u64>, turn: u32, seed: u64,
    ) {
        for algorithm in all() {
            let mut fleet = Fleet::of(algorithm, &states.iter().map(|state| state.3).collect::<Vec<_>>());
            fleet.policy.panic_percent = 0;
            if zones {
                fleet.policy.zone = ZonePolicy::Prefer { spill_percent: 70 };
            }
            fleet.policy.priority.levels = vec![PriorityLevel { zones: vec!["far".into()], ..Default::default() }];
            for (place, (callable, gate, is_tried, _, zone)) in states.iter().enumerate() {
                fleet.endpoints[place].health =
                    if *callable { crate::endpoint::Health::Passing } else { crate::endpoint::Health::Critical };
                fleet.endpoints[place].zone = ["here", "there", "far"][usize::from(*zone)].into();
                let gate = [Gate::Open, Gate::HalfOpen, Gate::Ejected(fleet.now + S)][usize::from(*gate)];
                fleet.loads[place] = Candidate { gate, is_tried: *is_tried, ..fleet.loads[place] };
            }
            let (plan, counts) = (fleet.plan(), Counts::default());
            let choice = Choice { plan: &plan, counts: &counts, key, may_probe: true, now: fleet.now, turn };
            let read = |at: usize| Candidate { callable: states[at].0, ..fleet.loads[at] };
            let chosen = choose(&choice, &mut fastrand::Rng::with_seed(seed), read);
            prop_assert_eq!(chosen.is_some(), states.iter().any(|state| state.0));
            let fresh = |at: usize| read(at).is_open() && !read(at).is_tried;
            if let Some(chosen) = chosen {
                prop_assert!(fresh(chosen) || !(0..states.len()).any(fresh));
                prop_assert!(read(chosen).callable);
            }
        }
    }
}

#[test]
fn two_sidecars_agree_whatever_came_before() {
    for algorithm in by_hash() {
        let mut fleet = Fleet::of(algorithm, &[1, 2, 3, 4]);
        let first = fleet.plan();
        fleet.endpoints.push(endpoint(9, 2));
        fleet.loads.push(idle());
        let grown = Plan::new(&fleet.policy, "here", &fleet.endpoints, Some(&first));
        let (anew, counts) = (fleet.plan(), Counts::default());
        for turn in 0..500 {
            let mut rng = fastrand::Rng::with_seed(u64::from(turn));
            let chosen = fleet.choose(&grown, &counts, turn, &mut rng);
            assert_eq!(chosen, fleet.choose(&anew, &counts, turn, &mut rng));
        }
    }
}

#[test]
fn a_request_without_its_key_goes_anywhere() {
    for algorithm in by_hash() {
        let fleet = Fleet::of(algorithm, &[1, 1, 2]);
        let (plan, counts) = (fleet.plan(), Counts::default());
        let mut rng = fastrand::Rng::with_seed(3);
        let mut spread = [0; 3];
        for turn in 0..4_000 {
            let choice =
                Choice { plan: &plan, counts: &counts, key: None, may_probe: true, now: fleet.now, turn };
            spread[choose(&choice, &mut rng, |at| fleet.loads[at]).unwrap()] += 1;
        }
        for (got, expected) in spread.iter().zip([1_000_i32, 1_000, 2_000]) {
            assert!((got - expected).abs() < 200, "{spread:?}");
        }
    }
}

#[test]
fn a_new_endpoint_grows_into_its_share() {
    for algorithm in all() {
        for (age, expected) in [(0, 0.1), (3, 0.3), (5, 0.5), (8, 0.8), (20, 1.0)] {
            let mut fleet = Fleet::of(algorithm.clone(), &[1; 4]);
            fleet.policy.slow_start = Some(std::time::Duration::from_secs(10));
            fleet.loads[2].started_at = fleet.now - age * S;
            let spread = fleet.spread(&mut fastrand::Rng::with_seed(5), REQUESTS);
            // By hash it gives keys of its own away, and has none of the others'.
            let all = if fleet.plan().hash_key().is_some() { 4.0 } else { 3.0 + expected };
            let share = f64::from(spread[2]) / (f64::from(REQUESTS) * expected / all);
            assert!(
                (0.75..1.3).contains(&share),
                "{algorithm:?} after {age} s: {spread:?}, {share} of its share"
            );
        }
    }
}

#[test]
fn weights_hold_under_load_as_well() {
    for algorithm in [Balance::P2cPeakEwma, Balance::LeastRequest] {
        let mut fleet = Fleet::of(algorithm.clone(), &[1, 2, 4]);
        let (plan, counts) = (fleet.plan(), Counts::default());
        let mut rng = fastrand::Rng::with_seed(8);
        // Requests that stay: what is in flight is what each was given.
        for turn in 0..7_000 {
            let chosen = fleet.choose(&plan, &counts, turn, &mut rng).unwrap();
            fleet.loads[chosen].in_flight += 1;
        }
        for (load, expected) in fleet.loads.iter().zip([1_000_u32, 2_000, 4_000]) {
            let off = load.in_flight.abs_diff(expected);
            assert!(off < expected / 20 + 20, "{algorithm:?}: {} for {expected}", load.in_flight);
        }
    }
}

#[test]
fn a_heavy_endpoint_that_hangs_is_left_alone_all_the_same() {
    let mut fleet = Fleet::of(Balance::P2cPeakEwma, &[9, 1, 2]);
    fleet.loads[0] = Candidate {
        in_flight: 3,
        unanswered: 3,
        silent_since: fleet.now - 500 * MS,
        asked_at: fleet.now,
        ..fleet.loads[0]
    };
    let spread = fleet.spread(&mut fastrand::Rng::with_seed(1), 2_000);
    assert_eq!(spread[0], 0, "{spread:?}");
}

#[test]
fn round_robin_by_weight_is_spread_evenly_in_time() {
    let fleet = Fleet::of(Balance::RoundRobin, &[5, 1, 1]);
    let (plan, counts) = (fleet.plan(), Counts::default());
    let mut rng = fastrand::Rng::with_seed(1);
    let order: Vec<_> = (0..700).map(|turn| fleet.choose(&plan, &counts, turn, &mut rng).unwrap()).collect();
    for window in order.windows(14) {
        let heavy = window.iter().filter(|place| **place == 0).count();
        assert!((8..=12).contains(&heavy), "{window:?}");
    }
}

#[test]
fn what_a_closed_endpoint_cannot_take_all_others_share() {
    let mut fleet = Fleet::of(Balance::RoundRobin, &[1; 5]);
    fleet.eject([1]);
    let spread = fleet.spread(&mut fastrand::Rng::with_seed(1), 4_000);
    assert_eq!(spread[1], 0);
    assert!(spread.iter().all(|got| *got == 0 || got.abs_diff(1_000) < 20), "{spread:?}");
}

#[test]
fn the_own_zone_keeps_all_until_too_few_are_open_and_then_spills_in_proportion() {
    for algorithm in all() {
        for (open, kept) in [(10_u32, 1.0), (7, 1.0), (5, 5.0 / 7.0), (2, 2.0 / 7.0), (0, 0.0)] {
            let mut fleet = Fleet::of(algorithm.clone(), &[1; 20]);
            fleet.policy.zone = ZonePolicy::Prefer { spill_percent: 70 };
            fleet.endpoints.iter_mut().take(10).for_each(|endpoint| endpoint.zone = "here".into());
            fleet.eject(open as usize..10);
            let spread = fleet.spread(&mut fastrand::Rng::with_seed(2), REQUESTS);
            let near = f64::from(spread.iter().take(10).sum::<u32>()) / f64::from(REQUESTS);
            assert!((near - kept).abs() < 0.02, "{algorithm:?}: {near} stays with {open} of 10 open");
        }
    }
}

#[test]
fn the_second_level_gets_what_the_first_cannot_take() {
    let tags = |tag: &str| PriorityLevel { tags: vec![tag.into()], ..PriorityLevel::default() };
    for algorithm in all() {
        for (open, kept) in [(10_u32, 1.0), (8, 1.0), (5, 0.7), (1, 0.14), (0, 0.0)] {
            let mut fleet = Fleet::of(algorithm.clone(), &[1; 20]);
            fleet.policy.priority =
                PriorityPolicy { levels: vec![tags("none"), tags("first")], ..PriorityPolicy::default() };
            fleet.endpoints.iter_mut().skip(10).for_each(|endpoint| endpoint.tags.push("first".into()));
            fleet.eject(10 + open as usize..20);
            let spread = fleet.spread(&mut fastrand::Rng::with_seed(2), REQUESTS);
            let first = f64::from(spread.iter().skip(10).sum::<u32>()) / f64::from(REQUESTS);
            assert!((first - kept).abs() < 0.02, "{algorithm:?}: {first} stays with {open} of 10 open");
        }
    }
}

#[test]
fn in_a_panic_bad_answers_are_forgotten_and_refused_connections_are_not() {
    for algorithm in all() {
        let mut fleet = Fleet::of(algorithm.clone(), &[1; 10]);
        fleet.eject(0..5);
        let mut rng = fastrand::Rng::with_seed(4);
        let spread = fleet.spread(&mut rng, 1_000);
        assert!(spread.iter().take(5).all(|got| *got == 0), "{algorithm:?}, half are open: {spread:?}");
        fleet.eject([5]);
        fleet.loads[0].is_refused = true;
        let spread = fleet.spread(&mut rng, 1_000);
        assert!(spread.iter().skip(1).all(|got| *got > 20), "{algorithm:?}, four are open: {spread:?}");
        assert_eq!(spread[0], 0, "{algorithm:?}: nobody is there");
    }
}

#[test]
fn a_subset_is_those_with_all_its_tags_and_nobody_stands_in_for_it() {
    for algorithm in all() {
        let mut fleet = Fleet::of(algorithm, &[1; 6]);
        fleet.policy.subset = vec!["v2".into(), "eu".into()];
        for (place, tags) in [(1, &["v2"][..]), (2, &["eu", "v2", "x"]), (4, &["eu", "v2"])] {
            fleet.endpoints[place].tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        }
        let mut rng = fastrand::Rng::with_seed(1);
        let spread = fleet.spread(&mut rng, 1_000);
        assert_eq!(spread[2] + spread[4], 1_000, "{spread:?}");
        fleet.policy.subset.push("none".into());
        assert_eq!(fleet.choose(&fleet.plan(), &Counts::default(), 0, &mut rng), None);
    }
}
