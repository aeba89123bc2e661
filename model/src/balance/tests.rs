//! The choice on simulated time.

mod properties;

use std::time::Duration;

use proptest::prelude::*;

use super::{Candidate, Counts, Plan, may_eject};
use crate::{
    endpoint::{Endpoint, Health, HopTarget},
    ewma::PeakEwma,
    outlier::Gate,
    policy::{Balance, BalancePolicy},
};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// As a sidecar calls it, for endpoints of one service that nothing else is known of.
struct Choice<'a> {
    balance: &'a Balance,
    count: usize,
    tried: &'a [usize],
    may_probe: bool,
    now: u64,
    turn: u32,
}

fn choose(choice: &Choice<'_>, rng: &mut fastrand::Rng, read: impl Fn(usize) -> Candidate) -> Option<usize> {
    // Panic has tests of its own.
    let policy =
        BalancePolicy { algorithm: choice.balance.clone(), panic_percent: 0, ..BalancePolicy::default() };
    let endpoints: Vec<_> = (0..choice.count).map(|number| endpoint(number, read(number).weight)).collect();
    let choice_of = super::Choice {
        plan: &Plan::new(&policy, "", &endpoints, None),
        counts: &Counts::default(),
        key: None,
        may_probe: choice.may_probe,
        now: choice.now,
        turn: choice.turn,
    };
    let read = |place: usize| Candidate { is_tried: choice.tried.contains(&place), ..read(place) };
    super::choose(&choice_of, rng, read)
}

fn endpoint(number: usize, weight: u16) -> Endpoint {
    Endpoint {
        key: format!("orders.default/node/{number:05}").parse().unwrap(),
        address: "127.0.0.1".into(),
        ports: Vec::new(),
        health: Health::Passing,
        reason: String::new(),
        weight,
        zone: String::new(),
        hop: HopTarget::Direct,
        tags: Vec::new(),
    }
}

fn idle() -> Candidate {
    Candidate {
        callable: true,
        is_tried: false,
        is_refused: false,
        started_at: 0,
        gate: Gate::Open,
        ewma: 1e6,
        in_flight: 0,
        unanswered: 0,
        silent_since: 0,
        asked_at: 0,
        weight: 1,
    }
}

fn choice(count: usize, tried: &[usize]) -> Choice<'_> {
    Choice { balance: &Balance::P2cPeakEwma, count, tried, may_probe: true, now: S, turn: 0 }
}

/// A service on simulated time: each endpoint answers after its own delay, or never.
struct Simulation {
    endpoints: Vec<(Candidate, Option<u64>, PeakEwma)>,
    answers: std::collections::BTreeMap<(u64, u64), (usize, u64)>,
    asked: Vec<u32>,
    sent: u64,
}

impl Simulation {
    fn new(delays: &[Option<u64>]) -> Self {
        let endpoints = delays.iter().map(|delay| (idle(), *delay, PeakEwma::default())).collect();
        Self { endpoints, answers: Default::default(), asked: vec![0; delays.len()], sent: 0 }
    }

    fn answer_until(&mut self, now: u64) {
        while let Some(((at, id), (index, sent_at))) = self.answers.pop_first() {
            if at > now {
                self.answers.insert((at, id), (index, sent_at));
                break;
            }
            let (candidate, _, ewma) = &mut self.endpoints[index];
            candidate.in_flight -= 1;
            candidate.unanswered -= 1;
            candidate.silent_since = at;
            *ewma = ewma.observe(Duration::from_nanos(at - sent_at), at);
        }
        for (candidate, _, ewma) in &mut self.endpoints {
            if ewma.nanos > 0.0 {
                candidate.ewma = ewma.faded(now);
            }
        }
    }

    fn request(&mut self, now: u64, rng: &mut fastrand::Rng) -> usize {
        self.answer_until(now);
        let choice = Choice { now, ..choice(self.endpoints.len(), &[]) };
        let index = choose(&choice, rng, |index| self.endpoints[index].0).unwrap();
        let (candidate, delay, _) = &mut self.endpoints[index];
        if candidate.unanswered == 0 {
            candidate.silent_since = now;
        }
        candidate.in_flight += 1;
        candidate.unanswered += 1;
        candidate.asked_at = now;
        self.asked[index] += 1;
        self.sent += 1;
        if let Some(delay) = *delay {
            // Jitter of a fifth, so that the endpoints do not march in step.
            let delay = delay * rng.u64(80..=120) / 100;
            self.answers.insert((now + delay, self.sent), (index, now));
        }
        index
    }
}

#[test]
fn fewer_than_ten_of_a_thousand_requests_a_second_reach_a_hung_endpoint_in_four_seconds() {
    for (seed, delay) in (0..20).flat_map(|seed| [100 * US, MS, 20 * MS].map(|delay| (seed, delay))) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut mesh = Simulation::new(&[Some(delay); 3]);
        let mut now = S;
        for _ in 0..2_000 {
            mesh.request(now, &mut rng);
            now += MS;
        }
        mesh.endpoints[1].1 = None;
        mesh.answers.retain(|_, (index, _)| *index != 1);
        let before = mesh.asked[1];
        for _ in 0..4_000 {
            mesh.request(now, &mut rng);
            now += MS;
        }
        let stuck = mesh.asked[1] - before;
        // With 20 ms an answer, about seven are under way at each endpoint at any time.
        assert!(stuck < 10, "{stuck} requests reached the hung endpoint (answers take {delay} ns)");
    }
}

