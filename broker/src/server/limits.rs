//! What the server allows itself, by name.

use std::time::{Duration, Instant};

/// Connections at most, where the system grants the descriptors.
pub const CONNECTIONS_MAX: usize = 65_536;
/// How long a client may take to log in: RabbitMQ's `handshake_timeout`.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client that was closed may take to say so, too.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the log after which a checkpoint is written: a start reads so much at most.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;
/// Where segments wait for one, it is written after so much.
const CHECKPOINT_BYTES_WANTED: u64 = 8 * 1024 * 1024;
/// And not more often than this.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// When a checkpoint is written.
#[derive(Debug, Default)]
pub(super) struct CheckpointPolicy {
    running: bool,
    last: Option<Instant>,
}

impl CheckpointPolicy {
    /// Whether it is time, after so many bytes, and where segments wait for it.
    pub(super) fn is_due(&self, bytes: u64, wanted: bool) -> bool {
        let rested = self.last.is_none_or(|last| last.elapsed() >= CHECKPOINT_PAUSE);
        let enough = bytes >= CHECKPOINT_BYTES || (wanted && bytes >= CHECKPOINT_BYTES_WANTED);
        !self.running && rested && enough
    }

    pub(super) fn begun(&mut self) {
        self.running = true;
    }

    pub(super) fn done(&mut self) {
        self.running = false;
        self.last = Some(Instant::now());
    }
}
