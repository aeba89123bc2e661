//! The bytes that load and backend speak, sans-IO and no more of each protocol than a bench needs: both ends are
//! ours, and the proxy between them is what is measured, so they must cost little.

pub mod block;
pub mod frame;
pub mod link;
pub mod message;

/// What the other side sent that it must not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    /// A head without end.
    #[error("a message head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// A head that says something else than expected.
    #[error("not the answer that was asked for: `{0}`")]
    Unexpected(String),
    /// An HTTP/2 frame over the size that we announced (the default).
    #[error("a frame of {0} bytes is over the limit")]
    FrameTooLong(usize),
    /// The peer gives up the connection.
    #[error("the peer says GOAWAY with error {0}")]
    GoAway(u32),
}
