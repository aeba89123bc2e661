//! `weft-sidecar`: arguments, configuration, run, exit code.

use std::{io, io::Write, process::ExitCode};

use clap::Parser;
use weft_sidecar::{
    app::exec::{self, ExecArgs},
    config::RunArgs,
    run,
};

/// Small and fast for many short allocations on few threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Carries the calls in and out of one service instance
#[derive(Debug, Parser)]
#[command(name = "weft-sidecar", version)]
enum Cli {
    /// Run beside an application, or around it with `-- COMMAND`
    Run(Box<RunArgs>),
    #[command(name = exec::SUBCOMMAND, hide = true)]
    ExecWrapped(ExecArgs),
}

fn main() -> ExitCode {
    let (error, code) = match Cli::parse() {
        Cli::Run(args) => match run::run(*args) {
            Ok(code) => return code.into(),
            Err(error) => (weft_runtime::report::one_line(error.as_ref()), ExitCode::FAILURE),
        },
        Cli::ExecWrapped(args) => {
            let Err(error) = exec::become_application(&args);
            (error.to_string(), error.exit_code())
        }
    };
    // Where standard error is closed, the exit code still says it.
    let _unheard = writeln!(io::stderr(), "weft-sidecar: {error}");
    code
}
