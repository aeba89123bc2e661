//! Publisher deduplication: which messages a queue has taken lately, by a header's value. Pure.
//!
//! A window by size and by time: `x-cache-size` entries at most, each for `x-cache-ttl` milliseconds at most. Entries that
//! the log keeps have a number there; when the window lets go of one, so must the log ([`Window::take_forgotten`]).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::log::position::Position;

/// Of longer identifiers so many bytes count.
pub const ID_BYTES_MAX: usize = 255;

/// One message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The header's value, or its beginning.
    pub id: Arc<[u8]>,
    /// Until when it counts, milliseconds since 1970.
    pub until_ms: u64,
    /// The message is safe when all before this is.
    pub safe_at: Position,
    /// Whether the log has it.
    pub is_written: bool,
}

/// The window.
#[derive(Debug)]
pub struct Window {
    entries_max: usize,
    ttl_ms: Option<u64>,
    next_number: u64,
    numbers: HashMap<Arc<[u8]>, u64>,
    /// The oldest first; their numbers rise.
    entries: VecDeque<(u64, Taken)>,
    forgotten: Vec<u64>,
}

impl Window {
    /// An empty one.
    pub fn new(entries_max: usize, ttl_ms: Option<u64>) -> Self {
        Self {
            entries_max: entries_max.max(1),
            ttl_ms,
            next_number: 1,
            numbers: HashMap::new(),
            entries: VecDeque::new(),
            forgotten: Vec::new(),
        }
    }

    /// Whether this one was taken within the window; and when the one that was is safe.
    pub fn find(&self, id: &[u8], now_ms: u64) -> Option<Position> {
        let number = self.numbers.get(cut(id))?;
        let at = self.entries.binary_search_by_key(number, |(number, _)| *number).ok()?;
        let (_, taken) = self.entries.get(at)?;
        (taken.until_ms > now_ms).then_some(taken.safe_at)
    }

    /// Until when one that is taken now counts; `ttl_ms` is the message's own wish.
    pub fn until_ms(&self, ttl_ms: Option<u64>, now_ms: u64) -> u64 {
        ttl_ms.or(self.ttl_ms).map_or(u64::MAX, |ttl| now_ms.saturating_add(ttl))
    }

    /// Remembers one that was taken; its number.
    pub fn remember(&mut self, id: &[u8], taken: (u64, Position), is_written: bool, now_ms: u64) -> u64 {
        let (until_ms, safe_at) = taken;
        let number = self.next_number;
        self.push(number, Taken { id: cut(id).into(), until_ms, safe_at, is_written });
        self.make_room(now_ms);
        number
    }

    /// Puts back what the log kept, in the order of the numbers.
    pub fn restore(&mut self, number: u64, id: &[u8], until_ms: u64, now_ms: u64) {
        let safe_at = Position::default();
        self.push(number, Taken { id: cut(id).into(), until_ms, safe_at, is_written: true });
        self.make_room(now_ms);
    }

    /// Numbers of what the log may forget.
    pub fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    /// All, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Taken)> {
        self.entries.iter().map(|(number, taken)| (*number, taken))
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn push(&mut self, number: u64, taken: Taken) {
        self.next_number = number + 1;
        self.numbers.insert(Arc::clone(&taken.id), number);
        self.entries.push_back((number, taken));
    }

    /// Forgets what is over, as far as it is the oldest, and what is too much.
    fn make_room(&mut self, now_ms: u64) {
        while let Some((number, taken)) = self.entries.front() {
            if taken.until_ms > now_ms && self.entries.len() <= self.entries_max {
                break;
            }
            if self.numbers.get(&taken.id) == Some(number) {
                self.numbers.remove(&taken.id);
            }
            if taken.is_written {
                self.forgotten.push(*number);
            }
            self.entries.pop_front();
        }
    }
}

fn cut(id: &[u8]) -> &[u8] {
    id.get(..ID_BYTES_MAX).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(window: &mut Window, id: &[u8], ttl_ms: Option<u64>, now_ms: u64) {
        let until_ms = window.until_ms(ttl_ms, now_ms);
        window.remember(id, (until_ms, Position::from_raw(now_ms)), true, now_ms);
    }

    #[test]
    fn a_second_one_is_found_until_its_time_is_over() {
        let mut window = Window::new(10, Some(100));
        assert_eq!(window.find(b"a", 0), None);
        take(&mut window, b"a", None, 7);
        assert_eq!(window.find(b"a", 106), Some(Position::from_raw(7)));
        assert_eq!(window.find(b"a", 107), None);
        take(&mut window, b"b", Some(5), 107);
        assert_eq!(window.find(b"b", 111), Some(Position::from_raw(107)));
        assert_eq!(window.find(b"b", 112), None);
        assert_eq!(window.take_forgotten(), [1]);
    }

    #[test]
    fn the_oldest_is_forgotten_when_the_window_is_full() {
        let mut window = Window::new(2, None);
        for id in [b"a", b"b", b"c"] {
            take(&mut window, id, None, 0);
        }
        assert!(window.find(b"c", 0).is_some());
        assert_eq!(window.find(b"a", 0), None);
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn one_that_was_taken_again_stays_when_the_first_one_goes() {
        let mut window = Window::new(10, Some(10));
        take(&mut window, b"other", Some(1_000), 0);
        take(&mut window, b"a", None, 0);
        take(&mut window, b"a", None, 20);
        take(&mut window, b"x", None, 1_000);
        assert_eq!(window.find(b"a", 29), None, "all of that is over");
        let mut window = Window::new(2, None);
        for id in [b"a", b"a", b"b"] {
            take(&mut window, id, None, 0);
        }
        assert!(window.find(b"a", 0).is_some());
    }

    #[test]
    fn what_the_log_kept_counts_again() {
        let mut window = Window::new(2, None);
        window.restore(5, b"a", 100, 0);
        window.restore(9, b"b", 100, 0);
        take(&mut window, b"c", None, 0);
        assert_eq!(window.take_forgotten(), [5]);
        assert_eq!(window.iter().map(|(number, _)| number).collect::<Vec<_>>(), [9, 10]);
    }
}
