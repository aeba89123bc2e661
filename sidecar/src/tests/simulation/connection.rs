//! One connection of the simulated network, end by end: what each has received, and who waits for it. It knows no
//! time and no link.
//!
//! ```text
//!  Dialling ─┬─▶ Open ─▶ Gone      gone = its owner has let go of it
//!            └─▶ Refused
//! ```

use std::{collections::VecDeque, net::SocketAddr, task::Waker};

/// A connection's number.
pub(crate) type Number = usize;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EndOf {
    pub(super) number: Number,
    /// 0 = the one that dialled.
    pub(super) side: usize,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) address: SocketAddr,
    pub(super) state: State,
    pub(super) inbox: VecDeque<u8>,
    /// The other end will say no more.
    pub(super) is_ended: bool,
    pub(super) is_reset: bool,
    /// We will say no more.
    pub(super) has_said_all: bool,
    /// Bytes that the other end has not read.
    pub(super) under_way: usize,
    /// When the last of what goes to it arrives: nothing overtakes.
    pub(super) last_at: u64,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Dialling,
    Refused,
    Open,
    Gone,
}

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Bytes(usize),
    End,
    Reset,
}

impl End {
    pub(super) fn new(address: SocketAddr, state: State) -> Self {
        Self {
            address,
            state,
            inbox: VecDeque::new(),
            is_ended: false,
            is_reset: false,
            has_said_all: false,
            under_way: 0,
            last_at: 0,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }
}

impl EndOf {
    pub(super) fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}
