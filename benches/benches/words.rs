//! What a request pays into and takes out of words that threads share: retry budget, average of response times,
//! rate limit. Run by `make bench-micro`; a figure is worth something beside the same one of a build before.

use std::time::Duration;

use divan::{Bencher, black_box};
use weft_model::{budget, ewma::PeakEwma, policy::RetryBudget, rate_limit::Rate};

/// Some time that is not the first.
const NOW_MS: u32 = 123_456;
const NOW: u64 = 123_456_000_000;
const BUDGET: RetryBudget = RetryBudget { percent: 20, floor_per_second: 10, reserve: 100 };

fn main() {
    divan::main();
}

#[divan::bench]
fn budget_deposit(bencher: Bencher<'_, '_>) {
    let word = budget::deposit(0, &BUDGET);
    bencher.bench(|| budget::deposit(black_box(word), &BUDGET));
}

#[divan::bench]
fn budget_withdraw(bencher: Bencher<'_, '_>) {
    let word = budget::deposit(0, &BUDGET);
    bencher.bench(|| budget::withdraw(black_box(word), black_box(NOW_MS + 1), &BUDGET));
}

#[divan::bench]
fn ewma_observe(bencher: Bencher<'_, '_>) {
    let known = PeakEwma::default().observe(Duration::from_millis(5), NOW);
    bencher.bench(|| black_box(known).observe(black_box(Duration::from_millis(2)), NOW + 1_000_000));
}

#[divan::bench]
fn ewma_faded(bencher: Bencher<'_, '_>) {
    let known = PeakEwma::default().observe(Duration::from_millis(5), NOW);
    bencher.bench(|| black_box(known).faded(black_box(NOW + 1_000_000)));
}

#[divan::bench]
fn rate_limit_take(bencher: Bencher<'_, '_>) {
    let rate = Rate::new(1_000_000, Duration::from_secs(1), 1_000);
    bencher.bench(|| rate.take(black_box(0), black_box(NOW)));
}
