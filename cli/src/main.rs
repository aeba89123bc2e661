//! `weft`: arguments, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use weft::{args::Arguments, commands, output};
use weft_runtime::report;

/// One thread: what dies with its parent (see `up::shim`) dies with the thread that started it, and this one
/// lives as long as the process.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format!("weft: {}", report::one_line(error.as_ref())));
            ExitCode::from(2)
        }
    }
}

/// `weft services | head -1`: whoever reads has had enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
