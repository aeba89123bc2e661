//! Bytes both ways, with half-close: one side's end is told to the other, which may go on. Two sockets are
//! relayed without buffers of ours (see [`socket`]); what stands on a layer above them is copied.
//!
//! ```text
//!  client ──▶ flow ──▶ upstream     a flow ends with its source, and says so to its target
//!         ◀── flow ◀──              a source that breaks off ends both; a target that reads no more, its flow
//! ```

mod pipe;
mod socket;

use std::{
    cell::Cell,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use weft_model::error_code::ErrorCode;

use crate::{record::RecordGuard, stream::Stream};

/// The buffer of each direction where bytes are copied from layer to layer, in bytes.
const BUFFER_SIZE: usize = 16 * 1_024;

/// One side of a relay.
#[derive(Debug)]
pub(crate) enum End {
    /// A plain connection.
    Socket(Stream),
    /// A stream of an HTTP/2 connection.
    Layered(TokioIo<Upgraded>),
}

/// How a flow ended too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Reading,
    Writing,
}

/// What a relay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Both sides have ended.
    Whole,
    /// Nothing moved for too long.
    Idle,
    ClientBroke,
    UpstreamBroke,
}

/// Bytes that moved so far, each way.
#[derive(Debug, Default)]
struct Moved {
    up: Cell<u64>,
    down: Cell<u64>,
}

/// Relays until both sides have ended, one has broken off, or nothing moved for `idle_max`. The record gets the
/// counts, and the failure with the side that it came from.
pub(crate) async fn relay(client: End, upstream: End, idle_max: Option<Duration>, record: &mut RecordGuard) {
    let moved = Moved::default();
    let outcome = {
        let work = async {
            match (client, upstream) {
                (End::Socket(client), End::Socket(upstream)) => socket::relay(client, upstream, &moved).await,
                (client, upstream) => layered(client, upstream, &moved).await,
            }
        };
        let idle = idle(&moved, idle_max);
        tokio::select! {
            // The work first: what has just moved was not idle.
            biased;
            outcome = work => outcome,
            () = idle => Outcome::Idle,
        }
    };
    record.add_received(usize::try_from(moved.up.get()).unwrap_or(usize::MAX));
    record.add_sent(usize::try_from(moved.down.get()).unwrap_or(usize::MAX));
    match outcome {
        Outcome::Whole | Outcome::Idle => record.complete(crate::clock::now()),
        Outcome::ClientBroke => record.break_off(),
        Outcome::UpstreamBroke => record.fail(ErrorCode::UpstreamReset),
    }
}

/// Returns when nothing has moved for `limit`, or a little longer.
async fn idle(moved: &Moved, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let before = moved.total();
        tokio::time::sleep(limit).await;
        if moved.total() == before {
            return;
        }
    }
}

/// Both flows, at once, to what they come to together.
async fn both(
    up: impl Future<Output = Result<(), Broken>>,
    down: impl Future<Output = Result<(), Broken>>,
) -> Outcome {
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        // In the order of a call: what the client sent is looked at first.
        biased;
        ended = &mut up => match ended {
            Err(Broken::Reading) => Outcome::ClientBroke,
            ended => judge(ended, down.await),
        },
        ended = &mut down => match ended {
            Err(Broken::Reading) => Outcome::UpstreamBroke,
            ended => judge(up.await, ended),
        },
    }
}

fn judge(up: Result<(), Broken>, down: Result<(), Broken>) -> Outcome {
    match (up, down) {
        (Ok(()), Ok(())) => Outcome::Whole,
        (Err(Broken::Reading), _) | (_, Err(Broken::Writing)) => Outcome::ClientBroke,
        (Err(Broken::Writing), _) | (_, Err(Broken::Reading)) => Outcome::UpstreamBroke,
    }
}

async fn layered(client: End, upstream: End, moved: &Moved) -> Outcome {
    let (client_read, client_write) = tokio::io::split(client);
    let (upstream_read, upstream_write) = tokio::io::split(upstream);
    both(copy(client_read, upstream_write, &moved.up), copy(upstream_read, client_write, &moved.down)).await
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Cell<u64>,
) -> Result<(), Broken> {
    let mut buffer = vec![0_u8; BUFFER_SIZE];
    loop {
        let length = from.read(&mut buffer).await.map_err(|_| Broken::Reading)?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else { break };
        to.write_all(read).await.map_err(|_| Broken::Writing)?;
        to.flush().await.map_err(|_| Broken::Writing)?;
        moved.set(moved.get().saturating_add(length as u64));
    }
    // A target that is gone needs to hear of no end.
    let _ = to.shutdown().await;
    Ok(())
}

impl Moved {
    fn total(&self) -> u64 {
        self.up.get().wrapping_add(self.down.get())
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Socket(io) => Pin::new(io).poll_read(cx, buf),
            Self::Layered(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Socket(io) => Pin::new(io).poll_write(cx, buf),
            Self::Layered(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Socket(io) => Pin::new(io).poll_flush(cx),
            Self::Layered(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Socket(io) => Pin::new(io).poll_shutdown(cx),
            Self::Layered(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_laid_at_the_side_that_it_came_from() {
        for (up, down, outcome) in [
            (Ok(()), Ok(()), Outcome::Whole),
            (Err(Broken::Writing), Ok(()), Outcome::UpstreamBroke),
            (Ok(()), Err(Broken::Writing), Outcome::ClientBroke),
            (Ok(()), Err(Broken::Reading), Outcome::UpstreamBroke),
            (Err(Broken::Reading), Ok(()), Outcome::ClientBroke),
        ] {
            assert_eq!(judge(up, down), outcome);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_moves_is_not_idle() {
        let moved = Moved::default();
        let moves = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(600)).await;
                moved.up.set(moved.up.get() + 1);
            }
        };
        let limit = Some(Duration::from_secs(1));
        tokio::select! {
            biased;
            () = moves => {}
            () = idle(&moved, limit) => panic!("idle although bytes moved"),
        }
        idle(&moved, limit).await;
    }
}
