//! How long the kernel's queue of a listener may be. Whoever has gone while he waited costs about as much as a call: he
//! is taken out, looked at and closed. Where most have gone, a shorter queue holds as many who can still be served, and
//! the kernel refuses the others for next to nothing. Pure: it is told what was found, and when.
//!
//! ```text
//!   found: most of WINDOW had gone               ──▶ half as long, at least SHORTEST
//!   found: next to none had gone; nobody waits   ──▶ twice as long, at most FULL
//! ```
//! Once each REST: what is found until then came to the queue as it was before. A queue that is long because many come at
//! once is left alone: as long as they wait, all are served.

use std::time::Duration;

use crate::clock;

/// Where it begins, and where it ends up when all is well.
pub(super) const FULL: i32 = weft_runtime::listen::BACKLOG;
/// As many as are let in together, twice.
const SHORTEST: i32 = 32;
/// So many are looked at before it is judged.
const WINDOW: u32 = 16;
/// Of those looked at, so many may have gone in a queue that serves its clients.
const STRAY: u32 = 2;
/// Between two changes.
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
        let gone = self.gone;
        (self.found, self.gone) = (0, 0);
        match gone {
            ..=STRAY => self.change(self.length * 2, now),
            gone if gone > WINDOW / 2 => self.change(self.length / 2, now),
            _ => None,
        }
    }

    /// Nobody waits. Says how long the queue is to be, if that changed.
    pub(super) fn empty(&mut self, now: u64) -> Option<i32> {
        (self.found, self.gone) = (0, 0);
        self.change(self.length * 2, now)
    }

    fn change(&mut self, length: i32, now: u64) -> Option<i32> {
        let length = length.clamp(SHORTEST, FULL);
        if length == self.length || now < clock::later(self.changed_at, REST) {
            return None;
        }
        (self.length, self.changed_at) = (length, now);
        Some(length)
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
        assert!(window(&mut backlog, WINDOW / 2, after(1)).is_empty(), "as many are still there");
        let lengths: Vec<_> =
            (1..9).flat_map(|times| window(&mut backlog, WINDOW / 2 + 1, after(times))).collect();
        assert_eq!(lengths, [512, 256, 128, 64, SHORTEST]);
    }

    #[test]
    fn those_who_came_before_it_was_cut_do_not_cut_it_again() {
        let mut backlog = Backlog::new();
        let lengths: Vec<_> = (0..64).flat_map(|_| window(&mut backlog, WINDOW, after(1))).collect();
        assert_eq!(lengths, [512]);
        assert!(window(&mut backlog, WINDOW, after(2) - 1).is_empty());
        assert_eq!(window(&mut backlog, WINDOW, after(2)), [256]);
    }

    #[test]
    fn it_grows_again_where_nobody_waits_or_nobody_has_gone_but_not_at_once() {
        let mut backlog = Backlog::new();
        assert_eq!(backlog.empty(after(9)), None, "it is as long as it may be");
        let mut times = 9;
        while backlog.length > SHORTEST {
            times += 1;
            window(&mut backlog, WINDOW, after(times));
        }
        assert_eq!(backlog.empty(after(times + 1) - 1), None);
        assert_eq!(backlog.empty(after(times + 1)), Some(2 * SHORTEST));
        assert_eq!(backlog.empty(after(times + 2) - 1), None);
        assert_eq!(window(&mut backlog, STRAY, after(times + 2)), [4 * SHORTEST]);
        assert!(window(&mut backlog, STRAY + 1, after(times + 3)).is_empty(), "some have gone");
        let lengths: Vec<_> = (3..9).filter_map(|more| backlog.empty(after(times + more))).collect();
        assert_eq!(lengths, [256, 512, FULL]);
        assert!(backlog.is_full());
    }

    #[test]
    fn what_was_found_before_nobody_waited_does_not_count() {
        let mut backlog = Backlog::new();
        (1..WINDOW).for_each(|_| assert_eq!(backlog.found(true, after(1)), None));
        backlog.empty(after(2));
        assert_eq!(backlog.found(true, after(2)), None);
    }
}
