//! What the gRPC side counts, for metrics: relaxed atomics that streams write and a scrape reads.

use crate::registry::stats::Counter;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct DiscoveryStats {
    /// Discovery streams that were taken.
    pub streams_opened: Counter,
    /// Of these, those that have ended.
    pub streams_ended: Counter,
    /// Discovery streams that were ended because of what they said.
    pub streams_refused: Counter,
    /// Responses written to discovery streams.
    pub responses_sent: Counter,
    /// Resources in these.
    pub resources_sent: Counter,
    /// Removals in these.
    pub removals_sent: Counter,
    /// Responses of which a sidecar refused something.
    pub nacks: Counter,
    /// Services that a sidecar was asked to sync, since it held something else than was believed.
    pub resyncs: Counter,
    /// Sidecars that were not taken in, or were told that another has their id.
    pub attaches_refused: Counter,
}
