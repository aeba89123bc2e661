//! Opaque connections: what comes is read and thrown away.

use tokio::io::AsyncReadExt;

use super::{Shared, h1};

/// One read, in bytes.
const CHUNK: usize = 256 * 1_024;

pub(super) async fn connection(shared: &Shared) -> anyhow::Result<()> {
    let mut io = h1::connect(shared).await?;
    let mut bytes = vec![0; CHUNK];
    loop {
        let read = io.read(&mut bytes).await?;
        anyhow::ensure!(read > 0, "the proxy closed a connection");
        shared.tally.add(read as u64);
    }
}
