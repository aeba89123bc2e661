//! The sidecar's own check of its application: runs the probe, keeps the state, tells who watches. What a
//! result means is the model's; what becomes of the health is the registry's.

use std::time::{Duration, SystemTime};

use tokio::{sync::watch, time::Instant};
use weft_model::{
    check::{CheckSpec, ProbeResult},
    endpoint::Health,
    health::{CheckState, Step, Thresholds},
};
use weft_runtime::drain::Watch;

use crate::admin::readiness::Readiness;

/// Between two runs until the first one that passes: an application that has just started should not wait a
/// whole interval for its first request.
const INTERVAL_UNTIL_PASSED: Duration = Duration::from_millis(200);
/// What an instance says before its first check.
pub(crate) const NOT_CHECKED: &str = "not checked yet";

/// What others are told of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppHealth {
    /// Whether to call it.
    pub health: Health,
    /// Why not.
    pub reason: String,
}

/// Checks until the drain begins.
pub(crate) async fn check(
    spec: CheckSpec,
    probe: impl AsyncFn(&CheckSpec) -> ProbeResult,
    tell: watch::Sender<AppHealth>,
    readiness: Readiness,
    drain: Watch,
) {
    let thresholds = Thresholds::from(&spec);
    let mut state = CheckState::new(thresholds, Health::Critical, NOT_CHECKED, SystemTime::now());
    loop {
        let begun = Instant::now();
        let Some(result) = drain.unless_draining(probe(&spec)).await else { return };
        let step = state.observe(&result, SystemTime::now());
        if let Step::Transition { from, to } = step {
            tracing::info!(%from, %to, reason = reason(&state), "application health changed");
        }
        if state.health().is_callable() {
            readiness.update(|conditions| conditions.app = true);
        }
        tell.send_if_modified(|told| {
            let now = AppHealth { health: state.health(), reason: reason(&state) };
            let changed = *told != now;
            *told = now;
            changed
        });
        let passed_once = readiness.now().app;
        let interval = if passed_once { spec.interval } else { spec.interval.min(INTERVAL_UNTIL_PASSED) };
        let next = tokio::time::sleep_until(begun + interval);
        if drain.unless_draining(next).await.is_none() {
            return;
        }
    }
}

/// The output of a passing check differs each time and is of no use to others: every change of what we say
/// travels to every subscriber.
fn reason(state: &CheckState) -> String {
    match state.health() {
        Health::Passing => String::new(),
        Health::Warning | Health::Critical => {
            weft_model::health::shorten(state.output(), weft_model::health::REASON_LENGTH_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use weft_model::check::Probe;
    use weft_runtime::drain::Drain;

    use super::*;
    use crate::admin::readiness::Conditions;

    fn spec() -> CheckSpec {
        let mut spec = CheckSpec::new(Probe::Tcp { address: "127.0.0.1:1".into() });
        spec.interval = Duration::from_millis(1);
        spec
    }

    /// Runs the results through the check; every health that was told, in order.
    async fn told(results: Vec<ProbeResult>) -> (Vec<AppHealth>, Readiness) {
        let unknown = AppHealth { health: Health::Critical, reason: NOT_CHECKED.into() };
        let (tell, told) = watch::channel(unknown);
        let (readiness, drain) = (Readiness::new(Conditions::default()), Drain::new());
        // What was told so far, looked at whenever the next probe begins.
        let seen = RefCell::new((told, Vec::new()));
        let results = RefCell::new(results.into_iter());
        let probe = async |_: &CheckSpec| {
            let (told, all) = &mut *seen.borrow_mut();
            if told.has_changed().unwrap_or(false) {
                all.push(told.borrow_and_update().clone());
            }
            results.borrow_mut().next().unwrap_or_else(|| {
                drain.begin();
                ProbeResult::Warn("the end".into())
            })
        };
        check(spec(), probe, tell, readiness.clone(), drain.watch()).await;
        (seen.into_inner().1, readiness)
    }

    #[tokio::test]
    async fn transitions_are_told_and_repetitions_are_not() {
        let pass = |output: &str| ProbeResult::Pass(output.into());
        let fail = || ProbeResult::Fail("connection refused".into());
        let (told, readiness) =
            told(vec![fail(), pass("a"), pass("b"), fail(), fail(), fail(), pass("c")]).await;
        let health: Vec<_> = told.iter().map(|told| told.health).collect();
        assert_eq!(health, [Health::Critical, Health::Passing, Health::Critical, Health::Passing]);
        assert_eq!(told[2].reason, "connection refused");
        assert!(readiness.now().app);
    }
}
