//! `policy:` of the file: timeouts, retries, balancing, ejection, for every service. It must not know what a
//! value does: the data path does.

use std::time::Duration;

use serde::Deserialize;
use weft_model::policy::{
    Balance, BalancePolicy, HedgePolicy, OutlierPolicy, Policy, RetryPolicy, SuccessRatePolicy,
    ZONE_SPILL_PERCENT, ZonePolicy,
};

use super::{Faults, concurrency::RawLimit, faults::clip};

/// The word for a time without end.
pub(super) const NEVER: &str = "never";
/// The largest body that may be kept for a retry, in bytes: each request in flight can hold as much.
const RETRY_BODY_MAX: usize = 16 * 1024 * 1024;

/// Attempts that may race, at most.
const HEDGED_MAX: u32 = 5;
/// How often success rates are compared, when nobody says: this and the next three are Envoy's defaults.
const RATE_INTERVAL: Duration = Duration::from_secs(10);
/// Requests in an interval that make a rate comparable.
const RATE_REQUESTS_MIN: u32 = 100;
/// Comparable endpoints that make a mean.
const RATE_ENDPOINTS_MIN: u32 = 5;
/// Standard deviations below the mean that eject.
const RATE_STDEV_FACTOR: f64 = 1.9;

/// As written. Times are `2s` or `500ms`; `never` where there may be none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPolicy {
    timeout: Option<String>,
    per_try_timeout: Option<String>,
    connect_timeout: Option<String>,
    idle_timeout: Option<String>,
    retries: Option<u32>,
    retry_on: Option<Vec<RawCondition>>,
    retry_statuses: Vec<u16>,
    retry_grpc_codes: Vec<u8>,
    retry_after_max: Option<String>,
    retry_backoff: Option<String>,
    retry_backoff_max: Option<String>,
    retry_budget_percent: Option<u32>,
    retry_floor_per_second: Option<u32>,
    retry_body_bytes_max: Option<usize>,
    hedge: Option<RawHedge>,
    concurrency: Option<RawLimit>,
    balance: Option<RawBalance>,
    slow_start: Option<String>,
    zone: Option<RawZone>,
    zone_spill_percent: Option<u32>,
    panic_percent: Option<u32>,
    connection_age_max: Option<String>,
    ejection: RawEjection,
}

