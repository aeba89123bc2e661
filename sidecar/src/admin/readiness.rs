//! Whether this sidecar is ready, and why not. As users of Linkerd expect, ready means that calls through it
//! work: a rollout may go on, traffic may come. Pure.
//!
//! | condition | holds |
//! |---|---|
//! | listeners are bound | once, at the start |
//! | the names of `upstreams` and `subscribe` are known | from the control plane or from disk; given up after 10 s |
//! | attached | once the control plane has answered, or after 10 s: it may be down, and the disk serves |
//! | the application has passed its check | once; later its health is the registry's business, not ours |
//! | not draining | until SIGTERM |

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// How long names and the control plane are waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What ready depends on; `true` = holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Listeners are bound.
    pub listening: bool,
    /// Names are known, or given up.
    pub names: bool,
    /// The control plane has answered, or was given up; holds for a sidecar that runs alone.
    pub attached: bool,
    /// The application has passed its check once; holds where there is none.
    pub app: bool,
    /// SIGTERM has come.
    pub draining: bool,
}

/// The conditions, shared by those who know about them.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<Conditions>>);

impl Conditions {
    /// Why not; empty = ready.
    pub fn reasons(&self) -> Vec<String> {
        let missing = [
            (self.draining, "draining: this sidecar is stopping"),
            (!self.listening, "listeners are not bound yet"),
            (!self.names, "waiting for the services named in upstreams and subscribe"),
            (!self.attached, "waiting for the control plane"),
            (!self.app, "the application has not passed its check yet"),
        ];
        missing.iter().filter(|(holds, _)| *holds).map(|(_, reason)| (*reason).to_owned()).collect()
    }

    /// Whether a wrapped application may start: it must find its way out, and cannot have passed a check.
    pub const fn may_start_app(&self) -> bool {
        self.listening && self.names
    }
}

impl Readiness {
    /// Nothing holds yet but what `conditions` says.
    pub fn new(conditions: Conditions) -> Self {
        Self(Arc::new(watch::Sender::new(conditions)))
    }

    /// Something has changed.
    pub fn update(&self, change: impl FnOnce(&mut Conditions)) {
        self.0.send_modify(change);
    }

    /// How it stands.
    pub fn now(&self) -> Conditions {
        *self.0.borrow()
    }

    /// Ends when `holds` does. Safe to drop and call again.
    pub async fn until(&self, holds: impl Fn(&Conditions) -> bool) {
        // The sender lives in `self`: the wait cannot fail.
        drop(self.0.subscribe().wait_for(|conditions| holds(conditions)).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_condition_has_a_reason() {
        let ready = Conditions { listening: true, names: true, attached: true, app: true, draining: false };
        assert!(ready.reasons().is_empty());
        assert_eq!(Conditions::default().reasons().len(), 4);
        let draining = Conditions { draining: true, ..ready }.reasons();
        assert!(matches!(draining.as_slice(), [reason] if reason.starts_with("draining")));
    }

    #[tokio::test]
    async fn an_application_may_start_before_it_has_passed_its_check() {
        let readiness = Readiness::new(Conditions { listening: true, ..Conditions::default() });
        let waiting = readiness.clone();
        let started = tokio::spawn(async move { waiting.until(Conditions::may_start_app).await });
        readiness.update(|conditions| conditions.names = true);
        started.await.unwrap();
        assert!(!readiness.now().reasons().is_empty());
    }
}
