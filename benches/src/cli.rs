//! The command line of `weft-bench`: the comparison, and the two ends that it starts.

use crate::{backend, driver, load};

/// Compares the sidecar with its peers
#[derive(Debug, clap::Parser)]
#[command(name = "weft-bench", version)]
pub enum Arguments {
    /// Runs the comparison and writes its tables
    Run(driver::RunArgs),
    /// Puts a load on a proxy and prints what came of it, as JSON
    Load(load::LoadArgs),
    /// Answers what comes through a proxy; prints its ports, ends with standard input
    Backend,
}

impl Arguments {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Run(args) => driver::run(&args),
            Self::Load(args) => load::run(args),
            Self::Backend => backend::run(),
        }
    }
}
