//! `weft-bench`: arguments, run, exit code.

use std::{io, io::Write, process::ExitCode};

use clap::Parser;
use weft_benches::cli::Arguments;

/// What load and backend allocate must cost little: they share a core.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, the exit code still says it.
            let _unheard = writeln!(io::stderr(), "weft-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
