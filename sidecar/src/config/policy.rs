//! `policy:` of the file: timeouts, retries, balancing, ejection, for every service. It must not know what a
//! value does: the data path does.

use std::time::Duration;

use serde::Deserialize;
use weft_model::policy::{Balance, Policy};

use super::{Faults, faults::clip};

/// The word for a time without end.
pub(super) const NEVER: &str = "never";
/// The largest body that may be kept for a retry, in bytes: each request in flight can hold as much.
const RETRY_BODY_MAX: usize = 16 * 1024 * 1024;

/// As written. Times are `2s` or `500ms`; `never` where there may be none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPolicy {
    timeout: Option<String>,
    per_try_timeout: Option<String>,
    connect_timeout: Option<String>,
    retries: Option<u32>,
    retry_budget_percent: Option<u32>,
    retry_floor_per_second: Option<u32>,
    retry_body_bytes_max: Option<usize>,
    balance: Option<RawBalance>,
    ejection: RawEjection,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawEjection {
    failures: Option<u32>,
    time: Option<String>,
    time_max: Option<String>,
    percent_max: Option<u32>,
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

impl RawPolicy {
    /// The defaults of the model, and what is said over them.
    pub(super) fn validate(&self, faults: &mut Faults) -> Policy {
        let mut policy = Policy::default();
        let timeouts = &mut policy.timeouts;
        set(&mut timeouts.total, time_or_never("policy.timeout", self.timeout.as_deref(), faults));
        let per_try = time_or_never("policy.per_try_timeout", self.per_try_timeout.as_deref(), faults);
        set(&mut timeouts.per_try, per_try);
        set(&mut timeouts.connect, time("policy.connect_timeout", self.connect_timeout.as_deref(), faults));
        let retry = &mut policy.retry;
        set(&mut retry.retries_max, self.retries);
        set(
            &mut retry.budget.percent,
            percent("policy.retry_budget_percent", self.retry_budget_percent, faults),
        );
        set(&mut retry.budget.floor_per_second, self.retry_floor_per_second);
        if self.retry_body_bytes_max.is_some_and(|bytes| bytes > RETRY_BODY_MAX) {
            faults.add("policy.retry_body_bytes_max", format!("is over {RETRY_BODY_MAX}"));
        }
        set(&mut retry.body_max, self.retry_body_bytes_max);
        set(&mut policy.balance.algorithm, self.balance.map(Balance::from));
        let (ejection, outlier) = (&self.ejection, &mut policy.outlier);
        set(&mut outlier.consecutive, at_least_one("policy.ejection.failures", ejection.failures, faults));
        set(&mut outlier.base, time("policy.ejection.time", ejection.time.as_deref(), faults));
        set(&mut outlier.max, time("policy.ejection.time_max", ejection.time_max.as_deref(), faults));
        set(&mut outlier.percent_max, percent("policy.ejection.percent_max", ejection.percent_max, faults));
        if outlier.base > outlier.max {
            faults.add("policy.ejection.time", "is over `time_max`");
        }
        policy
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
    fn what_cannot_be_is_named() {
        let text = parse(
            "{timeout: soon, connect_timeout: 0s, retry_budget_percent: 101, ejection: {failures: 0, time: 9h}}",
        )
        .unwrap_err();
        for field in
            ["timeout", "connect_timeout", "retry_budget_percent", "ejection.failures", "ejection.time"]
        {
            assert!(text.contains(&format!("policy.{field}: ")), "{field} is not in\n{text}");
        }
    }
}
