//! What the program can be told: a subcommand a role.

use clap::{Parser, Subcommand};

use crate::{account_manager, api_server, serve};

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about = "The gateway of the lecture: an API server and its account managers")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Takes job requests, and asks an account manager whether the account can pay.
    ApiServer(api_server::Options),
    /// Keeps accounts and reserves credits.
    AccountManager(serve::Options),
}

impl Arguments {
    /// Plays the role until told to stop.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.role {
            Role::ApiServer(options) => api_server::run(options).await,
            Role::AccountManager(options) => account_manager::run(options).await,
        }
    }
}
