//! HTTP/1.1: one request at a time on each connection.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Shared;
use crate::wire::message;

/// Room for an answer.
const BUFFER_SIZE: usize = 32 * 1_024;

pub(super) async fn connection(shared: &Shared) -> anyhow::Result<()> {
    let request = message::request(&shared.args.host, &shared.args.path);
    let mut io = connect(shared).await?;
    let mut bytes = Vec::with_capacity(BUFFER_SIZE);
    loop {
        let due = match &shared.schedule {
            Some(schedule) => Some(schedule.next().await),
            None => None,
        };
        if !shared.tally.may_start() {
            return Ok(());
        }
        exchange(&mut io, &request, &mut bytes).await?;
        shared.tally.done(due);
    }
}

pub(super) async fn connect(shared: &Shared) -> anyhow::Result<TcpStream> {
    let io = TcpStream::connect(shared.args.target).await?;
    io.set_nodelay(true)?;
    Ok(io)
}

/// One request and its whole answer.
pub(super) async fn exchange(io: &mut TcpStream, request: &[u8], bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    bytes.clear();
    io.write_all(request).await?;
    let mut length = None;
    while length.is_none_or(|length| bytes.len() < length) {
        anyhow::ensure!(io.read_buf(bytes).await? > 0, "the proxy closed a connection");
        if length.is_none() {
            length = message::answer_length(bytes)?;
        }
    }
    anyhow::ensure!(length == Some(bytes.len()), "more than one answer to one request");
    Ok(())
}
