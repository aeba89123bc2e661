//! What the registry counts, for metrics: relaxed atomics that one task writes and a scrape reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start, except where a field says otherwise.
#[derive(Debug, Default)]
pub struct RegistryStats {
    /// Checks that changed what they say.
    pub transitions: Counter,
    /// Leases of sidecars that ran out.
    pub lease_expiries: Counter,
    /// TTL checks that were not reported to in time.
    pub ttl_expiries: Counter,
    /// Times that leases were held because this process was late.
    pub late_protections: Counter,
    /// Times that leases were held because too many would have ended at once.
    pub mass_protections: Counter,
    /// Instances removed for having been critical too long.
    pub deregistrations: Counter,
    /// Commits that the store refused.
    pub store_errors: Counter,
    /// Commits that took so long that transitions were shown before they were stored.
    pub store_stalls: Counter,
    /// Records of the store that could not be read at the start and are left alone.
    pub records_skipped: Counter,
    /// Catalogs published.
    pub publications: Counter,
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// What it stands at.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}
