//! `weft demo`.

use std::process::ExitCode;

/// What `weft demo` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// Runs the demo.
///
/// # Errors
/// Never yet.
pub async fn run(_options: &Options, _colour: bool) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