/// What is tried again beyond statuses and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawCondition {
    ConnectFailure,
    RefusedStream,
    Reset,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHedge {
    delay: String,
    attempts: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSuccessRate {
    interval: Option<String>,
    requests_min: Option<u32>,
    endpoints_min: Option<u32>,
    stdev_factor: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawEjection {
    failures: Option<u32>,
    time: Option<String>,
    time_max: Option<String>,
    percent_max: Option<u32>,
    success_rate: Option<RawSuccessRate>,
}

/// Those that need nothing but their name; hashing needs a key, which a ServicePolicy gives.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawBalance {
    P2cPeakEwma,
    LeastRequest,
    RoundRobin,
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawZone {
    Any,
    Prefer,
}

impl RawPolicy {
    /// The defaults of the model, and what is said over them.
    pub(super) fn validate(&self, faults: &mut Faults) -> Policy {
        let mut policy = Policy::default();
        let timeouts = &mut policy.timeouts;
        set(&mut timeouts.total, time_or_never("policy.timeout", self.timeout.as_deref(), faults));
        let per_try = time_or_never("policy.per_try_timeout", self.per_try_timeout.as_deref(), faults);
        set(&mut timeouts.per_try, per_try);
        set(&mut timeouts.connect, time("policy.connect_timeout", self.connect_timeout.as_deref(), faults));
        let idle = time_or_never("policy.idle_timeout", self.idle_timeout.as_deref(), faults);
        set(&mut timeouts.idle, idle);
        self.retry(&mut policy.retry, faults);
        policy.hedge = self.hedge.as_ref().and_then(|raw| raw.validate(faults));
        if let Some(raw) = &self.concurrency {
            policy.limits = raw.validate("policy.concurrency", faults);
        }
        self.balance(&mut policy.balance, faults);
        self.ejection.over(&mut policy.outlier, faults);
        policy
    }

    fn balance(&self, balance: &mut BalancePolicy, faults: &mut Faults) {
        set(&mut balance.algorithm, self.balance.map(Balance::from));
        set(&mut balance.slow_start, time_or_never("policy.slow_start", self.slow_start.as_deref(), faults));
        let spill = percent("policy.zone_spill_percent", self.zone_spill_percent, faults);
        match self.zone {
            Some(RawZone::Prefer) => {
                balance.zone = ZonePolicy::Prefer { spill_percent: spill.unwrap_or(ZONE_SPILL_PERCENT) };
            }
            Some(RawZone::Any) | None if self.zone_spill_percent.is_some() => {
                faults.add("policy.zone_spill_percent", "has a meaning only with `zone: prefer`");
            }
            Some(RawZone::Any) | None => {}
        }
        set(&mut balance.panic_percent, percent("policy.panic_percent", self.panic_percent, faults));
        let age = time_or_never("policy.connection_age_max", self.connection_age_max.as_deref(), faults);
        set(&mut balance.connection_age_max, age);
    }

    fn retry(&self, retry: &mut RetryPolicy, faults: &mut Faults) {
        set(&mut retry.retries_max, self.retries);
        let share = percent("policy.retry_budget_percent", self.retry_budget_percent, faults);
        set(&mut retry.budget.percent, share);
        set(&mut retry.budget.floor_per_second, self.retry_floor_per_second);
        if self.retry_body_bytes_max.is_some_and(|bytes| bytes > RETRY_BODY_MAX) {
            faults.add("policy.retry_body_bytes_max", format!("is over {RETRY_BODY_MAX}"));
        }
        set(&mut retry.body_max, self.retry_body_bytes_max);
        let after = time("policy.retry_after_max", self.retry_after_max.as_deref(), faults);
        set(&mut retry.retry_after_max, after);
        set(&mut retry.backoff.base, time("policy.retry_backoff", self.retry_backoff.as_deref(), faults));
        let most = time("policy.retry_backoff_max", self.retry_backoff_max.as_deref(), faults);
        retry.backoff.max = most.unwrap_or(retry.backoff.max.max(retry.backoff.base));
        if retry.backoff.base > retry.backoff.max {
            faults.add("policy.retry_backoff", "is over `retry_backoff_max`");
        }
        if let Some(conditions) = &self.retry_on {
            retry.on.connect_failure = conditions.contains(&RawCondition::ConnectFailure);
            retry.on.refused_stream = conditions.contains(&RawCondition::RefusedStream);
            retry.on.reset = conditions.contains(&RawCondition::Reset);
        }
        if self.retry_statuses.iter().any(|status| !(400..=599).contains(status)) {
            faults.add("policy.retry_statuses", "holds what is no failure: give statuses from 400 to 599");
        }
        retry.on.statuses.clone_from(&self.retry_statuses);
        if self.retry_grpc_codes.iter().any(|code| !(1..=16).contains(code)) {
            faults.add("policy.retry_grpc_codes", "holds what is no failure: give codes from 1 to 16");
        }
        retry.on.grpc_codes.clone_from(&self.retry_grpc_codes);
    }
}

impl RawHedge {
    fn validate(&self, faults: &mut Faults) -> Option<HedgePolicy> {
        let delay = time("policy.hedge.delay", Some(&self.delay), faults);
        let attempts_max = self.attempts.unwrap_or(2);
        if !(2..=HEDGED_MAX).contains(&attempts_max) {
            faults.add("policy.hedge.attempts", format!("is {attempts_max}: give 2 to {HEDGED_MAX}"));
        }
        Some(HedgePolicy { delay: delay?, attempts_max })
    }
}

impl RawEjection {
    fn over(&self, outlier: &mut OutlierPolicy, faults: &mut Faults) {
        set(&mut outlier.consecutive, at_least_one("policy.ejection.failures", self.failures, faults));
        set(&mut outlier.base, time("policy.ejection.time", self.time.as_deref(), faults));
        set(&mut outlier.max, time("policy.ejection.time_max", self.time_max.as_deref(), faults));
        set(&mut outlier.percent_max, percent("policy.ejection.percent_max", self.percent_max, faults));
        if outlier.base > outlier.max {
            faults.add("policy.ejection.time", "is over `time_max`");
        }
        outlier.success_rate = self.success_rate.as_ref().map(|raw| raw.validate(faults));
    }
}

impl RawSuccessRate {
    fn validate(&self, faults: &mut Faults) -> SuccessRatePolicy {
        const FIELD: &str = "policy.ejection.success_rate";
        let interval = time(&format!("{FIELD}.interval"), self.interval.as_deref(), faults);
        let requests_min = at_least_one(&format!("{FIELD}.requests_min"), self.requests_min, faults);
        let endpoints_min = at_least_one(&format!("{FIELD}.endpoints_min"), self.endpoints_min, faults);
        let factor = self.stdev_factor.unwrap_or(RATE_STDEV_FACTOR);
        if !(0.1..=10.0).contains(&factor) {
            faults.add(&format!("{FIELD}.stdev_factor"), format!("is {factor}: give 0.1 to 10"));
        }
        // Rounded as it would be shown, which no cast does without losing something.
        let stdev_factor_thousandths = format!("{:.0}", factor * 1_000.0).parse().unwrap_or_default();
        SuccessRatePolicy {
            interval: interval.unwrap_or(RATE_INTERVAL),
            requests_min: requests_min.unwrap_or(RATE_REQUESTS_MIN),
            endpoints_min: endpoints_min.unwrap_or(RATE_ENDPOINTS_MIN),
            stdev_factor_thousandths,
        }
    }
}

impl From<RawBalance> for Balance {
    fn from(raw: RawBalance) -> Self {
        match raw {
            RawBalance::P2cPeakEwma => Self::P2cPeakEwma,
            RawBalance::LeastRequest => Self::LeastRequest,
            RawBalance::RoundRobin => Self::RoundRobin,
            RawBalance::Random => Self::Random,
        }
    }
}

pub(super) fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

pub(super) fn time_or_never(
    field: &str,
    text: Option<&str>,
    faults: &mut Faults,
) -> Option<Option<Duration>> {
    match text? {
        NEVER => Some(None),
        text => time(field, Some(text), faults).map(Some),
    }
}

pub(super) fn time(field: &str, text: Option<&str>, faults: &mut Faults) -> Option<Duration> {
    let text = text?;
    let parsed = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    faults.keep(field, parsed.ok_or_else(|| format!("`{}` is no time: give 2s or 500ms", clip(text))))
}

fn percent(field: &str, said: Option<u32>, faults: &mut Faults) -> Option<u32> {
    faults.keep(field, Some(said?).filter(|percent| *percent <= 100).ok_or("is over 100"))
}

fn at_least_one(field: &str, said: Option<u32>, faults: &mut Faults) -> Option<u32> {
    faults.keep(field, Some(said?).filter(|number| *number > 0).ok_or("is 0: give 1 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        let raw: RawPolicy = weft_runtime::config::from_str(text, "x").map_err(|error| error.to_string())?;
        let mut faults = Faults::default();
        let policy = raw.validate(&mut faults);
        if faults.is_empty() { Ok(policy) } else { Err(faults.to_string()) }
    }

    #[test]
    fn what_is_not_said_is_the_models_default() {
        assert_eq!(parse("").unwrap(), Policy::default());
        let policy =
            parse("{timeout: never, per_try_timeout: 500ms, retries: 0, balance: round-robin}").unwrap();
        assert_eq!(policy.timeouts.total, None);
        assert_eq!(policy.timeouts.per_try, Some(Duration::from_millis(500)));
        assert_eq!(policy.retry.retries_max, 0);
        assert_eq!(policy.balance.algorithm, Balance::RoundRobin);
    }

    #[test]
    fn retries_hedges_limits_and_rates_are_read() {
        let policy = parse(
            "{idle_timeout: 30s, retry_on: [reset], retry_statuses: [503], retry_grpc_codes: [14],
              retry_after_max: 2s, retry_backoff: 1s, hedge: {delay: 50ms}, concurrency: 7,
              ejection: {success_rate: {requests_min: 10}}}",
        )
        .unwrap();
        assert_eq!(policy.timeouts.idle, Some(Duration::from_secs(30)));
        let on = &policy.retry.on;
        assert_eq!((on.connect_failure, on.refused_stream, on.reset), (false, false, true));
        assert_eq!((&on.statuses[..], &on.grpc_codes[..]), (&[503][..], &[14][..]));
        assert_eq!(
            (policy.retry.backoff.base, policy.retry.backoff.max),
            (Duration::from_secs(1), Duration::from_secs(1))
        );
        assert_eq!(policy.hedge, Some(HedgePolicy { delay: Duration::from_millis(50), attempts_max: 2 }));
        assert_eq!(policy.limits.concurrency, weft_model::policy::Concurrency::Fixed(7));
        let rates = policy.outlier.success_rate.unwrap();
        assert_eq!((rates.requests_min, rates.stdev_factor_thousandths), (10, 1_900));
    }

    #[test]
    fn balancing_is_said_in_full_but_for_what_needs_a_key() {
        let balance = parse(
            "{balance: least-request, slow_start: 30s, zone: prefer, zone_spill_percent: 50, panic_percent: 0, \
             connection_age_max: 5m}",
        );
        let expected = BalancePolicy {
            algorithm: Balance::LeastRequest,
            slow_start: Some(Duration::from_secs(30)),
            zone: ZonePolicy::Prefer { spill_percent: 50 },
            panic_percent: 0,
            connection_age_max: Some(Duration::from_secs(300)),
            ..BalancePolicy::default()
        };
        assert_eq!(balance.unwrap().balance, expected);
        let preferred = parse("zone: prefer").unwrap().balance.zone;
        assert_eq!(preferred, ZonePolicy::Prefer { spill_percent: ZONE_SPILL_PERCENT });
        assert!(parse("zone_spill_percent: 50").unwrap_err().contains("only with `zone: prefer`"));
        assert!(parse("balance: maglev").is_err(), "a key has no place here");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let text = parse(
            "{timeout: soon, connect_timeout: 0s, retry_budget_percent: 101, ejection: {failures: 0, time: 9h},
              retry_statuses: [200], retry_grpc_codes: [0], hedge: {delay: 1s, attempts: 1}, concurrency: none}",
        )
        .unwrap_err();
        for field in [
            "timeout",
            "connect_timeout",
            "retry_budget_percent",
            "ejection.failures",
            "ejection.time",
            "retry_statuses",
            "retry_grpc_codes",
            "hedge.attempts",
            "concurrency",
        ] {
            assert!(text.contains(&format!("policy.{field}: ")), "{field} is not in\n{text}");
        }
    }
}
