//! The clocks of who serves; the rooms below are told the time.
//!
//! The time of day never steps back and never jumps, whatever is done to the machine's clock, for expiries and the
//! log's timers stand on it: it is that of the start and what has passed since. A machine's clock that is set forward is
//! followed slowly; one that is set back only by a restart.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// So much is made up for in one [`follow`], which comes once a second: time passes a tenth faster at most.
const FOLLOW_MS: u64 = 100;

static CLOCK: LazyLock<Clock> =
    LazyLock::new(|| Clock { start: Instant::now(), wall_ms: wall_ms(), ahead_ms: AtomicU64::new(0) });

struct Clock {
    start: Instant,
    /// The machine's time then.
    wall_ms: u64,
    /// How far the machine's clock was followed since.
    ahead_ms: AtomicU64,
}

impl Clock {
    fn passed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, passed_ms: u64) -> u64 {
        self.wall_ms.saturating_add(passed_ms).saturating_add(self.ahead_ms.load(Relaxed))
    }

    fn follow(&self, passed_ms: u64, wall_ms: u64) {
        let behind = wall_ms.saturating_sub(self.at(passed_ms));
        self.ahead_ms.fetch_add(behind.min(FOLLOW_MS), Relaxed);
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    CLOCK.at(CLOCK.passed_ms())
}

/// Goes after a machine's clock that is ahead. To be called once a second.
pub(super) fn follow() {
    CLOCK.follow(CLOCK.passed_ms(), wall_ms());
}

/// As the machine says.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock { start: Instant::now(), wall_ms: 1_000_000, ahead_ms: AtomicU64::new(0) }
    }

    #[test]
    fn a_clock_that_is_set_back_changes_nothing() {
        let clock = clock();
        clock.follow(5_000, 3);
        assert_eq!(clock.at(5_000), 1_005_000);
    }

    #[test]
    fn a_clock_that_is_set_forward_is_followed_slowly_and_not_overtaken() {
        let clock = clock();
        for (passed_ms, expected) in
            [(1_000, 1_001_100), (2_000, 1_002_200), (3_000, 1_003_250), (4_000, 1_004_250)]
        {
            clock.follow(passed_ms, 1_000_250 + passed_ms);
            assert_eq!(clock.at(passed_ms), expected);
        }
    }
}
