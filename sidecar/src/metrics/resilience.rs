//! What retries, hedges and limits did for a service: one thread's cells, and their sums as they are scraped.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};
use weft_model::retry::Reason;

use super::{
    ServiceMetrics,
    render::{by_service, encode_counters, encode_gauges},
};

type Value = fn(&ResilienceMetrics) -> u64;

/// One thread's counts of one service.
#[derive(Debug, Default)]
pub struct ResilienceMetrics {
    /// Attempts after one that had failed, by [`Reason`].
    retries: [AtomicU64; Reason::ALL.len()],
    /// Attempts beside one that had not yet answered.
    pub hedges: AtomicU64,
    /// Of them, those whose answer was used.
    pub hedges_won: AtomicU64,
    /// Requests that waited for a place.
    pub queued: AtomicU64,
    /// Of them, those that wait no longer.
    pub dequeued: AtomicU64,
    /// How long they have waited, in nanoseconds.
    pub queued_nanos: AtomicU64,
    /// Requests that found the queue full.
    pub queue_overflows: AtomicU64,
    /// Requests that waited in vain.
    pub queue_timeouts: AtomicU64,
    /// The limit that held when this thread last looked; 0 = none.
    pub concurrency_limit: AtomicU64,
    /// Exchanges whose bodies stood still for too long.
    pub idle_timeouts: AtomicU64,
}

impl ResilienceMetrics {
    pub(crate) fn retry(&self, reason: Reason) {
        if let Some(count) = self.retries.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }
}

/// All of it. What never happened has no line, but for retries.
pub(super) fn encode(encoder: &mut DescriptorEncoder, services: &[Arc<ServiceMetrics>]) -> fmt::Result {
    encode_retries(encoder, services)?;
    let counts: [(&str, &str, Value); 6] = [
        ("weft_hedges", "Attempts beside one that had not yet answered", |cell| cell.hedges.load(Relaxed)),
        ("weft_hedges_won", "Hedges whose answer was used", |cell| cell.hedges_won.load(Relaxed)),
        ("weft_queued_requests", "Requests that waited for a place below the limit", |cell| {
            cell.queued.load(Relaxed)
        }),
        ("weft_queue_overflows", "Requests that found the queue full", |cell| {
            cell.queue_overflows.load(Relaxed)
        }),
        ("weft_queue_timeouts", "Requests that waited for a place in vain", |cell| {
            cell.queue_timeouts.load(Relaxed)
        }),
        ("weft_idle_timeouts", "Exchanges whose bodies stood still for too long", |cell| {
            cell.idle_timeouts.load(Relaxed)
        }),
    ];
    for (name, help, value) in counts {
        let mut sums = BTreeMap::new();
        for (cell, value) in present(services, value) {
            *sums.entry(by_service(cell)).or_insert(0) += value;
        }
        encode_counters(encoder, name, help, sums)?;
    }
    encode_queue_seconds(encoder, services)?;
    encode_limits(encoder, services)
}

fn encode_retries(encoder: &mut DescriptorEncoder, services: &[Arc<ServiceMetrics>]) -> fmt::Result {
    let mut sums = BTreeMap::new();
    for cell in services {
        for (reason, count) in Reason::ALL.into_iter().zip(&cell.resilience.retries) {
            let count = count.load(Relaxed);
            if count > 0 {
                let mut labels = by_service(cell);
                labels.push(("reason", reason.as_str()));
                *sums.entry(labels).or_insert(0) += count;
            }
        }
    }
    encode_counters(encoder, "weft_retries", "Attempts after one that had failed, by what it came to", sums)
}

fn encode_queue_seconds(encoder: &mut DescriptorEncoder, services: &[Arc<ServiceMetrics>]) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "weft_queued_seconds",
        "Time that requests have waited for a place",
        None,
        MetricType::Counter,
    )?;
    let mut sums = BTreeMap::new();
    for (cell, nanos) in present(services, |cell| cell.queued_nanos.load(Relaxed)) {
        *sums.entry(by_service(cell)).or_insert(0) += nanos;
    }
    for (labels, nanos) in sums {
        let seconds = Duration::from_nanos(nanos).as_secs_f64();
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, f64, u64>(&seconds, None)?;
    }
    Ok(())
}

fn encode_limits(encoder: &mut DescriptorEncoder, services: &[Arc<ServiceMetrics>]) -> fmt::Result {
    let (mut limits, mut waiting) = (BTreeMap::new(), BTreeMap::new());
    for (cell, limit) in present(services, |cell| cell.concurrency_limit.load(Relaxed)) {
        // One limit that threads share: what one of them saw later may be more or less.
        let most: &mut u64 = limits.entry(by_service(cell)).or_insert(0);
        *most = (*most).max(limit);
        let cell_waits =
            cell.resilience.queued.load(Relaxed).saturating_sub(cell.resilience.dequeued.load(Relaxed));
        *waiting.entry(by_service(cell)).or_insert(0) += cell_waits;
    }
    for (name, help, sums) in [
        ("weft_concurrency_limit", "Requests that may be under way at once", limits),
        ("weft_queue_length", "Requests that wait for a place now", waiting),
    ] {
        encode_gauges(encoder, name, help, sums)?;
    }
    Ok(())
}

/// Cells whose value is not zero.
fn present(services: &[Arc<ServiceMetrics>], value: Value) -> impl Iterator<Item = (&ServiceMetrics, u64)> {
    services.iter().map(move |cell| (&**cell, value(&cell.resilience))).filter(|(_, value)| *value > 0)
}
