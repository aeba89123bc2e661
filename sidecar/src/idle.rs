//! Exchanges whose bodies stand still: no byte either way for too long once the response head is there. One coarse
//! clock a thread looks at all of them; a frame that passes sets a flag and reads no clock. Where no idle timeout is
//! set, nothing of this runs.
//!
//! ```text
//!  response head ─▶ watched ──each TICK: did a byte pass?──┬─ yes ─▶ its time begins anew
//!                                                          └─ no, for the timeout ─▶ over: the body is woken and ends
//! ```
//! A body that its caller does not read is not asked for its next frame, so it ends when it is.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::Waker,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::body::Meter;

/// How often the bodies are looked at: an idle timeout is at most so much late.
const TICK: Duration = Duration::from_millis(100);

/// The bodies of one thread that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: RefCell<Vec<Weak<Watch>>>,
    is_ticking: Cell<bool>,
}

/// One exchange.
#[derive(Debug)]
pub(crate) struct Watch {
    timeout: Duration,
    /// The request's bytes, and how many of them the last look saw.
    received: Meter,
    received_before: Cell<u64>,
    has_moved: Cell<bool>,
    moved_at: Cell<Instant>,
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watches {
    /// Watches an exchange from now on, until what is returned is dropped.
    pub(crate) fn watch(self: &Rc<Self>, timeout: Duration, received: Meter) -> Rc<Watch> {
        let watch = Rc::new(Watch {
            timeout,
            received_before: Cell::new(received.get()),
            received,
            has_moved: Cell::new(false),
            moved_at: Cell::new(Instant::now()),
            is_over: Cell::new(false),
            waker: RefCell::default(),
        });
        self.open.borrow_mut().push(Rc::downgrade(&watch));
        if !self.is_ticking.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).tick());
        }
        watch
    }

    async fn tick(self: Rc<Self>) {
        while !self.open.borrow().is_empty() {
            sleep(TICK).await;
            let now = Instant::now();
            self.open.borrow_mut().retain(|watch| watch.upgrade().is_some_and(|watch| watch.look(now)));
        }
        self.is_ticking.set(false);
    }
}

impl Watch {
    /// A frame of the response has passed.
    pub(crate) fn moved(&self) {
        self.has_moved.set(true);
    }

    /// Nothing came for too long.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Who waits for the next frame hears of the end.
    pub(crate) fn wakes(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        match &mut *known {
            Some(known) => known.clone_from(waker),
            None => *known = Some(waker.clone()),
        }
    }

    /// Whether it is still to be watched.
    fn look(&self, now: Instant) -> bool {
        let received = self.received.get();
        if self.has_moved.replace(false) || self.received_before.replace(received) != received {
            self.moved_at.set(now);
        }
        if now.duration_since(self.moved_at.get()) < self.timeout {
            return true;
        }
        self.is_over.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_either_way_goes_on_and_one_that_stands_still_is_over() {
        let watches = Rc::new(Watches::default());
        LocalSet::new()
            .run_until(async {
                let received = Meter::new(None);
                let up = watches.watch(SECOND, received.clone());
                let down = watches.watch(SECOND, Meter::new(None));
                let still = watches.watch(SECOND, Meter::new(None));
                for _ in 0..20 {
                    sleep(SECOND / 4).await;
                    received.add(1);
                    down.moved();
                }
                assert_eq!((up.is_over(), down.is_over(), still.is_over()), (false, false, true));
                sleep(SECOND * 2).await;
                assert!(up.is_over() && down.is_over());
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stops_when_nothing_is_watched_and_starts_again() {
        let watches = Rc::new(Watches::default());
        LocalSet::new()
            .run_until(async {
                drop(watches.watch(SECOND, Meter::new(None)));
                sleep(SECOND).await;
                assert!(!watches.is_ticking.get());
                let again = watches.watch(SECOND, Meter::new(None));
                sleep(SECOND * 2).await;
                assert!(again.is_over());
            })
            .await;
    }
}
