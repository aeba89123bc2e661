//! A histogram of times: one thread's cells, and their sums as they are scraped.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{LATENCY_BOUNDS, render::Labels};

/// The buckets, and one for what is slower than all bounds.
const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

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
        #[allow(clippy::cast_precision_loss, reason = "a bucket is found, nothing is counted")]
        let seconds = nanos as f64 / 1e9;
        let bucket = LATENCY_BOUNDS.iter().take_while(|bound| seconds > **bound).count();
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
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
        #[allow(clippy::cast_precision_loss, reason = "a float is what the format has")]
        let seconds = sum.nanos as f64 / 1e9;
        let count = sum.buckets.iter().sum();
        metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
    }
    Ok(())
}
