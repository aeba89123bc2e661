//! The wrapped application: its start, its signals, its end. What is in its environment is [`environment`]'s;
//! when it is started and stopped is the business of [`crate::run`].
//!
//! ```text
//!            start()             stop(): SIGTERM          5 s: SIGKILL to its group
//!  (nothing) ───────▶ running ─────────────────▶ stopping ─────────────────────────▶ killed
//!                        └────────── it ends ───────┴──────────▶ its exit code ◀────────┘
//! ```
//!
//! The application is started through this program itself ([`exec`]), which asks the kernel to end it with us
//! before it becomes the application: a sidecar that is killed leaves nothing behind. Its process group is its
//! own, so that a Ctrl-C at the terminal reaches it by the stopping order only.

use std::{io, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal as Kill, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};
use weft_runtime::signal::Signal;

pub mod environment;
pub mod exec;

/// How long the application may take to stop before it is killed.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Shells' exit code for what a signal ended is this and the signal's number.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Why the application could not be started or waited for.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No process.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// The command's first word.
        program: String,
        /// From the system.
        source: io::Error,
    },
    /// The process, but not its end.
    #[error("cannot wait for the application: {0}")]
    Wait(io::Error),
}

/// A running application. Dropped, it is killed.
#[derive(Debug)]
pub struct App {
    child: Child,
    group: Pid,
}

impl App {
    /// Starts a command with variables added to our own. Must be called on a thread that lives as long as
    /// the sidecar: the kernel ends the application with the thread that started it.
    ///
    /// # Errors
    /// When the system has no process for it. A program that does not exist shows as exit code 127.
    pub fn start(command: &[String], variables: &[(String, String)]) -> Result<Self, AppError> {
        let program = command.first().cloned().unwrap_or_default();
        let failed = |source| AppError::Start { program: program.clone(), source };
        let child = Command::new(exec::OWN_PROGRAM)
            .args(exec::arguments(command))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let group = Pid::from_raw(pid.ok_or_else(|| failed(io::Error::other("it has no process id")))?);
        tracing::info!(pid = group.as_raw(), %program, "application started");
        Ok(Self { child, group })
    }

    /// Its exit code, when it ends: its own, or 128 and the signal's number. Safe to drop and call again.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn ended(&mut self) -> Result<u8, AppError> {
        let status = self.child.wait().await.map_err(AppError::Wait)?;
        let code = exit_code(status);
        tracing::info!(code, "application ended");
        Ok(code)
    }

    /// Hands on a signal that we were sent.
    pub fn forward(&self, signal: Signal) {
        self.signal(match signal {
            Signal::Terminate => Kill::SIGTERM,
            Signal::Interrupt => Kill::SIGINT,
            Signal::Hangup => Kill::SIGHUP,
            Signal::User1 => Kill::SIGUSR1,
            Signal::User2 => Kill::SIGUSR2,
        });
    }

    /// SIGTERM, and SIGKILL after [`STOP_TIMEOUT`]; its exit code.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn stop(&mut self) -> Result<u8, AppError> {
        self.signal(Kill::SIGTERM);
        let Ok(ended) = tokio::time::timeout(STOP_TIMEOUT, self.ended()).await else {
            tracing::warn!(after = ?STOP_TIMEOUT, "application does not stop, killing it");
            self.signal(Kill::SIGKILL);
            return self.ended().await;
        };
        ended
    }

    /// To the whole group: a shell in front of the program passes nothing on.
    fn signal(&self, signal: Kill) {
        // Once it is waited for, its number may be another's.
        if self.child.id().is_some()
            && let Err(error) = killpg(self.group, signal)
        {
            tracing::debug!(%error, %signal, "signal not delivered");
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.signal(Kill::SIGKILL);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;

    let code = status.code().or_else(|| status.signal().map(|signal| SIGNAL_EXIT_BASE + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
