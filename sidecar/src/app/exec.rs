//! `weft-sidecar exec-wrapped`: the moment between fork and the application. It asks the kernel to end this
//! process with the sidecar, makes sure that the sidecar was still there when it asked, and becomes the
//! application. A process of its own, since what runs between fork and exec would have to be unsafe code.

use std::{
    convert::Infallible,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getpid, getppid},
};

/// This very program, also when its file was replaced meanwhile.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";
/// The hidden subcommand.
pub const SUBCOMMAND: &str = "exec-wrapped";
/// As shells say: found, but cannot be started.
const CANNOT_EXECUTE: u8 = 126;
/// As shells say: not found.
const NOT_FOUND: u8 = 127;

/// What the hidden subcommand takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ExecArgs {
    /// The sidecar.
    #[arg(long)]
    parent: i32,
    /// The application.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Why this process did not become the application.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It would outlive its sidecar.
    #[error("the sidecar ended before its application began")]
    Orphan,
    /// The kernel refused.
    #[error("cannot tie the application to its sidecar: {0}")]
    Tie(nix::Error),
    /// Not a program.
    #[error("cannot start `{program}`: {source}; check the command after `--`")]
    Exec {
        /// The command's first word.
        program: String,
        /// From the system.
        source: io::Error,
    },
}

/// For [`OWN_PROGRAM`].
pub(super) fn arguments(command: &[String]) -> Vec<String> {
    let mut arguments = vec![SUBCOMMAND.to_owned(), format!("--parent={}", getpid()), "--".to_owned()];
    arguments.extend_from_slice(command);
    arguments
}

/// Becomes the application.
///
/// # Errors
/// When it cannot; it does not return otherwise.
pub fn become_application(args: &ExecArgs) -> Result<Infallible, ExecError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(ExecError::Tie)?;
    if getppid() != Pid::from_raw(args.parent) {
        return Err(ExecError::Orphan);
    }
    let program = args.command.first().cloned().unwrap_or_default();
    let source = Command::new(&program).args(args.command.iter().skip(1)).exec();
    Err(ExecError::Exec { program, source })
}

impl ExecError {
    /// As a shell would end.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND.into(),
            _ => CANNOT_EXECUTE.into(),
        }
    }
}
