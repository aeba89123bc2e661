//! `bare-proxy`: what hyper itself costs as a proxy, with nothing of a mesh around it.

use std::{io, io::Write, process::ExitCode};

use clap::Parser;
use weft_benches::bare::{self, BareArgs};

/// The sidecar's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match bare::run(&BareArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, the exit code still says it.
            let _unheard = writeln!(io::stderr(), "bare-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
