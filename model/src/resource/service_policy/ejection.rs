//! `ejection`: when an endpoint is left out of the choice, and for how long.

use std::time::Duration;

use super::super::{decode::Node, error::Reason, value};
use crate::policy::{OutlierPolicy, SuccessRatePolicy};

/// Failures in a row that eject, at most: more is never.
const CONSECUTIVE_MAX: u32 = 1_000;
/// Requests or endpoints that a success rate is judged from, at most.
const COUNT_MAX: u32 = 1_000_000;
/// How often success rates are compared (Envoy's default, as the next three).
const RATE_INTERVAL: Duration = Duration::from_secs(10);
/// Requests in an interval that make a rate comparable.
const RATE_REQUESTS_MIN: u32 = 100;
/// Comparable endpoints that make a mean.
const RATE_ENDPOINTS_MIN: u32 = 5;
/// Standard deviations below the mean that eject, in thousandths.
const RATE_STDEV_THOUSANDTHS: u32 = 1_900;

pub(super) fn read(node: &Node<'_>) -> Option<OutlierPolicy> {
    let default = OutlierPolicy::default();
    node.object(|fields| {
        let consecutive = fields.optional("consecutiveFailures", |node| node.small(1..=CONSECUTIVE_MAX));
        let base = fields.optional("baseTime", value::span).unwrap_or(default.base);
        let max = fields.optional("maxTime", value::span).unwrap_or_else(|| default.max.max(base));
        let forgiven_after = fields.optional("forgivenAfter", value::span);
        let percent_max = fields.optional("maxPercent", value::percent);
        let success_rate = fields.optional("successRate", success_rate);
        if base > max {
            let message = format!(
                "is {}, shorter than `baseTime` ({}): give at least that",
                value::shown(max),
                value::shown(base)
            );
            fields.fail("maxTime", Reason::Invalid, message);
        }
        Some(OutlierPolicy {
            consecutive: consecutive.unwrap_or(default.consecutive),
            base,
            max,
            forgiven_after: forgiven_after.unwrap_or(default.forgiven_after),
            percent_max: percent_max.unwrap_or(default.percent_max),
            success_rate,
        })
    })
}

fn success_rate(node: &Node<'_>) -> Option<SuccessRatePolicy> {
    node.object(|fields| {
        let interval = fields.optional("interval", value::span);
        let requests_min = fields.optional("minRequests", |node| node.small(1..=COUNT_MAX));
        let endpoints_min = fields.optional("minEndpoints", |node| node.small(2..=COUNT_MAX));
        let stdev = fields.optional("stdevFactor", thousandths);
        Some(SuccessRatePolicy {
            interval: interval.unwrap_or(RATE_INTERVAL),
            requests_min: requests_min.unwrap_or(RATE_REQUESTS_MIN),
            endpoints_min: endpoints_min.unwrap_or(RATE_ENDPOINTS_MIN),
            stdev_factor_thousandths: stdev.unwrap_or(RATE_STDEV_THOUSANDTHS),
        })
    })
}

/// A factor such as `1.9`, in thousandths.
fn thousandths(node: &Node<'_>) -> Option<u32> {
    const LARGEST: f64 = 10.0;
    const SMALLEST: f64 = 0.1;
    let factor = node.number()?;
    if !(SMALLEST..=LARGEST).contains(&factor) {
        node.invalid(format!("is {factor}: give a number from {SMALLEST} to {LARGEST}, as in 1.9"));
        return None;
    }
    // Rounded as it is shown, which no cast does without losing something.
    format!("{:.0}", factor * 1_000.0).parse().ok()
}
