//! `weft-example-grpc`: a streaming gRPC service and a client that calls it through the mesh. It owns the
//! arguments; neither side knows Weft but the address that calls go to.

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

mod arguments;
mod client;
mod forecast;
mod proto;
mod server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match Arguments::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}
