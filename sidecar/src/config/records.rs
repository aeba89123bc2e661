//! What is written, kept and exported of requests: the form of a record, which ones are written, how many are kept for
//! `weft explain`, where spans go. It must not know how: [`crate::record`] and [`crate::trace`] do.

use std::time::Duration;

use super::{Faults, faults::clip, settings::Settings};

/// Requests kept, when nobody says.
const KEPT: usize = 1_024;
/// Requests kept at most: some 64 MiB.
const KEPT_MAX: usize = 65_536;
/// Of the traces that begin here, when nobody says: enough to see a path, and few enough to forget about.
const TRACED: f64 = 0.1;

/// How a record looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Words for people.
    Text,
}

/// What makes a record be written, where not all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It failed. Such a record is written whatever is said, so alone this means that no other is.
    Failed,
    /// It took at least so long.
    Slower(Duration),
    /// Its status begins with this digit.
    Class(u16),
    /// It took more than one attempt.
    Retried,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordPolicy {
    /// Of the access log.
    pub format: RecordFormat,
    /// The share of records that is written, up to 1; failures are written all the same.
    pub sample: f64,
    /// One of them has to hold; none = every record.
    pub when: Vec<Condition>,
    /// The last so many requests are kept; 0 = none.
    pub kept: usize,
    /// Where spans go; `None` = nothing is traced, and contexts of traces pass as they come.
    pub tracing: Option<TracePolicy>,
}

/// What is traced.
#[derive(Debug, Clone, PartialEq)]
pub struct TracePolicy {
    /// `http://host:port` of the collector.
    pub endpoint: String,
    /// Of the traces that begin here, this share is recorded, up to 1.
    pub share: f64,
}

impl RecordPolicy {
    /// The defaults, and what is said over them.
    pub(super) fn validate(settings: &Settings, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        match settings.access_log_format.as_deref().map(str::trim) {
            None | Some("json") => {}
            Some("text") => policy.format = RecordFormat::Text,
            Some(other) => {
                faults.add("access_log_format", format!("`{}` is neither json nor text", clip(other)));
            }
        }
        if let Some(text) = &settings.access_log_sample {
            let wrong = || format!("`{}` is no share: give 0% to 100%", clip(text));
            policy.sample = faults.keep("access_log_sample", share(text).ok_or_else(wrong)).unwrap_or(1.0);
        }
        for text in &settings.access_log_when {
            let wrong = || {
                let remedy = "is no condition: give errors, retried, slower:100ms, or a class as 4xx";
                format!("`{}` {remedy}", clip(text))
            };
            policy.when.extend(faults.keep("access_log_when", condition(text.trim()).ok_or_else(wrong)));
        }
        if let Some(kept) = settings.explain_requests {
            policy.kept = kept.min(KEPT_MAX);
            if kept > KEPT_MAX {
                faults.add("explain_requests", format!("is {kept}: give 0 to {KEPT_MAX}"));
            }
        }
        policy.tracing = TracePolicy::validate(settings, faults);
        policy
    }
}

impl Default for RecordPolicy {
    fn default() -> Self {
        Self { format: RecordFormat::Json, sample: 1.0, when: Vec::new(), kept: KEPT, tracing: None }
    }
}

impl TracePolicy {
    fn validate(settings: &Settings, faults: &mut Faults) -> Option<Self> {
        let share = settings.trace_sample.as_ref().map(|text| {
            let wrong = || format!("`{}` is no share: give 0% to 100%", clip(text));
            faults.keep("trace_sample", share(text).ok_or_else(wrong)).unwrap_or(TRACED)
        });
        let Some(endpoint) = &settings.otlp_endpoint else {
            if share.is_some() {
                faults.add("trace_sample", "needs a collector: give otlp_endpoint");
            }
            return None;
        };
        let is_address = |uri: &http::Uri| uri.scheme_str() == Some("http") && uri.authority().is_some();
        if !endpoint.parse().is_ok_and(|uri| is_address(&uri)) {
            let remedy = "is no address of a collector: give http://HOST:4317 (its gRPC port, without TLS)";
            faults.add("otlp_endpoint", format!("`{}` {remedy}", clip(endpoint)));
        }
        Some(Self { endpoint: endpoint.clone(), share: share.unwrap_or(TRACED) })
    }
}

/// `10%` or `0.5%`.
fn share(text: &str) -> Option<f64> {
    let percent: f64 = text.trim().strip_suffix('%')?.trim_end().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn condition(text: &str) -> Option<Condition> {
    match text {
        "errors" => Some(Condition::Failed),
        "retried" => Some(Condition::Retried),
        _ => match text.strip_prefix("slower:") {
            Some(time) => humantime::parse_duration(time.trim()).ok().map(Condition::Slower),
            None => {
                let class: u16 = text.strip_suffix("xx")?.parse().ok()?;
                (1..=5).contains(&class).then_some(Condition::Class(class))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_conditions_are_read_as_people_write_them() {
        assert_eq!((share("10%"), share(" 0.5 %"), share("100%")), (Some(0.1), Some(0.005), Some(1.0)));
        assert!([share("10"), share("101%"), share("-1%"), share("NaN%")].iter().all(Option::is_none));
        assert_eq!(condition("slower:100ms"), Some(Condition::Slower(Duration::from_millis(100))));
        assert_eq!((condition("4xx"), condition("6xx")), (Some(Condition::Class(4)), None));
        assert_eq!((condition("errors"), condition("slow")), (Some(Condition::Failed), None));
    }
}
