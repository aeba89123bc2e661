//! Calls of one thread that wait for their upstream, each with the time when its patience is over. A timer of its own
//! for each call would be made and taken away again without ever ringing; so one coarse clock looks at all of them, as
//! long as there are any, and wakes those that are due. The thread wakes all of them when an endpoint turned critical.
//!
//! ```text
//!  call ─▶ begin ─▶ waits ─┬─ answer: forgotten
//!                          ├─ each TICK: is it due? ── yes ─▶ over, woken
//!                          └─ an endpoint turned critical ─▶ woken, looks at its own
//! ```

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use crate::clock;

/// How late a call hears that its time is over, at most. Shorter patience than [`COARSE_MIN`] needs a timer.
const TICK: Duration = Duration::from_millis(25);
/// The shortest time that is left to the coarse clock: it is late by at most a twentieth.
pub(crate) const COARSE_MIN: Duration = Duration::from_millis(500);
/// Waits for ever, as far as the clock is concerned.
const NEVER: u64 = u64::MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    places: RefCell<Places>,
    is_ticking: Cell<bool>,
}

#[derive(Debug, Default)]
struct Places {
    calls: Vec<Place>,
    /// Empty places of `calls`.
    free: Vec<usize>,
}

#[derive(Debug)]
struct Place {
    /// None for a place that is empty, and for a call that was not polled yet.
    waker: Option<Waker>,
    due: u64,
    is_over: bool,
}

/// One call that waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wait {
    waiting: Rc<Waiting>,
    place: usize,
}

impl Waiting {
    /// Begins to wait; the time is over after `patience`, where there is one.
    pub(crate) fn begin(self: &Rc<Self>, patience: Option<Duration>) -> Wait {
        let due = patience.map_or(NEVER, clock::after);
        let mut places = self.places.borrow_mut();
        let place = places.free.pop().unwrap_or(places.calls.len());
        let call = Place { waker: None, due, is_over: false };
        match places.calls.get_mut(place) {
            Some(free) => *free = call,
            None => places.calls.push(call),
        }
        drop(places);
        if due != NEVER && !self.is_ticking.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).tick());
        }
        Wait { waiting: Rc::clone(self), place }
    }

    /// Wakes all of them.
    pub(crate) fn wake_all(&self) {
        self.places.borrow().calls.iter().filter_map(|call| call.waker.as_ref()).for_each(Waker::wake_by_ref);
    }

    async fn tick(self: Rc<Self>) {
        while self.look() {
            tokio::time::sleep(TICK).await;
        }
        self.is_ticking.set(false);
    }

    /// Wakes those that are due. `false` = none is there that ever will be.
    fn look(&self) -> bool {
        let now = clock::now();
        let mut has_more = false;
        for call in &mut self.places.borrow_mut().calls {
            has_more |= call.due != NEVER;
            if call.due <= now && !call.is_over {
                call.is_over = true;
                call.waker.iter().for_each(Waker::wake_by_ref);
            }
        }
        has_more
    }
}

impl Wait {
    /// Whether its time is over; else the task of `cx` is woken when it is.
    pub(crate) fn is_over(&self, cx: &Context<'_>) -> bool {
        let mut places = self.waiting.places.borrow_mut();
        let Some(call) = places.calls.get_mut(self.place) else { return false };
        match &mut call.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => call.waker = Some(cx.waker().clone()),
        }
        call.is_over
    }

    /// Waits for as long again from now on.
    pub(crate) fn renew(&self, patience: Duration) {
        if let Some(call) = self.waiting.places.borrow_mut().calls.get_mut(self.place) {
            call.due = clock::after(patience);
            call.is_over = false;
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut places = self.waiting.places.borrow_mut();
        if let Some(call) = places.calls.get_mut(self.place) {
            *call = Place { waker: None, due: NEVER, is_over: false };
        }
        if places.free.len() + 1 == places.calls.len() {
            // Nobody waits: what a burst needed goes with it.
            *places = Places::default();
        } else {
            places.free.push(self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use tokio::{task::LocalSet, time::Instant};

    use super::*;

    async fn over(wait: &Wait) {
        poll_fn(|cx| if wait.is_over(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_over_in_its_time_and_a_tick_late_at_most() {
        let waiting = Rc::new(Waiting::default());
        LocalSet::new()
            .run_until(async {
                let start = Instant::now();
                let (long, short) = (Duration::from_secs(3), Duration::from_secs(1));
                let (late, soon) = (waiting.begin(Some(long)), waiting.begin(Some(short)));
                over(&soon).await;
                assert!((short..=short + 2 * TICK).contains(&start.elapsed()), "{:?}", start.elapsed());
                soon.renew(short);
                over(&soon).await;
                assert!((2 * short..=2 * short + 4 * TICK).contains(&start.elapsed()));
                over(&late).await;
                assert!((long..=long + 2 * TICK).contains(&start.elapsed()));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stops_when_nobody_waits_and_starts_again() {
        let waiting = Rc::new(Waiting::default());
        LocalSet::new()
            .run_until(async {
                drop(waiting.begin(Some(COARSE_MIN)));
                tokio::time::sleep(2 * TICK).await;
                assert!(!waiting.is_ticking.get());
                let forever = waiting.begin(None);
                assert!(!waiting.is_ticking.get());
                let again = waiting.begin(Some(COARSE_MIN));
                over(&again).await;
                drop((forever, again));
                assert!(waiting.places.borrow().calls.is_empty());
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_woken_and_look_for_themselves() {
        let waiting = Rc::new(Waiting::default());
        LocalSet::new()
            .run_until(async {
                let wait = waiting.begin(None);
                let rung = Cell::new(false);
                let ring = async {
                    rung.set(true);
                    waiting.wake_all();
                };
                let waits = poll_fn(|cx| {
                    assert!(!wait.is_over(cx));
                    if rung.get() { Poll::Ready(()) } else { Poll::Pending }
                });
                tokio::join!(waits, ring);
            })
            .await;
    }
}
