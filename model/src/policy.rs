//! The plain values that the data path decides with: timeouts, retry policy, balancing, ejection. Every
//! default is a commented constant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// From a request's arrival to its response head, over all attempts. Envoy gives 15 s to the whole response,
/// Linkerd has none; 30 s to the head ends what hangs and leaves long downloads alone. gRPC, whose streams may
/// stay without a head for as long as they like, has its own `grpc-timeout` and none of this by default.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// To make a connection: inside one network, a second is a lost SYN and its first repetition.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Tries after the first one. With three replicas, two more tries see all of them.
pub const RETRIES_MAX: u32 = 2;
/// The share of a service's requests that may be retries, in percent (Linkerd's and Envoy's default).
pub const RETRY_PERCENT: u32 = 20;
/// Retries a second that are always allowed: a service with little traffic could not retry at all otherwise.
pub const RETRY_FLOOR_PER_SECOND: u32 = 10;
/// Retries that may be saved up: ten seconds of the floor.
pub const RETRY_RESERVE: u32 = 100;
/// The longest request body that is kept for another try, in bytes.
pub const REPLAY_BODY_MAX: usize = 64 * 1_024;
/// Failures in a row that eject.
pub const EJECT_AFTER: u32 = 5;
/// The first ejection.
pub const EJECT_BASE: Duration = Duration::from_secs(5);
/// The longest ejection.
pub const EJECT_MAX: Duration = Duration::from_secs(60);
/// Without an ejection for this long, the next one is short again.
pub const EJECT_FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// Ejection by bad answers never takes out more than this share of a service's callable endpoints.
pub const EJECT_PERCENT_MAX: u32 = 50;

/// All of it, for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// When to give up.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// When an endpoint is left out.
    pub outlier: OutlierPolicy,
}

/// When to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To the response head, over all attempts; `None` = never.
    pub total: Option<Duration>,
    /// To the response head of one attempt; none by default.
    pub per_try: Option<Duration>,
    /// To make a connection.
    pub connect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { total: Some(TOTAL_TIMEOUT), per_try: None, connect: CONNECT_TIMEOUT }
    }
}

/// When to try again. Which failures may be retried is not a setting: only what is safe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first; 0 = none.
    pub retries_max: u32,
    /// How much load retries may add.
    pub budget: RetryBudget,
    /// The wait before a second retry; the first one goes at once.
    pub backoff: Backoff,
    /// The longest request body that is kept, in bytes.
    pub body_max: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_max: RETRIES_MAX,
            budget: RetryBudget::default(),
            backoff: Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) },
            body_max: REPLAY_BODY_MAX,
        }
    }
}

/// How much load retries may add to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Share of the requests, in percent.
    pub percent: u32,
    /// Retries a second that are allowed in any case.
    pub floor_per_second: u32,
    /// How many may be saved up.
    pub reserve: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: RETRY_PERCENT, floor_per_second: RETRY_FLOOR_PER_SECOND, reserve: RETRY_RESERVE }
    }
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The less loaded of two drawn at random, by peak-EWMA of response times and requests in flight.
    #[default]
    P2cPeakEwma,
    /// One after the other.
    RoundRobin,
}

/// When an endpoint is left out of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierPolicy {
    /// Soft failures in a row that eject.
    pub consecutive: u32,
    /// The first ejection; the n-th lately is n times as long.
    pub base: Duration,
    /// The longest ejection.
    pub max: Duration,
    /// After this time without one, an ejection is the first again.
    pub forgiven_after: Duration,
    /// The largest share of callable endpoints that may be out by bad answers, in percent.
    pub percent_max: u32,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive: EJECT_AFTER,
            base: EJECT_BASE,
            max: EJECT_MAX,
            forgiven_after: EJECT_FORGIVEN_AFTER,
            percent_max: EJECT_PERCENT_MAX,
        }
    }
}
