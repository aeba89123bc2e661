//! The commands about the message broker: lists of its management API, and what changes or reads its queues.

mod columns;
mod inspect;
mod lists;
mod purge;
mod queues;
mod redrive;

use super::Answer;
use crate::args::{BrokerCommand, QueuesCommand};

/// Does what was typed.
pub(super) async fn run(command: BrokerCommand) -> anyhow::Result<Answer> {
    match command {
        BrokerCommand::Queues(options) => match &options.command {
            Some(QueuesCommand::Inspect(inspect)) => inspect::run(inspect),
            None => queues::run(&options).await,
        },
        BrokerCommand::Exchanges(options) => lists::exchanges(&options).await,
        BrokerCommand::Bindings(options) => lists::bindings(&options).await,
        BrokerCommand::Consumers(options) => lists::consumers(&options).await,
        BrokerCommand::Connections(options) => lists::connections(&options).await,
        BrokerCommand::Purge(options) => purge::run(&options).await,
        BrokerCommand::Redrive(options) => redrive::run(&options).await,
    }
}
