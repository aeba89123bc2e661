//! Paces publishers and counts what consumers have: in a closed loop by a window of publishes that are not yet
//! delivered, at a fixed rate by a schedule, whose times travel in the bodies so that a stall cannot hide.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::{
    brokers::case::{Case, Pace},
    load::{Schedule, Tally},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) case: Case,
    pub(super) tally: Tally,
    pub(super) schedule: Option<Schedule>,
    /// Times in bodies count from here, in nanoseconds.
    base: Instant,
    body: Bytes,
    /// Deliveries that publishes will come to, less those that have come.
    under_way: Cell<u64>,
    /// Of deliveries.
    window: u64,
    room: Notify,
}

impl Flow {
    pub(super) fn new(case: &Case) -> anyhow::Result<Self> {
        let (rate, count) = match case.pace {
            Pace::Closed => (None, None),
            Pace::Rate(rate) => (Some(rate), None),
            Pace::Backlog(count) => (None, Some(count)),
        };
        Ok(Self {
            case: *case,
            tally: Tally::new(count)?,
            schedule: rate.map(Schedule::new).transpose()?,
            base: Instant::now(),
            body: Bytes::from(vec![b'x'; case.body]),
            under_way: Cell::new(0),
            window: if count.is_some() { u64::MAX } else { case.window() * case.copies() },
            room: Notify::new(),
        })
    }

    /// Waits until a message is to be published; its body, and those of more that may be published with it.
    pub(super) async fn next(&self, messages_max: usize) -> Vec<Bytes> {
        let first = loop {
            if let Some(body) = self.try_next() {
                break body;
            }
            match &self.schedule {
                Some(schedule) => break self.stamped(schedule.next().await),
                None => self.room.notified().await,
            }
        };
        let mut bodies = vec![first];
        bodies.extend(std::iter::from_fn(|| self.try_next()).take(messages_max.saturating_sub(1)));
        bodies
    }

    /// The body of a message that may be published now.
    fn try_next(&self) -> Option<Bytes> {
        if let Some(schedule) = &self.schedule {
            return Some(self.stamped(schedule.try_next()?));
        }
        let under_way = self.under_way.get() + self.case.copies();
        if under_way > self.window {
            return None;
        }
        self.under_way.set(under_way);
        Some(self.body.clone())
    }

    /// A body has come, and is acknowledged where that is asked for.
    pub(super) fn delivered(&self, body: &[u8]) {
        let due = self.schedule.as_ref().and_then(|_| self.due(body));
        self.under_way.set(self.under_way.get().saturating_sub(1));
        self.tally.done(due);
        if self.under_way.get() < self.window {
            self.room.notify_one();
        }
    }

    /// Makes messages due, for ever.
    pub(super) async fn run_schedule(&self) {
        let Some(schedule) = &self.schedule else { return };
        if let Err(error) = schedule.run().await {
            self.tally.fail(&error);
        }
    }

    fn stamped(&self, due: Instant) -> Bytes {
        let nanos = u64::try_from(due.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX);
        let mut body = BytesMut::from(&*self.body);
        for (place, byte) in body.iter_mut().zip(nanos.to_be_bytes()) {
            *place = byte;
        }
        body.freeze()
    }

    fn due(&self, body: &[u8]) -> Option<Instant> {
        let nanos = u64::from_be_bytes(*body.first_chunk()?);
        self.base.checked_add(Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn the_time_of_a_body_comes_back() {
        let flow = Flow::new(&Case::named("rate").unwrap()).unwrap();
        let due = flow.base + Duration::from_micros(1_234_567);
        let body = flow.stamped(due);
        assert_eq!(body.len(), flow.case.body);
        assert_eq!(flow.due(&body), Some(due));
    }

    #[test]
    fn a_full_window_waits_for_all_copies_of_a_message() {
        let flow = Flow::new(&Case::named("fanout-10").unwrap()).unwrap();
        let messages = || {
            let mut context = Context::from_waker(Waker::noop());
            match std::pin::pin!(flow.next(usize::MAX)).as_mut().poll(&mut context) {
                Poll::Ready(bodies) => bodies.len(),
                Poll::Pending => 0,
            }
        };
        assert_eq!(messages(), 100);
        assert_eq!(messages(), 0);
        // A message is under way until all of its copies have come.
        for _ in 0..flow.case.copies() {
            assert_eq!(messages(), 0);
            flow.delivered(b"");
        }
        assert_eq!(messages(), 1);
        assert_eq!(messages(), 0);
    }
}
