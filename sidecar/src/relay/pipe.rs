//! Pipes that the kernel moves bytes through, and the few that a thread keeps. A pipe is given back empty or not
//! at all: what one relay left in it must never come out of another.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::fcntl::{OFlag, SpliceFFlags, splice};

/// Pipes that a thread keeps for later, at most: two descriptors each.
const KEPT_MAX: usize = 64;
/// What is asked for at once, in bytes: more than a pipe of the usual size holds.
const LENGTH_MAX: usize = 1_024 * 1_024;

thread_local! {
    static KEPT: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// An empty pipe, for one piece of a flow.
#[derive(Debug)]
pub(super) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

impl Pipe {
    /// One that is kept, else a new one.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn take() -> io::Result<Self> {
        if let Some(kept) = KEPT.with_borrow_mut(Vec::pop) {
            return Ok(kept);
        }
        let (out, into) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        Ok(Self { out, into })
    }

    /// Moves what `from` has into it; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing.
    pub(super) fn fill(&self, from: impl AsFd) -> io::Result<usize> {
        Ok(splice(from, None, &self.into, None, LENGTH_MAX, flags())?)
    }

    /// Moves up to `length` of what it holds to `to`.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room.
    pub(super) fn drain(&self, to: impl AsFd, length: usize) -> io::Result<usize> {
        Ok(splice(&self.out, None, to, None, length, flags())?)
    }

    /// Keeps it for the next piece. It has to be empty.
    pub(super) fn give_back(self) {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(self);
            }
        });
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_go_in_and_come_out_and_the_pipe_is_used_again() {
        let (mut source, from) = pair();
        let (to, mut target) = pair();
        from.set_nonblocking(true).unwrap();
        for _ in 0..3 {
            let pipe = Pipe::take().unwrap();
            let nothing = pipe.fill(&from).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            source.write_all(b"abc").unwrap();
            let length = loop {
                match pipe.fill(&from) {
                    Ok(length) => break length,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            };
            assert_eq!((length, pipe.drain(&to, length).unwrap()), (3, 3));
            let mut read = [0; 3];
            target.read_exact(&mut read).unwrap();
            assert_eq!(&read, b"abc");
            pipe.give_back();
            assert_eq!(KEPT.with_borrow(Vec::len), 1);
        }
        drop(source);
        let pipe = Pipe::take().unwrap();
        let end = std::iter::repeat_with(|| pipe.fill(&from)).find(Result::is_ok);
        assert_eq!(end.unwrap().unwrap(), 0);
    }
}
