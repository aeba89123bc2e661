//! The health state machine of one check, and how an instance's health follows from its checks. Results and a
//! time go in, transitions come out; it knows neither probes nor clocks nor the registry.
//!
//! ```text
//!            failures >= before_warning          failures >= before_critical
//!   passing ───────────────────────▶ warning ──────────────────────────────▶ critical
//!      ▲  ▲                             │                                       │
//!      │  └──── successes >= before_passing ────────────────────────────────────┤
//!      └─────────────────────────────────────────────────── TTL expired: ──────▶┘
//! ```
//! A failure never betters a state and a pass never worsens it. A *report* (TTL checks, sidecars) is taken at
//! its word, without thresholds, as in Consul.

use std::time::{Duration, Instant, SystemTime};

use crate::{
    check::{CheckSpec, FAILURES_DEFAULT, ProbeResult, SUCCESSES_DEFAULT},
    endpoint::Health,
};

/// The longest output of a check that is kept, in bytes (Consul's `output_max_size` is of this order).
pub const OUTPUT_LENGTH_MAX: usize = 4 * 1024;
/// The longest reason of an instance, in bytes: it travels to every subscriber.
pub const REASON_LENGTH_MAX: usize = 256;
/// What stands at the end of a text that was shortened.
const SHORTENED: &str = " [shortened]";

/// How many results in a row change a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures in a row that make it critical; 0 counts as 1.
    pub failures_before_critical: u32,
    /// Failures in a row that make it warning; 0 = never.
    pub failures_before_warning: u32,
    /// Successes in a row that make it passing; 0 counts as 1.
    pub successes_before_passing: u32,
}

/// One check: what it says now, and how far it is from saying something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckState {
    thresholds: Thresholds,
    health: Health,
    output: String,
    since: SystemTime,
    failures: u32,
    successes: u32,
}

/// What a result did to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing that a reader could see.
    Same,
    /// It says the same with other words.
    Output,
    /// It says something else.
    Transition {
        /// Before.
        from: Health,
        /// Now.
        to: Health,
    },
}

/// One thing that an instance's health depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause<'a> {
    /// The check's id.
    pub id: &'a str,
    /// What it says.
    pub health: Health,
}

/// Counts how long something has been critical, to remove it after a set time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deregistration {
    after: Duration,
    critical_since: Option<Instant>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            failures_before_critical: FAILURES_DEFAULT,
            failures_before_warning: 0,
            successes_before_passing: SUCCESSES_DEFAULT,
        }
    }
}

impl From<&CheckSpec> for Thresholds {
    fn from(spec: &CheckSpec) -> Self {
        Self {
            failures_before_critical: spec.failures_before_critical,
            failures_before_warning: spec.failures_before_warning,
            successes_before_passing: spec.successes_before_passing,
        }
    }
}

impl CheckState {
    /// A check that has not run yet. Consul's initial state is critical.
    pub fn new(thresholds: Thresholds, initial: Health, output: &str, since: SystemTime) -> Self {
        Self {
            thresholds,
            health: initial,
            output: shorten(output, OUTPUT_LENGTH_MAX),
            since,
            failures: 0,
            successes: 0,
        }
    }

    /// What it says.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// What the last run or report said, shortened to [`OUTPUT_LENGTH_MAX`].
    pub fn output(&self) -> &str {
        &self.output
    }

    /// Since when it says so.
    pub const fn since(&self) -> SystemTime {
        self.since
    }

    /// A probe has run.
    pub fn observe(&mut self, result: &ProbeResult, now: SystemTime) -> Step {
        let (next, output) = match result {
            ProbeResult::Pass(output) => (self.after_success(Health::Passing), output),
            ProbeResult::Warn(output) => (self.after_success(Health::Warning), output),
            ProbeResult::Fail(output) => (self.after_failure(), output),
        };
        self.set(next, output, now)
    }

    /// Somebody says how it is: taken at its word.
    pub fn report(&mut self, health: Health, output: &str, now: SystemTime) -> Step {
        (self.failures, self.successes) = (0, 0);
        self.set(health, output, now)
    }

    /// A TTL check was not reported to in time.
    pub fn expire(&mut self, ttl: Duration, now: SystemTime) -> Step {
        self.report(Health::Critical, &format!("TTL expired: no report for {ttl:?}"), now)
    }

    /// The spec was replaced: what it says stands, the counts begin anew.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
        (self.failures, self.successes) = (0, 0);
    }

    fn after_success(&mut self, health: Health) -> Health {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        // A warning counts as a success, as in Consul, but one that worsens a passing check needs no count.
        if health > self.health || self.successes >= self.thresholds.successes_before_passing.max(1) {
            health
        } else {
            self.health
        }
    }

    fn after_failure(&mut self) -> Health {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        let Thresholds { failures_before_critical, failures_before_warning, .. } = self.thresholds;
        let reached = if self.failures >= failures_before_critical.max(1) {
            Health::Critical
        } else if failures_before_warning > 0 && self.failures >= failures_before_warning {
            Health::Warning
        } else {
            Health::Passing
        };
        // A single failure after a few successes must not lift a critical check to warning.
        self.health.max(reached)
    }

    fn set(&mut self, health: Health, output: &str, now: SystemTime) -> Step {
        let output = shorten(output, OUTPUT_LENGTH_MAX);
        let said = self.output != output;
        self.output = output;
        if self.health != health {
            let from = std::mem::replace(&mut self.health, health);
            self.since = now;
            Step::Transition { from, to: health }
        } else if said {
            Step::Output
        } else {
            Step::Same
        }
    }
}

impl Deregistration {
    /// Removes what has been critical for `after`.
    pub const fn new(after: Duration) -> Self {
        Self { after, critical_since: None }
    }

    /// Another time; what has run stands.
    pub const fn set_after(&mut self, after: Duration) {
        self.after = after;
    }

    /// What it says now; the time runs from the first critical on.
    pub fn observe(&mut self, health: Health, now: Instant) {
        match (health, self.critical_since) {
            (Health::Critical, None) => self.critical_since = Some(now),
            (Health::Critical, Some(_)) => {}
            (Health::Passing | Health::Warning, _) => self.critical_since = None,
        }
    }

    /// Whether it is time.
    pub fn due(&self, now: Instant) -> bool {
        self.critical_since.is_some_and(|since| now.saturating_duration_since(since) >= self.after)
    }
}

/// An instance's health: the worst of all that it depends on, the first of equals. `None` = all are passing
/// (or there are none).
pub fn worst<'a>(causes: impl IntoIterator<Item = Cause<'a>>) -> Option<Cause<'a>> {
    causes.into_iter().filter(|cause| cause.health != Health::Passing).fold(
        None,
        |worst, cause| match worst {
            Some(held) if held.health >= cause.health => Some(held),
            _ => Some(cause),
        },
    )
}

/// At most `limit` bytes of `text`, cut between characters, saying that it was cut.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(SHORTENED.len());
    let cut = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let mut short = text.get(..cut).unwrap_or_default().to_owned();
    short.push_str(SHORTENED);
    short
}

#[cfg(test)]
mod tests;
