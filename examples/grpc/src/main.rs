//! `weft-example-grpc`: a streaming gRPC service and a client that calls it through the mesh. It owns the
//! arguments; neither side knows Weft but the address that calls go to.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod client;
mod forecast;
mod server;

/// The types made from `weather.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
mod proto {
    tonic::include_proto!("weft.example.weather.v1");

    /// For reflection.
    pub(crate) const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weather.bin"));
}

#[derive(Debug, Parser)]
#[command(version, about = "Weather stations: a streaming gRPC service behind two replicas")]
struct Arguments {
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let result = match Arguments::parse().role {
        Role::Server(options) => server::run(options).await,
        Role::Client(options) => client::run(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}
