//! Keeps one process running: start, report, wait, and again after a pause where its restart policy says so.
//!
//! ```text
//!            ┌───────────── back-off ◀── restart applies ──┐
//!            ▼                                             │
//!  start ─▶ running ─▶ reported (ports) ─▶ ended ──────────┤
//!            │  │                                          └─▶ done (Finished)
//!            └──┴── stop ─▶ SIGTERM … SIGKILL ─▶ done (Stopped)
//! ```

use std::{
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    console::{Console, Source},
    plan::{ProcessSpec, Role},
    process::{self, Ports, Running, Tail},
};

/// What is told of a process.
#[derive(Debug)]
pub(crate) enum Event {
    /// It listens.
    Up {
        /// Its name.
        name: String,
        /// Its id.
        pid: u32,
        /// Where.
        ports: Ports,
    },
    /// Its application runs.
    Application {
        /// Its name.
        name: String,
        /// The application's process id.
        pid: u32,
    },
    /// It has ended, unasked.
    Ended {
        /// Its name.
        name: String,
        /// Started again after this time; `None` = not at all.
        again_in: Option<Duration>,
        /// The last thing it said.
        last_words: Option<String>,
    },
}

/// What became of a process in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// We stopped it.
    Stopped,
    /// It ended and is not started again.
    Finished {
        /// Whether its exit code was 0.
        well: bool,
    },
}

/// What a supervisor shares with the rest.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Where output goes.
    pub(crate) console: Console,
    /// Where events go.
    pub(crate) events: mpsc::Sender<Event>,
    /// Stop this process.
    pub(crate) stop: CancellationToken,
    /// Stop it at once.
    pub(crate) now: CancellationToken,
}

/// One process with its supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    spec: ProcessSpec,
    source: Source,
    around: Surroundings,
    tail: Tail,
}

impl Supervisor {
    /// Of the `index`th process.
    pub(crate) fn new(spec: ProcessSpec, index: usize, around: Surroundings) -> Self {
        let source = Source::new(&spec.name, index);
        Self { spec, source, around, tail: Tail::default() }
    }

    /// Keeps it running until it is told to stop or has ended for good.
    pub(crate) async fn run(mut self) -> Outcome {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            let well = match self.once().await {
                Ok(Some(status)) => {
                    self.say(&format!("has ended: {}", describe(status))).await;
                    status.success()
                }
                Ok(None) => return Outcome::Stopped,
                Err(error) => {
                    self.say(&format!("does not start: {error:#}")).await;
                    false
                }
            };
            let again_in = self.spec.restart.applies(well).then(|| backoff.after(started.elapsed()));
            let last_words = self.tail.last();
            self.tell(Event::Ended { name: self.spec.name.clone(), again_in, last_words }).await;
            let Some(wait) = again_in else { return Outcome::Finished { well } };
            self.say(&format!("is started again in {} ms", wait.as_millis())).await;
            tokio::select! {
                // Nothing is started once we stop.
                biased;
                () = self.around.stop.cancelled() => return Outcome::Stopped,
                () = sleep(wait) => {}
            }
        }
    }

    /// One run; `None` = it was stopped.
    async fn once(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let mut running = Running::start(&self.spec, &self.source, &self.around.console, &self.tail)?;
        let pid = running.pid();
        let stop = self.around.stop.clone();
        let ended = tokio::select! {
            // A stop goes first: what ends at the same time was most likely meant to.
            biased;
            () = stop.cancelled() => None,
            status = running.ended() => Some(status),
            never = self.report(pid) => match never {},
        };
        match ended {
            Some(status) => Ok(Some(status?)),
            None => {
                running.stop(&self.around.now).await?;
                Ok(None)
            }
        }
    }

    /// Tells of ports and application as they come, then does nothing for ever.
    async fn report(&mut self, pid: u32) -> std::convert::Infallible {
        let ports = process::ports(&self.spec.data_dir, pid).await;
        self.pin(&ports);
        let name = self.spec.name.clone();
        self.tell(Event::Up { name: name.clone(), pid, ports }).await;
        if matches!(self.spec.role, Role::Replica { .. }) {
            let pid = process::application(pid).await;
            self.tell(Event::Application { name, pid }).await;
        }
        std::future::pending().await
    }

    /// Addresses that others hold stay over restarts.
    fn pin(&mut self, ports: &Ports) {
        let fixed = match self.spec.role {
            Role::ControlPlane => [("--http", ports.http), ("--grpc", ports.grpc)],
            Role::Edge => [("--outbound", ports.outbound), ("--admin", ports.admin)],
            Role::Replica { .. } => return,
        };
        for (flag, address) in fixed {
            if let Some(address) = address {
                self.spec.pin(flag, address);
            }
        }
    }

    async fn say(&self, what: &str) {
        self.around.console.say(format!("{} {what}", self.spec.name)).await;
    }

    async fn tell(&self, event: Event) {
        let _nobody_listens_while_stopping = self.around.events.send(event).await;
    }
}

/// For people: `exit code 1` or `killed by SIGKILL`.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => "for an unknown reason".into(),
    }
}
