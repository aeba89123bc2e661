//! The wheel with invented times: leases, holds, and a naive model beside it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(3);
const NOBODY: [u32; 0] = [];

/// A wheel past its first hold, turned each tick.
struct Bench {
    wheel: LeaseWheel<u32>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = origin();
        let mut bench = Self { wheel: LeaseWheel::new(now), now };
        bench.run(HOLD);
        bench
    }

    fn insert(&mut self, keys: std::ops::Range<u32>) {
        for key in keys {
            self.wheel.insert(key, TTL, self.now);
        }
    }

    /// Turns for `time`; all that ended, and the protections that began.
    fn run(&mut self, time: Duration) -> (Vec<u32>, Vec<Protection>) {
        let (mut ended, mut protections) = (Vec::new(), Vec::new());
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            let turn = self.wheel.expire(self.now);
            ended.extend(turn.ended);
            protections.extend(turn.protection);
        }
        ended.sort_unstable();
        (ended, protections)
    }
}

#[allow(clippy::disallowed_methods, reason = "an origin for invented times; nothing waits for it")]
fn origin() -> Instant {
    Instant::now()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_lease_ends_on_time_and_not_before() {
    let mut bench = Bench::new();
    bench.insert(0..1);
    assert_eq!(bench.run(TTL - TICK).0, NOBODY);
    assert_eq!(bench.run(TICK * 2).0, [0]);
    assert!(bench.wheel.is_empty());
}

#[test]
fn a_renewed_lease_lives_and_a_removed_one_ends_in_silence() {
    let mut bench = Bench::new();
    bench.insert(0..3);
    assert!(bench.wheel.remove(&2));
    for _ in 0..10 {
        assert_eq!(bench.run(seconds(1)).0, NOBODY);
        assert!(bench.wheel.renew(&0, bench.now));
        bench.wheel.renew(&1, bench.now);
    }
    assert_eq!(bench.wheel.len(), 2);
    assert!(!bench.wheel.renew(&2, bench.now));
}

#[test]
fn a_key_inserted_again_has_its_whole_time() {
    let mut bench = Bench::new();
    bench.insert(0..1);
    bench.run(seconds(2));
    bench.insert(0..1);
    assert_eq!(bench.run(seconds(2)).0, NOBODY);
    assert_eq!(bench.run(seconds(2)).0, [0]);
}

#[test]
fn nothing_ends_for_ten_seconds_after_a_start() {
    let now = origin();
    let mut bench = Bench { wheel: LeaseWheel::new(now), now };
    bench.insert(0..2);
    assert_eq!(bench.run(HOLD - TICK).0, NOBODY);
    bench.wheel.renew(&1, bench.now);
    assert_eq!(bench.run(TICK * 2).0, [0]);
}

#[test]
fn a_wheel_turned_late_holds() {
    let mut bench = Bench::new();
    bench.insert(0..1);
    bench.now += seconds(5);
    let turn = bench.wheel.expire(bench.now);
    assert_eq!(turn, Turn { ended: vec![], protection: Some(Protection::Late { after: seconds(5) }) });
    assert_eq!(bench.run(HOLD - TICK).0, NOBODY);
    assert_eq!(bench.run(TICK * 2).0, [0]);
}

#[test]
fn a_mass_is_held_once_and_ends_if_it_stays_silent() {
    let mut bench = Bench::new();
    bench.insert(0..30);
    bench.run(seconds(2));
    for key in 0..20 {
        bench.wheel.renew(&key, bench.now);
    }
    let (ended, protections) = bench.run(seconds(1) + TICK * 2);
    assert_eq!((ended, protections), (vec![], vec![Protection::Mass { ending: 10, of: 30 }]));
    for _ in 0..9 {
        for key in 0..21 {
            bench.wheel.renew(&key, bench.now);
        }
        assert_eq!(bench.run(seconds(1)).0, NOBODY);
    }
    for key in 0..21 {
        bench.wheel.renew(&key, bench.now);
    }
    let (ended, protections) = bench.run(seconds(2));
    assert_eq!((ended, protections), ((21..30).collect(), vec![]));
}

#[test]
fn deadlines_spread_over_a_second_are_one_mass() {
    let mut bench = Bench::new();
    for key in 0..20 {
        bench.wheel.insert(key, TTL, bench.now + Duration::from_millis(45) * key);
    }
    let (ended, protections) = bench.run(seconds(5));
    assert_eq!(ended, NOBODY);
    assert_eq!(protections, [Protection::Mass { ending: 20, of: 20 }]);
}

#[test]
fn few_or_a_small_share_end_at_once() {
    let mut bench = Bench::new();
    bench.insert(0..9);
    assert_eq!(bench.run(seconds(4)).0.len(), 9);
    bench.insert(0..100);
    bench.run(seconds(2));
    for key in 30..100 {
        bench.wheel.renew(&key, bench.now);
    }
    assert_eq!(bench.run(seconds(2) - TICK), ((0..30).collect(), vec![]));
}

#[test]
fn a_renewal_noted_elsewhere_counts() {
    let mut bench = Bench::new();
    bench.insert(0..1);
    let heard = bench.now + seconds(2);
    for _ in 0..49 {
        bench.now += TICK;
        assert_eq!(bench.wheel.expire_with(bench.now, |_| Some(heard)).ended, NOBODY);
    }
    bench.now += TICK * 2;
    assert_eq!(bench.wheel.expire_with(bench.now, |_| Some(heard)).ended, [0]);
}

#[derive(Debug, Clone)]
enum Action {
    Insert(u32, u64),
    Renew(u32),
    Remove(u32),
    Wait(u64),
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0_u32..8, 100_u64..20_000).prop_map(|(key, ttl)| Action::Insert(key, ttl)),
        (0_u32..8).prop_map(Action::Renew),
        (0_u32..8).prop_map(Action::Remove),
        (1_u64..900).prop_map(Action::Wait),
    ]
}

proptest! {
    /// Eight keys are never a mass and waits are never late, so the wheel must agree with a plain map to
    /// within a tick.
    #[test]
    fn the_wheel_agrees_with_a_map(actions in prop::collection::vec(any_action(), 1..120)) {
        let mut bench = Bench::new();
        let mut model: BTreeMap<u32, (Duration, Instant)> = BTreeMap::new();
        for action in actions {
            match action {
                Action::Insert(key, ttl) => {
                    let ttl = Duration::from_millis(ttl);
                    bench.wheel.insert(key, ttl, bench.now);
                    model.insert(key, (ttl, bench.now + ttl));
                }
                Action::Renew(key) => {
                    bench.wheel.renew(&key, bench.now);
                    if let Some((ttl, deadline)) = model.get_mut(&key) { *deadline = bench.now + *ttl; }
                }
                Action::Remove(key) => prop_assert_eq!(bench.wheel.remove(&key), model.remove(&key).is_some()),
                Action::Wait(ms) => {
                    bench.now += Duration::from_millis(ms);
                    for key in bench.wheel.expire(bench.now).ended {
                        let (_, deadline) = model.remove(&key).expect("only what is there ends");
                        prop_assert!(deadline <= bench.now);
                    }
                    let overdue = model.values().filter(|(_, deadline)| *deadline + TICK * 2 <= bench.now).count();
                    prop_assert_eq!(overdue, 0, "ends within two ticks");
                }
            }
        }
        prop_assert_eq!(bench.wheel.len(), model.len());
    }
}
