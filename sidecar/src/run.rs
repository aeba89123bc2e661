//! Starts the parts of a sidecar, in order, and stops them.

use crate::config::{RunArgs, SidecarConfig};

/// Runs until it is told to stop, or the wrapped application ends; the exit code.
///
/// # Errors
/// When it cannot start.
pub fn run(args: RunArgs) -> anyhow::Result<u8> {
    let config = SidecarConfig::load(args)?;
    weft_runtime::telemetry::init(config.log_format, &config.log_filter)?;
    Ok(0)
}
