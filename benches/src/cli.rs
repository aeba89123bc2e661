//! The command line of `weft-bench`: the comparisons, and the ends that they start.

use crate::{backend, brokers, driver, load};

/// Compares the sidecar and the broker with their peers
#[derive(Debug, clap::Parser)]
#[command(name = "weft-bench", version)]
pub enum Arguments {
    /// Runs the comparison and writes its tables
    Run(driver::RunArgs),
    /// Puts a load on a proxy and prints what came of it, as JSON
    Load(load::LoadArgs),
    /// Compares Weft's broker with RabbitMQ and NATS JetStream and writes the tables
    Brokers(brokers::BrokersArgs),
    /// Puts a load on a broker and prints what came of it, as JSON
    BrokerLoad(brokers::load::BrokerLoadArgs),
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
            Self::Brokers(args) => brokers::run(&args),
            Self::BrokerLoad(args) => brokers::load::run(&args),
            Self::Backend => backend::run(),
        }
    }
}
