//! `weft exec-supervised`: becomes another program, having asked the system to kill it when `weft up` dies.
//! It stands between fork and exec, where a closure would need `unsafe`; a second exec does without.
//!
//! ```text
//!  weft up ──fork, exec──▶ weft exec-supervised ──prctl, exec──▶ weft-sidecar   (one process id)
//! ```

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, bail};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getppid},
};

/// The hidden subcommand's name.
pub(crate) const SUBCOMMAND: &str = "exec-supervised";
/// This program, also after its file was replaced by a new build.
const SELF: &str = "/proc/self/exe";

/// Arguments of the hidden subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Who must be our parent
    #[arg(long)]
    parent: i32,
    /// Program and arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The command that starts `program` by way of the shim.
pub(crate) fn command(program: &std::path::Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new(SELF);
    command.arg0("weft").arg(SUBCOMMAND).arg("--parent").arg(std::process::id().to_string());
    command.arg("--").arg(program).args(arguments);
    command
}

/// Does not return unless the program cannot be started.
///
/// # Errors
/// When it is not there or may not be run.
pub fn run(options: &Options) -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("the system refuses a parent-death signal")?;
    // A parent that died before the line above sends no signal any more.
    if getppid() != Pid::from_raw(options.parent) {
        bail!("the starting process is gone");
    }
    let (program, arguments) = options.command.split_first().context("no command")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
