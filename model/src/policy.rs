//! The plain values that the data path decides with: timeouts, retry policy, balancing, ejection. Every
//! default is a commented constant.

mod balancing;
pub mod patch;

use std::time::Duration;

pub use self::balancing::{
    Balance, BalancePolicy, HashKey, OVERPROVISION_PERCENT, PANIC_PERCENT, PriorityLevel, PriorityPolicy,
    ZONE_SPILL_PERCENT, ZonePolicy,
};
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
/// Retries that requests may save up, for a burst such as the open calls of a replica that dies.
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

/// Requests that wait for a place when a concurrency limit is reached, at most.
pub const QUEUE_LENGTH: u32 = 128;
/// How long one of them waits, at most.
pub const QUEUE_TIMEOUT: Duration = Duration::from_millis(100);

/// All of it, for one service. What is addressed decides over timeouts, retries, hedging and faults; what is
/// called in the end (a route's backend) over balancing, ejection, budget and limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// When to give up.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Whether to ask a second endpoint before the first has answered.
    pub hedge: Option<HedgePolicy>,
    /// How an endpoint is chosen.
    pub balance: BalancePolicy,
    /// When an endpoint is left out.
    pub outlier: OutlierPolicy,
    /// How much is sent at once.
    pub limits: LimitPolicy,
    /// What is broken on purpose.
    pub fault: Option<FaultPolicy>,
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
    /// Without a byte of either body, once the response head is there; `None` = never.
    pub idle: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { total: Some(TOTAL_TIMEOUT), per_try: None, connect: CONNECT_TIMEOUT, idle: None }
    }
}

/// When to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first; 0 = none.
    pub retries_max: u32,
    /// Which outcomes are tried again, beyond what is always safe.
    pub on: RetryOn,
    /// How much load retries may add.
    pub budget: RetryBudget,
    /// The wait before a second retry; the first one goes at once.
    pub backoff: Backoff,
    /// The least wait before any retry, the first one included; none by default.
    pub wait_min: Duration,
    /// The longest `retry-after` that is waited for; an answer with a longer one is passed on.
    pub retry_after_max: Duration,
    /// The longest request body that is kept, in bytes.
    pub body_max: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_max: RETRIES_MAX,
            on: RetryOn::default(),
            budget: RetryBudget::default(),
            backoff: Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) },
            wait_min: Duration::ZERO,
            retry_after_max: Duration::from_secs(1),
            body_max: REPLAY_BODY_MAX,
        }
    }
}

/// Which outcomes are tried again. An unsafe request is tried again only where the application cannot have seen
/// it, whatever stands here; statuses and codes are an application's own answers, and none are by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection could be made.
    pub connect_failure: bool,
    /// The peer refused the stream before it looked at it (RFC 9113 section 8.7).
    pub refused_stream: bool,
    /// The connection broke before a byte of the response.
    pub reset: bool,
    /// HTTP statuses of answers.
    pub statuses: Vec<u16>,
    /// gRPC codes of answers without a body (`grpc-status` in the head).
    pub grpc_codes: Vec<u8>,
}

impl Default for RetryOn {
    fn default() -> Self {
        Self {
            connect_failure: true,
            refused_stream: true,
            reset: true,
            statuses: Vec::new(),
            grpc_codes: Vec::new(),
        }
    }
}

/// How much load retries may add to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Share of the requests, in percent.
    pub percent: u32,
    /// Retries a second that are allowed where the share is less: a service with a call a minute has some.
    pub floor_per_second: u32,
    /// How many of the share may be saved up; 650 at most count.
    pub reserve: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: RETRY_PERCENT, floor_per_second: RETRY_FLOOR_PER_SECOND, reserve: RETRY_RESERVE }
    }
}

/// Asking a second endpoint before the first has answered: for idempotent requests, within the retry budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgePolicy {
    /// How long the first one has to itself.
    pub delay: Duration,
    /// Attempts under way at once, at most; 2 or more.
    pub attempts_max: u32,
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
    /// Ejection by a success rate far below the others'; off by default.
    pub success_rate: Option<SuccessRatePolicy>,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive: EJECT_AFTER,
            base: EJECT_BASE,
            max: EJECT_MAX,
            forgiven_after: EJECT_FORGIVEN_AFTER,
            percent_max: EJECT_PERCENT_MAX,
            success_rate: None,
        }
    }
}

/// Ejection of endpoints whose success rate is far below the mean of all (Envoy's success-rate detection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuccessRatePolicy {
    /// How often rates are compared; counts begin anew each time.
    pub interval: Duration,
    /// Endpoints with too few requests in the interval are not compared.
    pub requests_min: u32,
    /// With fewer comparable endpoints nothing is ejected.
    pub endpoints_min: u32,
    /// Thousandths of a standard deviation below the mean that eject: 1900 as in Envoy.
    pub stdev_factor_thousandths: u32,
}

/// How much is sent to a service at once, counted by this sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitPolicy {
    /// Requests under way.
    pub concurrency: Concurrency,
    /// What waits when there are as many.
    pub queue: QueuePolicy,
    /// Connections to one endpoint from one data thread, at most; `None` = as many as needed. It holds for endpoints
    /// that come after it is said; for those that are known, once they are dialled anew.
    pub connections_per_endpoint: Option<u32>,
}

/// The limit on requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concurrency {
    /// None.
    #[default]
    Unlimited,
    /// At most so many.
    Fixed(u32),
    /// As many as keep latency near its minimum: the gradient of Netflix's and Envoy's adaptive concurrency.
    Adaptive {
        /// Never fewer.
        min: u32,
        /// Never more.
        max: u32,
    },
}

/// A bounded, timed queue before a concurrency limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePolicy {
    /// Requests waiting, at most; one more is answered `overloaded` at once.
    pub length_max: u32,
    /// How long one waits before that answer.
    pub timeout: Duration,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self { length_max: QUEUE_LENGTH, timeout: QUEUE_TIMEOUT }
    }
}

/// Failures that are made on purpose, to see how callers take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPolicy {
    /// Requests that wait first.
    pub delay: Option<FaultDelay>,
    /// Requests that are answered without being sent.
    pub abort: Option<FaultAbort>,
}

/// See [`FaultPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultDelay {
    /// Share of the requests, in percent.
    pub percent: u32,
    /// How long.
    pub time: Duration,
}

/// See [`FaultPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultAbort {
    /// Share of the requests, in percent.
    pub percent: u32,
    /// HTTP status, 200 to 599; a gRPC call gets the code that gRPC maps it to.
    pub status: u16,
}
