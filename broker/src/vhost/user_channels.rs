//! The channels that a user has open over all its connections, in whichever virtual hosts they are. The one count that
//! threads of virtual hosts share: touched when channels open and close, and by no message.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts the channels of one user; copies share the count.
#[derive(Debug, Clone, Default)]
pub struct UserChannels(Arc<AtomicU64>);

impl UserChannels {
    /// One more, until what is returned is dropped; and how many there were before it.
    pub(super) fn open(&self) -> (OpenChannel, u64) {
        let before = self.0.fetch_add(1, Relaxed);
        (OpenChannel(Arc::clone(&self.0)), before)
    }
}

/// A channel that counts.
#[derive(Debug)]
pub(super) struct OpenChannel(Arc<AtomicU64>);

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
