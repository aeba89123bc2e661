//! Connections that have carried one request and then stay open: what memory they cost is asked meanwhile.

use std::io::{self, Write};

use tokio::net::TcpStream;

use super::{LoadArgs, h1};
use crate::{backend, wire::message};

/// What is said once all are open.
const HELD: &str = "held";

/// Opens them one after the other, says so, and holds them until standard input ends.
pub(super) async fn hold(args: &LoadArgs) -> anyhow::Result<()> {
    let request = message::request(&args.host, &args.path);
    let mut held = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..args.connections {
        let mut io = TcpStream::connect(args.target).await?;
        h1::exchange(&mut io, &request, &mut bytes).await?;
        held.push(io);
    }
    writeln!(io::stdout(), "{HELD}")?;
    backend::until_standard_input_ends().await
}