#[test]
fn an_endpoint_with_an_old_peak_gets_its_share_again() {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut mesh = Simulation::new(&[Some(3 * MS); 3]);
    mesh.endpoints[0].2 = PeakEwma::default().observe(Duration::from_millis(60), S);
    let mut now = S;
    // Twenty requests a second: few enough that the others never look busy.
    for _ in 0..1_200 {
        mesh.request(now, &mut rng);
        now += 50 * MS;
    }
    mesh.asked.fill(0);
    for _ in 0..600 {
        mesh.request(now, &mut rng);
        now += 50 * MS;
    }
    assert!(mesh.asked[0] > 100, "{:?}", mesh.asked);
}

#[test]
fn an_endpoint_with_one_long_poll_still_gets_its_share_under_load() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut mesh = Simulation::new(&[Some(10 * MS); 3]);
    let mut now = S;
    // One request that is never answered within the test, then all as usual.
    mesh.endpoints[0].0.in_flight = 1;
    mesh.endpoints[0].0.unanswered = 1;
    mesh.endpoints[0].0.silent_since = now;
    for _ in 0..20_000 {
        mesh.request(now, &mut rng);
        now += MS;
    }
    assert!(mesh.asked[0] > 3_000, "{:?}", mesh.asked);
}

#[test]
fn a_slow_endpoint_gets_less_and_equal_ones_get_about_the_same() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut mesh = Simulation::new(&[Some(MS), Some(MS), Some(50 * MS)]);
    let mut now = S;
    for _ in 0..10_000 {
        mesh.request(now, &mut rng);
        now += MS;
    }
    assert!(mesh.asked[2] < mesh.asked[0] / 5, "{:?}", mesh.asked);
    assert!(mesh.asked[0].abs_diff(mesh.asked[1]) < 2_500, "{:?}", mesh.asked);
}

#[test]
fn a_critical_endpoint_is_never_chosen() {
    let mut rng = fastrand::Rng::with_seed(1);
    let read = |_: usize| Candidate { callable: false, ..idle() };
    assert_eq!(choose(&choice(3, &[]), &mut rng, read), None);
    assert_eq!(choose(&choice(0, &[]), &mut rng, read), None);
}

#[test]
fn a_retry_goes_elsewhere_then_to_an_ejected_one_then_back() {
    let mut rng = fastrand::Rng::with_seed(1);
    let read = |index: usize| Candidate {
        gate: if index == 2 { Gate::Ejected(9 * S) } else { Gate::Open },
        ..idle()
    };
    for _ in 0..50 {
        assert_eq!(choose(&choice(3, &[0]), &mut rng, read), Some(1));
        assert_eq!(choose(&choice(3, &[0, 1]), &mut rng, read), Some(2));
        assert!(choose(&choice(3, &[0, 1, 2]), &mut rng, read).is_some());
    }
}

#[test]
fn an_endpoint_on_trial_gets_one_request_at_a_time() {
    let mut rng = fastrand::Rng::with_seed(1);
    let read = |index: usize| match index {
        0 => Candidate { gate: Gate::HalfOpen, in_flight: 1, unanswered: 1, ..idle() },
        _ => idle(),
    };
    for _ in 0..50 {
        assert_eq!(choose(&choice(2, &[]), &mut rng, read), Some(1));
    }
}

#[test]
fn round_robin_visits_each_in_turn() {
    let mut rng = fastrand::Rng::with_seed(1);
    let visited: Vec<_> = (0..6)
        .map(|turn| {
            let choice = Choice { balance: &Balance::RoundRobin, turn, ..choice(3, &[]) };
            choose(&choice, &mut rng, |_| idle()).unwrap()
        })
        .collect();
    assert_eq!(visited, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn ejection_leaves_half_by_bad_answers_and_one_by_refused_connections() {
    assert!(may_eject(4, 1, false, 50));
    assert!(!may_eject(4, 2, false, 50));
    assert!(may_eject(4, 2, true, 50));
    assert!(!may_eject(4, 3, true, 50));
    assert!(!may_eject(1, 0, true, 50));
}

proptest! {
    #[test]
    fn the_choice_is_callable_and_fresh_whenever_one_is(
        states in prop::collection::vec((any::<bool>(), 0_u8..3, 0_u32..4), 1..40),
        tried in prop::collection::vec(0_usize..40, 0..3),
        robin: bool, turn: u32, seed: u64,
    ) {
        let read = |index: usize| {
            let (callable, gate, in_flight) = states[index];
            let gate = [Gate::Open, Gate::HalfOpen, Gate::Ejected(2 * S)][gate as usize];
            Candidate { callable, gate, in_flight, unanswered: in_flight, ..idle() }
        };
        let balance = if robin { Balance::RoundRobin } else { Balance::P2cPeakEwma };
        let choice = Choice { balance: &balance, turn, ..choice(states.len(), &tried) };
        let chosen = choose(&choice, &mut fastrand::Rng::with_seed(seed), read);
        prop_assert_eq!(chosen.is_some(), states.iter().any(|state| state.0));
        if let Some(chosen) = chosen {
            prop_assert!(read(chosen).callable);
            let fresh = (0..states.len()).any(|index| read(index).is_open() && !tried.contains(&index));
            prop_assert!(!fresh || (read(chosen).is_open() && !tried.contains(&chosen)));
        }
    }
}
