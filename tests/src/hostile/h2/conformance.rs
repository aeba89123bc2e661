//! What must become of each frame and header block: the MUSTs of RFC 9113 and RFC 7541, in the order of the documents.

mod connection;
mod frames;
mod hpack;
mod streams;

use super::Case;

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [connection::CASES, frames::CASES, streams::CASES, hpack::CASES].into_iter().flatten()
}
