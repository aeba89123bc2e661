//! How an endpoint is chosen, and of which: the values that `balance` decides with.

use std::time::Duration;

/// With a smaller share of a service's endpoints open, ejections by bad answers are disregarded, in percent
/// (Envoy's `healthy_panic_threshold`): the few that are left would be overrun.
pub const PANIC_PERCENT: u32 = 50;
/// An own zone with a smaller share of its endpoints open gives traffic away, in percent (1/1.4, as by Envoy's
/// overprovisioning factor).
pub const ZONE_SPILL_PERCENT: u32 = 70;
/// How much more than its share an endpoint can take, in percent, before a level of priority overflows into the
/// next one (Envoy's `overprovisioning_factor`).
pub const OVERPROVISION_PERCENT: u32 = 140;

/// How endpoints are chosen, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancePolicy {
    /// How one is chosen of those that may be.
    pub algorithm: Balance,
    /// A new endpoint's share grows to its full weight over this time; `None` = at once.
    pub slow_start: Option<Duration>,
    /// Which endpoints come first; no levels = all alike.
    pub priority: PriorityPolicy,
    /// Whether endpoints of the caller's own zone are preferred, within a level of priority.
    pub zone: ZonePolicy,
    /// Below this share of open endpoints (of those that exist), in percent, ejections by bad answers are
    /// disregarded, never refused connections; 0 = never. With several levels of priority only once all of them
    /// together cannot take the traffic.
    pub panic_percent: u32,
    /// Only endpoints with all of these tags; empty = all. If there is none the call fails
    /// (`no-healthy-endpoint`): others are never taken for it.
    pub subset: Vec<Box<str>>,
    /// A connection that is older carries no new request (HTTP/2 spreads to new replicas); `None` = any age.
    pub connection_age_max: Option<Duration>,
}

impl Default for BalancePolicy {
    fn default() -> Self {
        Self {
            algorithm: Balance::default(),
            slow_start: None,
            priority: PriorityPolicy::default(),
            zone: ZonePolicy::default(),
            panic_percent: PANIC_PERCENT,
            subset: Vec::new(),
            connection_age_max: None,
        }
    }
}

/// Levels of endpoints in the order in which they are used: the next one gets what the ones before cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityPolicy {
    /// An endpoint belongs to the first level that fits it; those that fit none come after the last one.
    pub levels: Vec<PriorityLevel>,
    /// How much more than its share an endpoint can take, 100 or more: at 140 a level takes everything while
    /// 100/140 of its endpoints are open.
    pub overprovision_percent: u32,
}

/// Which endpoints a level has: those with all of these tags, in one of these zones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriorityLevel {
    /// Empty = any.
    pub tags: Vec<Box<str>>,
    /// Empty = any.
    pub zones: Vec<Box<str>>,
}

impl Default for PriorityPolicy {
    fn default() -> Self {
        Self { levels: Vec::new(), overprovision_percent: OVERPROVISION_PERCENT }
    }
}

/// Whether near endpoints are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZonePolicy {
    /// Where an endpoint stands does not matter.
    #[default]
    Any,
    /// The own zone first. When fewer than `spill_percent` of its endpoints are open, the share that is missing
    /// goes to the others. A sidecar that knows no zone of its own, or none with endpoints, balances over all.
    Prefer {
        /// In percent; [`ZONE_SPILL_PERCENT`] by default.
        spill_percent: u32,
    },
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Balance {
    /// The less loaded of two drawn at random, by peak-EWMA of response times and requests in flight.
    #[default]
    P2cPeakEwma,
    /// The one of two drawn at random with fewer requests in flight.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// Consistent hashing on a ring of points.
    RingHash(HashKey),
    /// Consistent hashing by Maglev's table: evener, moves a little more.
    Maglev(HashKey),
}

/// What a request is hashed by. A request without it is balanced at random.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// A header's value; the name is lower-case.
    Header(Box<str>),
    /// A cookie's value.
    Cookie(Box<str>),
    /// The value of a query parameter.
    Query(Box<str>),
    /// The caller's IP address.
    SourceAddress,
}

impl Balance {
    /// What requests are hashed by, where they are.
    pub const fn hash_key(&self) -> Option<&HashKey> {
        match self {
            Self::RingHash(key) | Self::Maglev(key) => Some(key),
            Self::P2cPeakEwma | Self::LeastRequest | Self::RoundRobin | Self::Random => None,
        }
    }

    /// The word in files.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::P2cPeakEwma => "p2c-peak-ewma",
            Self::LeastRequest => "least-request",
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::RingHash(_) => "ring-hash",
            Self::Maglev(_) => "maglev",
        }
    }
}
