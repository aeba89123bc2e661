//! `weft-control-plane`: arguments, configuration, run, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use weft_control_plane::{
    config::{Args, Config},
    server,
};
use weft_runtime::report;

/// Small and fast for many short allocations on few threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not a log record: whoever started it at a terminal reads this. Closed output is no reason to panic.
            let _unread = writeln!(io::stderr(), "weft-control-plane: {}", report::one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    weft_runtime::telemetry::init(config.log_format, &config.log_filter)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server::run(config))
}
