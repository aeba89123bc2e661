//! `weft-example-gateway`: the gateway of the lecture, as one program with a subcommand a role. It owns the
//! arguments; the roles know nothing of each other but their HTTP interfaces.

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

mod account_manager;
mod api_server;
mod arguments;
mod ledger;
mod mesh;
mod serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match Arguments::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the service ends");
            ExitCode::FAILURE
        }
    }
}
