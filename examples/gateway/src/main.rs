//! `weft-example-gateway`: the gateway of the lecture, as one program with a subcommand a role. It owns the
//! arguments; the roles know nothing of each other but their HTTP interfaces.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod account_manager;
mod api_server;
mod ledger;
mod mesh;
mod serve;

#[derive(Debug, Parser)]
#[command(version, about = "The gateway of the lecture: an API server and its account managers")]
struct Arguments {
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let result = match Arguments::parse().role {
        Role::ApiServer(options) => api_server::run(options).await,
        Role::AccountManager(options) => account_manager::run(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the service ends");
            ExitCode::FAILURE
        }
    }
}
