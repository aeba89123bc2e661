//! Between two sockets. What comes in small pieces is copied through one scratch buffer that all relays of a
//! thread share; where much comes at once, the kernel moves it through a pipe, and no byte of it is touched. So a
//! silent relay holds neither buffer nor pipe.
//!
//! ```text
//!          a read fills much of the scratch
//!  Copied ─────────────────────────────────▶ Spliced
//!     ▲  little at a time, or no pipe to be had │
//!     └─────────────────────────────────────────┘
//! ```

use std::{
    cell::{Cell, RefCell},
    io::{self, ErrorKind},
    net::Shutdown,
};

use socket2::SockRef;
use tokio::io::Interest;

use super::{Broken, Moved, Outcome, both, pipe::Pipe};
use crate::{net::TcpStream, stream::Stream};

/// What is read at once, in bytes: the most that a socket's queue commonly holds for a reader that keeps up.
const SCRATCH_SIZE: usize = 64 * 1_024;
/// From so many bytes at once on, a pipe is cheaper than copying.
const SPLICE_FROM: usize = 16 * 1_024;
/// Below so many at once, copying is.
const COPY_BELOW: usize = 4 * 1_024;

thread_local! {
    /// Used between two awaits only.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_SIZE]);
}

/// How the next bytes are moved.
enum Way {
    Copied,
    Spliced,
}

/// Relays until both sides have ended, or one has broken off.
pub(super) async fn relay(client: Stream, upstream: Stream, moved: &Moved) -> Outcome {
    let (from_client, client) = client.into_parts();
    let (from_upstream, upstream) = upstream.into_parts();
    both(
        flow(&client, &upstream, &from_client, &moved.up),
        flow(&upstream, &client, &from_upstream, &moved.down),
    )
    .await
}

/// One direction; `ahead` goes first.
async fn flow(from: &TcpStream, to: &TcpStream, ahead: &[u8], moved: &Cell<u64>) -> Result<(), Broken> {
    write(to, ahead, moved).await?;
    let mut way = Way::Copied;
    loop {
        let length = match way {
            Way::Copied => copy(from, to, moved).await?,
            Way::Spliced => match splice(from, to, moved).await? {
                Some(length) => length,
                None => copy(from, to, moved).await?,
            },
        };
        way = match length {
            0 => break,
            SPLICE_FROM.. => Way::Spliced,
            COPY_BELOW.. => way,
            _ => Way::Copied,
        };
    }
    // A target that is gone needs to hear of no end.
    let _ = SockRef::from(to).shutdown(Shutdown::Write);
    Ok(())
}

/// Moves what there is through the scratch; 0 is the end.
async fn copy(from: &TcpStream, to: &TcpStream, moved: &Cell<u64>) -> Result<usize, Broken> {
    loop {
        from.readable().await.map_err(|_| Broken::Reading)?;
        let done = SCRATCH.with_borrow_mut(|scratch| {
            let length = match from.try_read(scratch) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(Broken::Reading),
            };
            let read = scratch.get(..length).unwrap_or_default();
            let written = match to.try_write(read) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) if read.is_empty() => 0,
                Err(_) => return Err(Broken::Writing),
            };
            moved.set(moved.get().saturating_add(written as u64));
            // Only what the target has no room for is kept, until it has.
            let rest = read.get(written..).unwrap_or_default();
            Ok(Some((length, rest.to_vec())))
        })?;
        let Some((length, rest)) = done else { continue };
        write(to, &rest, moved).await?;
        return Ok(length);
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8], moved: &Cell<u64>) -> Result<(), Broken> {
    while !bytes.is_empty() {
        to.writable().await.map_err(|_| Broken::Writing)?;
        match to.try_write(bytes) {
            Ok(written) => {
                moved.set(moved.get().saturating_add(written as u64));
                bytes = bytes.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Broken::Writing),
        }
    }
    Ok(())
}

/// Moves what there is through a pipe; 0 is the end. `None` = no pipe is to be had, or these sockets cannot.
async fn splice(from: &TcpStream, to: &TcpStream, moved: &Cell<u64>) -> Result<Option<usize>, Broken> {
    // Waited for without a pipe in hand.
    from.readable().await.map_err(|_| Broken::Reading)?;
    let Ok(pipe) = Pipe::take() else { return Ok(None) };
    // The pipe is empty: nothing but the socket can make this wait.
    let length = match from.async_io(Interest::READABLE, || pipe.fill(from)).await {
        Ok(length) => length,
        Err(error) if is_unable(&error) => return Ok(None),
        Err(_) => return Err(Broken::Reading),
    };
    let mut held = length;
    while held > 0 {
        // The pipe holds something: nothing but the socket can make this wait.
        let drained = to.async_io(Interest::WRITABLE, || pipe.drain(to, held)).await;
        let drained = drained.map_err(|_| Broken::Writing)?;
        if drained == 0 {
            return Err(Broken::Writing);
        }
        moved.set(moved.get().saturating_add(drained as u64));
        held = held.saturating_sub(drained);
    }
    pipe.give_back();
    Ok(Some(length))
}

fn is_unable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests;
