//! Whether a data thread keeps up with what its clients ask. Measured by its *turn*: how long something that is ready
//! waits until all others that were ready before it have been served, and how much of that time the thread worked. It
//! knows nothing of what they are.
//!
//! ```text
//!         long turns only, for LASTS
//!   keeps up ────────────▶ pressed: a pause before each accept, a short queue of those to be accepted;
//!      ▲                      │     requests of clients that have gone are dropped unserved
//!      └─── none for HOLD ────┘
//! ```
//! Nothing is answered `overloaded` for this: a refusal costs a third of a call, and at four times the load would leave
//! nothing for the calls. Connections that are not accepted cost nothing, those that are there are served in time, and
//! who waited in vain goes without having been worked for.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use parking_lot::Mutex;

use crate::clock;

/// A turn as long as this is no burst any more, and well below what clients wait for.
const TURN_MAX: Duration = Duration::from_millis(100);
/// What a thread has worked in a turn that is called long: with less, it was others that had the core.
const WORK_MIN: Duration = Duration::from_millis(5);
/// Long turns that follow each other for so long are no stall of the machine.
const LASTS: Duration = Duration::from_millis(500);
/// How long a thread counts as pressed after the last long turn: what was asked then may be served now.
const HOLD: Duration = Duration::from_secs(5);
/// The longest pause before an accept: somebody new is heard in the end, whatever the load.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Of one thread. Atomic because a connection that changes protocols must be `Send`; only that thread looks.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    is_high: AtomicBool,
    gauge: Mutex<Gauge>,
}

/// What everybody who was ready had to wait for.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// From its begin to its end.
    time: Duration,
    /// What the thread had of a core in it.
    work: Duration,
}

/// The pure part.
#[derive(Debug, Default)]
struct Gauge {
    /// Since when all turns were long, in the clock's nanoseconds.
    long_since: Option<u64>,
    /// When the thread was pressed last, likewise.
    pressed_at: Option<u64>,
}

impl Pressure {
    /// Whether clients who have gone need not be served.
    pub(crate) fn is_high(&self) -> bool {
        self.is_high.load(Relaxed)
    }

    /// Lets everybody else have their turn, and takes its time; how long to pause before more work is let in.
    pub(crate) async fn take_turn(&self) -> Duration {
        let (before, worked_before) = (clock::now(), worked());
        tokio::task::yield_now().await;
        let now = clock::now();
        let turn = Turn {
            time: Duration::from_nanos(now.saturating_sub(before)),
            work: worked().saturating_sub(worked_before),
        };
        let is_high = self.gauge.lock().observe(turn, now);
        if is_high != self.is_high.swap(is_high, Relaxed) {
            match is_high {
                true => tracing::warn!(?turn, "data thread does not keep up, new connections wait"),
                false => tracing::info!("data thread keeps up again"),
            }
        }
        if is_high { turn.pause() } else { Duration::ZERO }
    }
}

impl Gauge {
    fn observe(&mut self, turn: Turn, now: u64) -> bool {
        let since = |at: u64| Duration::from_nanos(now.saturating_sub(at));
        self.pressed_at = self.pressed_at.filter(|at| since(*at) < HOLD);
        if !turn.is_long() {
            self.long_since = None;
        } else if self.pressed_at.is_some() || since(*self.long_since.get_or_insert(now)) >= LASTS {
            self.pressed_at = Some(now);
        }
        self.pressed_at.is_some()
    }
}

impl Turn {
    fn is_long(self) -> bool {
        self.time >= TURN_MAX && self.work >= WORK_MIN
    }

    /// As long as those who are here had to wait.
    fn pause(self) -> Duration {
        if self.is_long() { self.time.min(PAUSE_MAX) } else { Duration::ZERO }
    }
}

/// The time of a core that this thread has had so far.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(time: Duration) -> Turn {
        Turn { time, work: WORK_MIN }
    }

    #[test]
    fn long_turns_press_when_they_last_and_for_a_while_after() {
        let (mut gauge, ms) = (Gauge::default(), 1_000_000);
        assert!(!gauge.observe(turn(TURN_MAX), 1_000 * ms), "a stall");
        assert!(!gauge.observe(turn(TURN_MAX / 2), 1_400 * ms));
        assert!(!gauge.observe(turn(TURN_MAX), 1_600 * ms), "another one");
        assert!(!gauge.observe(turn(TURN_MAX), 1_900 * ms));
        assert!(gauge.observe(turn(TURN_MAX), 2_100 * ms));
        assert!(gauge.observe(turn(Duration::ZERO), 6_000 * ms));
        assert!(gauge.observe(turn(TURN_MAX), 7_000 * ms), "pressed already");
        assert!(!gauge.observe(turn(Duration::ZERO), 12_000 * ms));
    }

    #[test]
    fn a_thread_that_others_kept_from_its_core_is_not_pressed() {
        let waited = Turn { time: 10 * TURN_MAX, work: WORK_MIN / 2 };
        assert!(!Gauge::default().observe(waited, 0));
        assert_eq!(waited.pause(), Duration::ZERO);
    }

    #[test]
    fn who_is_here_goes_first_and_who_is_new_is_heard_in_the_end() {
        assert_eq!(turn(TURN_MAX / 2).pause(), Duration::ZERO);
        assert_eq!(turn(TURN_MAX).pause(), TURN_MAX.min(PAUSE_MAX));
        assert_eq!(turn(Duration::from_secs(60)).pause(), PAUSE_MAX);
    }

    #[tokio::test]
    async fn an_idle_thread_does_not_pause() {
        let pressure = Pressure::default();
        assert_eq!(pressure.take_turn().await, Duration::ZERO);
        assert!(!pressure.is_high());
    }
}
