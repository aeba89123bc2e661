//! What the program can be told: a subcommand a role.

use clap::{Parser, Subcommand};

use crate::{client, server};

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about = "Weather stations: a streaming gRPC service behind two replicas")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serves weather.
    Server(server::Options),
    /// Makes one call of each kind and prints what came back.
    Client(client::Options),
}

impl Arguments {
    /// Plays the role until its end.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.role {
            Role::Server(options) => server::run(options).await,
            Role::Client(options) => client::run(options).await,
        }
    }
}
