//! The process's own time scale: what the shared cells of the table are counted in.

use std::{sync::OnceLock, time::Instant};

static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the process's epoch, which is the first call; never 0, so that 0 can mean `never`.
pub fn now() -> u64 {
    u64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

/// The same in whole milliseconds, wrapping after 49 days.
#[allow(clippy::cast_possible_truncation, reason = "the retry budget compares with wrap-around")]
pub fn now_ms() -> u32 {
    (now() / 1_000_000) as u32
}

/// The same in whole seconds.
pub fn now_secs() -> u32 {
    u32::try_from(now() / 1_000_000_000).unwrap_or(u32::MAX)
}
