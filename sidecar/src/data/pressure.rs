//! Whether a data thread keeps up with what its clients ask. Measured by its *turn*: how long something that is ready
//! waits until all others that were ready before it have been served, and how much of that time the thread worked. It
//! knows nothing of what they are.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::clock;

/// A turn as long as this is no burst any more. A call takes some four turns: together they are well below what
/// clients wait for.
const TURN_MAX: Duration = Duration::from_millis(40);
/// What a thread has worked in a turn that is called long: with less, it was others that had the core.
const WORK_MIN: Duration = Duration::from_millis(2);
/// Somebody new is let in after so long, whatever the load.
const WAIT_MAX_NANOS: u64 = 1_000_000_000;

/// What everybody who was ready had to wait for.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// From its begin to its end.
    time: Duration,
    /// What the thread had of a core in it.
    work: Duration,
}

/// Whether those who are here are served in time, so that there is room for somebody new. Takes as long as they do.
pub(super) async fn has_room() -> bool {
    !Turn::take().await.is_long()
}

/// Waits until there is room, for [`WAIT_MAX_NANOS`] at most, and does this after each turn until then.
pub(super) async fn wait_for_room(mut meanwhile: impl FnMut()) {
    let since = clock::now();
    while !has_room().await && clock::now().saturating_sub(since) < WAIT_MAX_NANOS {
        meanwhile();
    }
}

impl Turn {
    /// Lets everybody else have their turn.
    async fn take() -> Self {
        let (before, worked_before) = (clock::now(), worked());
        tokio::task::yield_now().await;
        let time = Duration::from_nanos(clock::now().saturating_sub(before));
        Self { time, work: worked().saturating_sub(worked_before) }
    }

    fn is_long(self) -> bool {
        self.time >= TURN_MAX && self.work >= WORK_MIN
    }
}

/// The time of a core that this thread has had so far.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_others_kept_from_its_core_has_room() {
        let is_long = |time, work| Turn { time, work }.is_long();
        assert!(is_long(TURN_MAX, WORK_MIN));
        assert!(!is_long(10 * TURN_MAX, WORK_MIN / 2));
        assert!(!is_long(TURN_MAX / 2, TURN_MAX / 2));
    }

    #[tokio::test]
    async fn an_idle_thread_has_room() {
        assert!(has_room().await);
        wait_for_room(|| unreachable!("there is room")).await;
    }

    #[tokio::test]
    async fn work_that_others_have_to_wait_for_leaves_no_room() {
        let busy = tokio::spawn(async {
            let since = clock::now();
            while clock::now() - since < 2 * u64::try_from(TURN_MAX.as_nanos()).unwrap_or_default() {}
        });
        assert!(!has_room().await);
        busy.await.unwrap();
        assert!(has_room().await);
    }
}
