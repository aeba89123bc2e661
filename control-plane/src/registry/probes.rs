//! Runs the active checks of what has no sidecar: one task a check, results as commands to the owner. It knows
//! neither the catalog nor what a result means.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::AbortHandle,
};
use weft_model::check::{CheckSpec, Probe};
use weft_runtime::check::Runner;

use super::{command::Command, live::CheckKey};

/// Probes under way at once; the others of that moment wait, which delays them but counts against no timeout.
const PROBES_MAX: usize = 256;

/// However long the interval, the first run comes soon.
const JITTER_MAX: Duration = Duration::from_secs(5);

/// Starts probe tasks.
#[derive(Debug)]
pub(super) struct Probes {
    commands: mpsc::WeakSender<Command>,
    permits: Arc<Semaphore>,
}

/// A check that is being run; dropping it stops that.
#[derive(Debug)]
pub(super) struct ProbeTask(AbortHandle);

impl Probes {
    pub(super) fn new(commands: &mpsc::Sender<Command>) -> Self {
        Self { commands: commands.downgrade(), permits: Arc::new(Semaphore::new(PROBES_MAX)) }
    }

    /// Runs a check until the result is dropped; `None` for one that is only reported to.
    pub(super) fn start(&self, check: &CheckKey, generation: u64, spec: &CheckSpec) -> Option<ProbeTask> {
        if matches!(spec.probe, Probe::Ttl { .. }) {
            return None;
        }
        let (check, commands) = (check.clone(), self.commands.clone());
        // Spread over one interval, as Consul does, so that a restart does not probe all at the same moment.
        let runner = Runner::new(spec.clone())
            .with_jitter(spec.interval.mul_f64(fastrand::f64()).min(JITTER_MAX))
            .with_permits(Arc::clone(&self.permits));
        let run = runner.run(move |result| {
            let (check, commands) = (check.clone(), commands.clone());
            async move {
                // The owner holds the only other end: without it this task is about to end too.
                if let Some(commands) = commands.upgrade() {
                    drop(commands.send(Command::Probed { check, generation, result }).await);
                }
            }
        });
        Some(ProbeTask(tokio::spawn(run).abort_handle()))
    }
}

impl Drop for ProbeTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
