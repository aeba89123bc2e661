//! The machine against a simulated upstream: so many servers, a service time, one queue, and callers that send at
//! a fixed rate whatever happens.

use std::{cmp::Reverse, collections::BinaryHeap};

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const BOUNDS: Bounds = Bounds { min: 4, max: 1_000 };

/// An upstream behind a limit. Events are arrivals and completions, in the order of time.
struct Simulation {
    gradient: Gradient,
    rng: fastrand::Rng,
    servers: usize,
    service: u64,
    now: u64,
    /// When each server is free.
    free: BinaryHeap<Reverse<u64>>,
    /// (when, began) of what is under way.
    under_way: BinaryHeap<Reverse<(u64, u64)>>,
    counts: Vec<u32>,
    samples: u32,
    in_flight_max: u32,
    window_from: u64,
    served: u32,
    refused: u32,
    slowest: u64,
}

impl Simulation {
    fn new(servers: usize, service_ms: u64, seed: u64) -> Self {
        Self {
            gradient: Gradient::new(BOUNDS, 0),
            rng: fastrand::Rng::with_seed(seed),
            servers,
            service: service_ms * MS,
            now: 0,
            free: (0..servers).map(|_| Reverse(0)).collect(),
            under_way: BinaryHeap::new(),
            counts: vec![0; BUCKETS],
            samples: 0,
            in_flight_max: 0,
            window_from: 0,
            served: 0,
            refused: 0,
            slowest: 0,
        }
    }

    /// Offers `load` times the upstream's capacity for a time.
    fn run(&mut self, load: f64, seconds: u64) {
        (self.served, self.refused, self.slowest) = (0, 0, 0);
        let end = self.now + seconds * SECOND;
        let gap = self.service as f64 / (self.servers as f64 * load);
        let mut next = self.now as f64;
        while self.now < end {
            self.now = whole(next);
            self.complete();
            self.arrive();
            next += gap * (0.5 + self.rng.f64());
        }
    }

    fn complete(&mut self) {
        while let Some(Reverse((at, began))) =
            self.under_way.peek().copied().filter(|Reverse((at, _))| *at <= self.now)
        {
            self.under_way.pop();
            self.served += 1;
            self.slowest = self.slowest.max(at - began);
            if began < self.gradient.counts_from() {
                continue;
            }
            self.counts[bucket(Duration::from_nanos(at - began))] += 1;
            self.samples += 1;
            let age = Duration::from_nanos(at.saturating_sub(self.window_from));
            if self.gradient.is_due(age, self.samples) {
                let window = Window {
                    median: median(&self.counts),
                    samples: self.samples,
                    in_flight_max: self.in_flight_max,
                };
                self.gradient.fold(window, BOUNDS, at, &mut self.rng);
                self.counts.fill(0);
                (self.samples, self.in_flight_max, self.window_from) = (0, 0, at);
            }
        }
    }

    fn arrive(&mut self) {
        if self.under_way.len() >= self.gradient.limit(BOUNDS) as usize {
            self.refused += 1;
            return;
        }
        let Reverse(free) = self.free.pop().unwrap();
        let service = whole(self.service as f64 * (0.8 + self.rng.f64() * 0.4));
        let done = free.max(self.now) + service;
        self.free.push(Reverse(done));
        self.under_way.push(Reverse((done, self.now)));
        self.in_flight_max = self.in_flight_max.max(u32::try_from(self.under_way.len()).unwrap());
    }

    /// What the upstream could have served in that time.
    fn capacity(&self, seconds: u64) -> f64 {
        self.servers as f64 * (seconds * SECOND) as f64 / self.service as f64
    }
}

#[test]
fn without_a_queue_the_limit_grows_as_far_as_it_is_used() {
    let mut simulation = Simulation::new(500, 10, 1);
    simulation.run(0.5, 10);
    simulation.run(0.5, 10);
    assert_eq!(simulation.refused, 0, "of half the load, once it has grown");
}

#[test]
fn a_slower_upstream_gets_fewer_and_a_recovered_one_more_again() {
    let mut simulation = Simulation::new(40, 10, 1);
    simulation.run(2.0, 20);
    let before = simulation.gradient.limit;
    // Half of its servers hang for a minute.
    for _ in 0..20 {
        simulation.free.pop();
    }
    simulation.servers = 20;
    simulation.run(2.0, 60);
    let during = simulation.gradient.limit;
    assert!(during < before * 0.75, "{before} fell to {during}");
    let now = simulation.now;
    (0..20).for_each(|_| simulation.free.push(Reverse(now)));
    simulation.servers = 40;
    simulation.run(2.0, 60);
    assert!(simulation.gradient.limit > before * 0.8, "{} of {before}", simulation.gradient.limit);
}

#[test]
fn a_service_that_became_slower_for_good_is_not_held_down() {
    let mut simulation = Simulation::new(40, 10, 1);
    simulation.run(1.5, 20);
    simulation.service *= 5;
    simulation.run(1.5, 120);
    simulation.run(1.5, 60);
    let share = f64::from(simulation.served) / simulation.capacity(60);
    assert!(share > 0.9, "{share} of what it can serve");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn under_overload_the_upstream_is_busy_and_its_queue_is_short(
        servers in 8_usize..60, service_ms in 10_u64..60, load in 1.5_f64..4.0, seed: u64,
    ) {
        let mut simulation = Simulation::new(servers, service_ms, seed);
        simulation.run(load, 5);
        // Long enough for a measurement.
        simulation.run(load, 35);
        let share = f64::from(simulation.served) / simulation.capacity(35);
        prop_assert!(share > 0.9, "{share} of what it can serve, limit {}", simulation.gradient.limit);
        let slow = simulation.slowest as f64 / simulation.service as f64;
        prop_assert!(slow < 5.0, "{slow} times the service time, limit {}", simulation.gradient.limit);
    }

    #[test]
    fn a_time_is_in_a_bucket_that_begins_below_it(nanos in 1_u64 << 13..1 << 36) {
        let index = bucket(Duration::from_nanos(nanos));
        prop_assert!(lower_bound(index) <= nanos as f64 && nanos as f64 <= lower_bound(index + 1));
    }

    #[test]
    fn any_window_keeps_the_limit_in_its_bounds(
        windows in prop::collection::vec((0.0_f64..1e12, 0_u32..2_000), 0..200),
        min: u32, max: u32, seed: u64,
    ) {
        let bounds = Bounds { min, max };
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut gradient = Gradient::new(bounds, 1);
        for (place, (median, in_flight_max)) in windows.into_iter().enumerate() {
            gradient.fold(Window { median, samples: 50, in_flight_max }, bounds, place as u64 * SECOND, &mut rng);
            let limit = gradient.limit(bounds);
            prop_assert!(limit >= min.max(1) && limit <= max.max(min).max(1));
        }
    }
}
