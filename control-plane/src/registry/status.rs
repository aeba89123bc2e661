//! From what the checks say to what an instance is: pure functions over catalog values.

use std::time::SystemTime;

use weft_model::{
    endpoint::Health,
    health::{Cause, CheckState, REASON_LENGTH_MAX, shorten, worst},
};

use super::{Check, Instance, Node};

/// Takes over what a check says now. True: readers and the store must know (a transition, or other words of a
/// check whose words are the reason); false: at most its output differs, which is shown but never stored.
pub(super) fn restate(check: &mut Check, state: &CheckState) -> bool {
    let said = check.output != state.output();
    if said {
        state.output().clone_into(&mut check.output);
    }
    if check.health == state.health() {
        let matters = said && check.spec.is_none();
        if matters {
            check.modify_revision = 0;
        }
        return matters;
    }
    check.health = state.health();
    check.since = state.since();
    check.modify_revision = 0;
    true
}

/// Works out what the instance is from its checks and its node's. Maintenance and lease are checks like any
/// other. The reason holds still while the same check holds it in the same state, so that a health check that
/// prints the time does not cause a message a second to every subscriber.
pub(super) fn assess(instance: &mut Instance, node: Option<&Node>, now: SystemTime) {
    let checks = || instance.checks.values().chain(node.into_iter().flat_map(|node| node.checks.values()));
    let causes = checks().map(|check| Cause { id: &check.id, health: check.health });
    let (health, cause, reason) = match worst(causes).and_then(|cause| checks().find(|c| c.id == cause.id)) {
        None => (Health::Passing, String::new(), String::new()),
        Some(check) => {
            let same = instance.health == check.health && instance.cause == check.id;
            let reason = if same && check.spec.is_some() { instance.reason.clone() } else { reason(check) };
            (check.health, check.id.clone(), reason)
        }
    };
    if instance.health != health {
        instance.health = health;
        instance.since = now;
    }
    instance.cause = cause;
    instance.reason = reason;
}

/// A reported check gives its reason itself; of a probe one must know which it was.
fn reason(check: &Check) -> String {
    let text = match check.spec {
        None => check.output.trim().to_owned(),
        Some(_) => {
            let line = check.output.lines().next().unwrap_or_default().trim();
            if line.is_empty() {
                format!("check {:?} is {}", check.id, check.health)
            } else {
                format!("{}: {line}", check.id)
            }
        }
    };
    shorten(&text, REASON_LENGTH_MAX)
}
