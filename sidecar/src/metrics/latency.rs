//! A histogram of times: one thread's cells, and their sums as they are scraped.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{LATENCY_BOUNDS, count, render::Labels};

/// The buckets, and one for what is slower than all bounds.
const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;
/// The bounds, in nanoseconds.
const NANOS: [u64; LATENCY_BOUNDS.len()] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// One thread's times.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

/// Those of several threads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl Latency {
    pub(crate) fn observe(&self, nanos: u64) {
        let bucket = NANOS.iter().take_while(|bound| nanos > **bound).count();
        if let Some(bucket) = self.buckets.get(bucket) {
            count(bucket, 1);
        }
        count(&self.nanos, nanos);
    }
}

impl Sum {
    pub(super) fn add(&mut self, latency: &Latency) {
        self.nanos += latency.nanos.load(Relaxed);
        for (sum, bucket) in self.buckets.iter_mut().zip(&latency.buckets) {
            *sum += bucket.load(Relaxed);
        }
    }
}

pub(super) fn encode_histograms(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    sums: &BTreeMap<Labels<'_>, Sum>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, sum) in sums {
        let bounds = LATENCY_BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sum.buckets).collect();
        let seconds = Duration::from_nanos(sum.nanos).as_secs_f64();
        let count = sum.buckets.iter().sum();
        metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_bucket_that_prometheus_puts_it_in() {
        for (seconds, nanos) in LATENCY_BOUNDS.into_iter().zip(NANOS) {
            assert_eq!(Duration::from_nanos(nanos), Duration::from_secs_f64(seconds));
        }
        let latency = Latency::default();
        // A bound belongs to the bucket below it.
        [0, 500_000, 500_001, u64::MAX / 2].into_iter().for_each(|nanos| latency.observe(nanos));
        let counts: Vec<_> = latency.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        assert_eq!((counts[0], counts[1], counts[BUCKETS - 1]), (2, 1, 1));
    }
}
