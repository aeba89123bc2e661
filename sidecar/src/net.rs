//! The one door of the data path to connections. Outside of this crate's own unit tests what stands here is
//! tokio's, by another name; inside of them a connection may be one of a simulated network instead (see
//! `tests/simulation.rs`).

#[cfg(test)]
mod either;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use smallvec::SmallVec;
#[cfg(not(test))]
use socket2::{SockAddr, SockRef, Socket};
use tokio::io::AsyncWrite;

#[cfg(not(test))]
pub(crate) use tokio::net::{TcpListener, TcpStream};

#[cfg(test)]
pub(crate) use self::either::{TcpListener, TcpStream, set_backlog, take_queued};

/// Parts that together are at most so long, in bytes, are written as one piece: to copy them costs less than to hand
/// the kernel a list.
const PIECE_MAX: usize = 1_024;

/// Takes out of the kernel's queue who waits there; `WouldBlock` where nobody does.
#[cfg(not(test))]
pub(crate) fn take_queued(listener: &TcpListener) -> io::Result<(Socket, SockAddr)> {
    SockRef::from(listener).accept()
}

/// How many may wait in the kernel's queue from now on; who waits there, stays.
#[cfg(not(test))]
pub(crate) fn set_backlog(listener: &TcpListener, length: i32) -> io::Result<()> {
    SockRef::from(listener).listen(length)
}

/// Writes several parts at once.
pub(crate) fn write_parts(
    io: Pin<&mut impl AsyncWrite>,
    cx: &mut Context<'_>,
    parts: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [part] = parts {
        return io.poll_write(cx, part);
    }
    if parts.iter().map(|part| part.len()).sum::<usize>() > PIECE_MAX {
        return io.poll_write_vectored(cx, parts);
    }
    let mut piece = SmallVec::<[u8; PIECE_MAX]>::new();
    parts.iter().for_each(|part| piece.extend_from_slice(part));
    io.poll_write(cx, &piece)
}
