//! How long the kernel's queue of a listener may be. Whoever has gone while he waited costs about as much as a call: he
//! is taken out, looked at and closed. Where most have gone, a shorter queue holds as many who can still be served, and
//! the kernel refuses the others for next to nothing. Pure: it is told what was found, and when.
//!
//! ```text
//!   found: most of WINDOW had gone ──▶ half as long, at least SHORTEST
//!   empty: not shortened for REST  ──▶ twice as long, at most FULL, once each REST
//! ```
//! A queue that is long because many come at once is left alone: as long as they wait, all are served.

use std::time::Duration;

use crate::clock;

/// Where it begins, and where it ends up when all is well.
pub(super) const FULL: i32 = weft_runtime::listen::BACKLOG;
/// As many as are let in together, twice.
const SHORTEST: i32 = 32;
/// So many are looked at before it is judged.
const WINDOW: u32 = 16;
/// Between changes to more.
pub(super) const REST: Duration = Duration::from_millis(100);

/// Of one listener.
#[derive(Debug)]
pub(super) struct Backlog {
    length: i32,
    found: u32,
    gone: u32,
    changed_at: u64,
}

impl Backlog {
    pub(super) const fn new() -> Self {
        Self { length: FULL, found: 0, gone: 0, changed_at: 0 }
    }

    /// Whether it is as long as it may be.
    pub(super) const fn is_full(&self) -> bool {
        self.length == FULL
    }

    /// One who had waited was looked at. Says how long the queue is to be, if that changed.
    pub(super) fn found(&mut self, had_gone: bool, now: u64) -> Option<i32> {
        self.found += 1;
        self.gone += u32::from(had_gone);
        if self.found < WINDOW {
            return None;
        }
        let most_had_gone = self.gone > self.found / 2;
        (self.found, self.gone) = (0, 0);
        most_had_gone.then(|| self.change(self.length / 2, now)).flatten()
    }

    /// Nobody waits. Says how long the queue is to be, if that changed.
    pub(super) fn empty(&mut self, now: u64) -> Option<i32> {
        if self.is_full() || now < clock::later(self.changed_at, REST) {
            return None;
        }
        self.change(self.length * 2, now)
    }

    fn change(&mut self, length: i32, now: u64) -> Option<i32> {
        let length = length.clamp(SHORTEST, FULL);
        self.changed_at = now;
        (std::mem::replace(&mut self.length, length) != length).then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(backlog: &mut Backlog, gone: u32, now: u64) -> Vec<i32> {
        (0..WINDOW).filter_map(|at| backlog.found(at < gone, now)).collect()
    }

    fn after(times: u32) -> u64 {
        clock::later(1, times * REST)
    }

    #[test]
    fn where_most_have_gone_it_is_halved_down_to_the_shortest() {
        let mut backlog = Backlog::new();
        assert!(window(&mut backlog, WINDOW / 2, 1).is_empty(), "as many are still there");
        let lengths: Vec<_> = (0..8).flat_map(|_| window(&mut backlog, WINDOW / 2 + 1, 1)).collect();
        assert_eq!(lengths, [512, 256, 128, 64, SHORTEST]);
    }

    #[test]
    fn where_nobody_waits_it_grows_again_but_not_at_once() {
        let mut backlog = Backlog::new();
        assert_eq!(backlog.empty(after(9)), None, "it is as long as it may be");
        while backlog.length > SHORTEST {
            window(&mut backlog, WINDOW, 1);
        }
        assert_eq!(backlog.empty(after(1) - 1), None);
        assert_eq!(backlog.empty(after(1)), Some(2 * SHORTEST));
        assert_eq!(backlog.empty(after(2) - 1), None);
        let lengths: Vec<_> = (2..9).filter_map(|times| backlog.empty(after(times))).collect();
        assert_eq!(lengths, [128, 256, 512, FULL]);
        assert!(backlog.is_full());
    }
}
