//! What one round of load came to: one line of JSON from the load to the driver.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Requests, gRPC messages, or bytes.
    pub completed: u64,
    /// Connections or streams that did not end as they should: a sample with any is none.
    pub failed: u64,
    /// The first of them, described.
    pub failure: Option<String>,
    /// How long was measured.
    pub seconds: f64,
    /// User and system time of the peer's processes meanwhile.
    pub cpu_seconds: f64,
    /// Resident memory of those processes at the end, in KiB, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_kib: Option<u64>,
    /// Latencies from the scheduled time; only at a fixed rate.
    pub latency: Option<Latency>,
}

/// Quantiles, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
}

impl Sample {
    /// Units of work a second.
    pub fn rate(&self) -> f64 {
        as_f64(self.completed) / self.seconds
    }

    /// CPU microseconds a unit of work.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / as_f64(self.completed)
    }

    /// Share of its core that the proxy used.
    pub fn utilisation(&self) -> f64 {
        self.cpu_seconds / self.seconds
    }
}

/// For ratios; counts are far below the 2^53 from which on this rounds.
pub const fn as_f64(count: u64) -> f64 {
    count as f64
}
