//! The backend of opaque connections: sends as fast as it is read.

use tokio::{io::AsyncWriteExt, net::TcpStream};

/// One write, in bytes.
const CHUNK: usize = 256 * 1_024;

/// Sends until nobody reads.
pub(super) async fn connection(mut io: TcpStream) -> anyhow::Result<()> {
    let chunk = vec![b'x'; CHUNK];
    loop {
        io.write_all(&chunk).await?;
    }
}
