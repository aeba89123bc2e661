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
/// Or after so long, whether or not anything was written.
const CHECKPOINT_WAIT_MAX: Duration = Duration::from_secs(30);
/// And not more often than this.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);
/// One that failed is tried again after this.
const CHECKPOINT_RETRY: Duration = Duration::from_secs(5);

/// What speaks for a checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CheckpointNeed {
    /// Bytes of the log since the last one.
    pub(super) bytes: u64,
    /// Segments wait for one to be removed.
    pub(super) segments_wait: bool,
    /// Publishers wait for room on the disk.
    pub(super) is_short_of_space: bool,
}

/// When a checkpoint is written.
///
/// ```text
///  [rested since] ──begun──▶ [running] ──done──▶ [rested since]
///                             ▲     └──failed──▶ [failed at] ──after a pause─┐
///                             └──────────────────────────────────────────────┘
/// ```
#[derive(Debug)]
pub(super) enum CheckpointPolicy {
    /// The last one, or the start.
    Rested(Instant),
    /// One is being written.
    Running,
    /// The last one is missing: all that spoke for it still does.
    Failed(Instant),
}

impl CheckpointPolicy {
    /// From the start on.
    pub(super) fn new(now: Instant) -> Self {
        Self::Rested(now)
    }

    /// Whether it is time.
    pub(super) fn is_due(&self, need: CheckpointNeed, now: Instant) -> bool {
        let CheckpointNeed { bytes, segments_wait, is_short_of_space } = need;
        match self {
            Self::Running => false,
            Self::Failed(at) => now.duration_since(*at) >= CHECKPOINT_RETRY,
            Self::Rested(since) => {
                let rested = now.duration_since(*since);
                let waited = is_short_of_space || rested >= CHECKPOINT_WAIT_MAX;
                let wanted = segments_wait && (bytes >= CHECKPOINT_BYTES_WANTED || waited);
                rested >= CHECKPOINT_PAUSE && (bytes >= CHECKPOINT_BYTES || wanted)
            }
        }
    }

    pub(super) fn begun(&mut self) {
        *self = Self::Running;
    }

    pub(super) fn done(&mut self, now: Instant) {
        *self = Self::Rested(now);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        *self = Self::Failed(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is due so long after the last one.
    fn is_due(need: CheckpointNeed, after: Duration) -> bool {
        let start = Instant::now();
        CheckpointPolicy::new(start).is_due(need, start + after)
    }

    #[test]
    fn segments_that_wait_get_one_with_time_and_at_once_where_space_is_short() {
        let need = CheckpointNeed { segments_wait: true, ..CheckpointNeed::default() };
        assert!(!is_due(need, CHECKPOINT_PAUSE), "nothing was written");
        assert!(is_due(need, CHECKPOINT_WAIT_MAX));
        assert!(is_due(CheckpointNeed { is_short_of_space: true, ..need }, CHECKPOINT_PAUSE));
        assert!(!is_due(CheckpointNeed::default(), CHECKPOINT_WAIT_MAX), "nothing waits");
    }

    #[test]
    fn one_that_failed_is_tried_again_after_a_pause() {
        let start = Instant::now();
        let mut policy = CheckpointPolicy::new(start);
        policy.begun();
        policy.failed(start);
        let need = CheckpointNeed::default();
        assert!(!policy.is_due(need, start));
        assert!(policy.is_due(need, start + CHECKPOINT_RETRY));
    }
}
