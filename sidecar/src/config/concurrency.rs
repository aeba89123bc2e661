//! A limit on calls under way, as it is written: `concurrency:` of the file (calls to the application) and
//! `policy.concurrency` (calls to each service). It must not know what a value does.

use serde::Deserialize;
use weft_model::policy::{Concurrency, LimitPolicy, QueuePolicy};

use super::{Faults, policy::time};

/// The most that a limit may be.
const LIMIT_MAX: u32 = 1_000_000;
/// The least that an adaptive limit falls to, when nobody says.
const ADAPTIVE_MIN: u32 = 10;
/// The most that it grows to, when nobody says.
const ADAPTIVE_MAX: u32 = 1_000;
/// What a queue may hold.
const QUEUE_MAX: u32 = 65_536;

/// `100`, `adaptive`, or a mapping with more to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "give a number, `adaptive`, or a mapping of limit, min, max, queue and queue_timeout"
)]
pub(super) enum RawLimit {
    Number(u32),
    Word(String),
    Full(RawLimitFields),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimitFields {
    limit: Option<RawConcurrency>,
    min: Option<u32>,
    max: Option<u32>,
    queue: Option<u32>,
    queue_timeout: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "give a number or `adaptive`")]
enum RawConcurrency {
    Number(u32),
    Word(String),
}

impl RawLimit {
    pub(super) fn validate(&self, field: &str, faults: &mut Faults) -> LimitPolicy {
        let fields = match self {
            Self::Number(number) => {
                RawLimitFields { limit: Some(RawConcurrency::Number(*number)), ..Default::default() }
            }
            Self::Word(word) => {
                RawLimitFields { limit: Some(RawConcurrency::Word(word.clone())), ..Default::default() }
            }
            Self::Full(fields) => fields.clone(),
        };
        let default = QueuePolicy::default();
        let queue_timeout = time(&format!("{field}.queue_timeout"), fields.queue_timeout.as_deref(), faults);
        if fields.queue.is_some_and(|queue| queue > QUEUE_MAX) {
            faults.add(&format!("{field}.queue"), format!("is over {QUEUE_MAX}"));
        }
        let queue = QueuePolicy {
            length_max: fields.queue.unwrap_or(default.length_max),
            timeout: queue_timeout.unwrap_or(default.timeout),
        };
        LimitPolicy { concurrency: fields.concurrency(field, faults), queue, connections_per_endpoint: None }
    }
}

impl RawLimitFields {
    fn concurrency(&self, field: &str, faults: &mut Faults) -> Concurrency {
        let bounds = [self.min, self.max];
        match &self.limit {
            Some(RawConcurrency::Word(word)) if word == "adaptive" => {
                let (min, max) = (self.min.unwrap_or(ADAPTIVE_MIN), self.max.unwrap_or(ADAPTIVE_MAX));
                if min == 0 || min > max || max > LIMIT_MAX {
                    faults.add(
                        field,
                        format!("needs 1 <= min <= max <= {LIMIT_MAX}, and min is {min}, max {max}"),
                    );
                }
                Concurrency::Adaptive { min, max }
            }
            Some(RawConcurrency::Number(limit)) if (1..=LIMIT_MAX).contains(limit) => {
                if bounds.iter().any(Option::is_some) {
                    faults.add(field, "has min or max, which are for `limit: adaptive`");
                }
                Concurrency::Fixed(*limit)
            }
            _ => {
                faults.add(field, format!("has no limit: give 1 to {LIMIT_MAX}, or `adaptive`"));
                Concurrency::Unlimited
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<LimitPolicy, String> {
        let raw: RawLimit = weft_runtime::config::from_str(text, "x").map_err(|error| error.to_string())?;
        let mut faults = Faults::default();
        let policy = raw.validate("concurrency", &mut faults);
        if faults.is_empty() { Ok(policy) } else { Err(faults.to_string()) }
    }

    #[test]
    fn a_number_a_word_and_a_mapping_are_read() {
        assert_eq!(parse("100").unwrap().concurrency, Concurrency::Fixed(100));
        let adaptive = Concurrency::Adaptive { min: ADAPTIVE_MIN, max: ADAPTIVE_MAX };
        assert_eq!(parse("adaptive").unwrap().concurrency, adaptive);
        let policy = parse("{limit: adaptive, min: 2, max: 50, queue: 0, queue_timeout: 20ms}").unwrap();
        assert_eq!(policy.concurrency, Concurrency::Adaptive { min: 2, max: 50 });
        assert_eq!(policy.queue, QueuePolicy { length_max: 0, timeout: Duration::from_millis(20) });
    }

    #[test]
    fn what_cannot_be_is_named() {
        for text in ["0", "none", "{queue: 5}", "{limit: 5, min: 1}", "{limit: adaptive, min: 5, max: 2}"] {
            assert!(parse(text).unwrap_err().contains("concurrency: "), "{text}");
        }
    }
}
