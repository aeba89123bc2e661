//! Who listens to requests as they end (`/tap`): each subscriber has a filter and a short queue of lines. The thread
//! that writes records offers each one; a line that finds its queue full is dropped and counted, and the subscriber
//! is told how many it missed. With nobody listening a batch costs one load.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{AccessRecord, filter::Filter};

/// Who may listen at once.
pub(crate) const SUBSCRIBERS_MAX: usize = 8;
/// Lines that wait for one subscriber, at most.
const LINES_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    listening: AtomicUsize,
    subscribers: Mutex<Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    filter: Filter,
    lines: mpsc::Sender<Bytes>,
    dropped: u64,
}

impl Taps {
    /// Lines of JSON, each with its end; `None` = too many listen.
    pub(crate) fn subscribe(&self, filter: Filter) -> Option<mpsc::Receiver<Bytes>> {
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|subscriber| !subscriber.lines.is_closed());
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let (lines, waiting) = mpsc::channel(LINES_MAX);
        subscribers.push(Subscriber { filter, lines, dropped: 0 });
        self.listening.store(subscribers.len(), Relaxed);
        Some(waiting)
    }

    /// Whether anybody listens.
    pub(super) fn is_listened_to(&self) -> bool {
        self.listening.load(Relaxed) > 0
    }

    /// Offers a record, whose line is made when somebody wants it.
    pub(super) fn offer(&self, record: &AccessRecord, line: impl Fn() -> Bytes) {
        let mut made = None;
        let mut subscribers = self.subscribers.lock();
        subscribers.retain_mut(|subscriber| {
            let is_there = !subscriber.lines.is_closed();
            if is_there && subscriber.filter.wants(record) {
                subscriber.send(made.get_or_insert_with(&line));
            }
            is_there
        });
        self.listening.store(subscribers.len(), Relaxed);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.subscribers.lock().clear();
        self.listening.store(0, Relaxed);
    }
}

impl Subscriber {
    fn send(&mut self, line: &Bytes) {
        if self.dropped > 0 {
            let missed = Bytes::from(format!("{{\"dropped\":{}}}\n", self.dropped));
            if self.lines.try_send(missed).is_err() {
                self.dropped += 1;
                return;
            }
            self.dropped = 0;
        }
        if self.lines.try_send(line.clone()).is_err() {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::tests::record;

    #[test]
    fn a_slow_subscriber_misses_lines_and_is_told_how_many() {
        let taps = Taps::default();
        let mut lines = taps.subscribe(Filter::default()).unwrap();
        for _ in 0..LINES_MAX + 5 {
            taps.offer(&record(), || Bytes::from_static(b"{}\n"));
        }
        for _ in 0..LINES_MAX {
            assert_eq!(lines.try_recv().unwrap(), "{}\n");
        }
        taps.offer(&record(), || Bytes::from_static(b"{}\n"));
        assert_eq!(lines.try_recv().unwrap(), "{\"dropped\":5}\n");
        assert_eq!(lines.try_recv().unwrap(), "{}\n");
    }

    #[test]
    fn places_are_limited_and_free_again() {
        let taps = Taps::default();
        let mut lines: Vec<_> =
            (0..SUBSCRIBERS_MAX).map(|_| taps.subscribe(Filter::default()).unwrap()).collect();
        assert!(taps.subscribe(Filter::default()).is_none());
        lines.pop();
        assert!(taps.subscribe(Filter::default()).is_some());
        drop(lines);
        taps.offer(&record(), || panic!("nobody wants it"));
        assert!(!taps.is_listened_to());
    }
}
