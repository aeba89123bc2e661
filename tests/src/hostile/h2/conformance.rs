//! What must become of each frame and header block: the MUSTs of RFC 9113 and RFC 7541, with the floods of
//! streams last: a proxy may be busy with them for a while.

mod connection;
mod frames;
mod hpack;
mod streams;

use super::Case;

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [connection::CASES, frames::CASES, hpack::CASES, streams::CASES].into_iter().flatten()
}
