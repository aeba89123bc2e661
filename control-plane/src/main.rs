//! `weft-control-plane`: arguments, configuration, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use weft_control_plane::{
    config::{Args, Config},
    server,
};

/// Small and fast for many short allocations on few threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(clippy::print_stderr, reason = "errors at the start come before logs")]
fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-control-plane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    weft_runtime::telemetry::init(config.log_format, &config.log_filter)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server::run(config))
}
