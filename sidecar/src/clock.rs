//! The process's own time scale: what the shared cells of the table are counted in.

use std::{sync::OnceLock, time::Duration};

// In unit tests time goes by tokio's clock, so that a test can hold it still.
#[cfg(not(test))]
use std::time::Instant;
#[cfg(test)]
use tokio::time::Instant;

static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the process's epoch, which is the first call; never 0, so that 0 can mean `never`.
pub fn now() -> u64 {
    u64::try_from(epoch().elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

/// The time that is so long from now.
pub fn after(time: Duration) -> u64 {
    later(now(), time)
}

/// The time that is so long from `now`.
pub fn later(now: u64, time: Duration) -> u64 {
    now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// A time of [`now`] in whole milliseconds, wrapping after 49 days.
#[allow(clippy::cast_possible_truncation, reason = "the retry budget compares with wrap-around")]
pub const fn ms(nanos: u64) -> u32 {
    (nanos / 1_000_000) as u32
}

/// A time of [`now`] in whole seconds.
pub fn secs(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(not(test))]
fn epoch() -> Instant {
    *EPOCH.get_or_init(Instant::now)
}

#[cfg(test)]
fn epoch() -> Instant {
    crate::tests::simulation::epoch().unwrap_or_else(|| *EPOCH.get_or_init(Instant::now))
}
