//! Publisher deduplication: which messages a queue or an exchange has seen lately, by a header's value.
//!
//! A window by size and by time: `x-cache-size` entries at most, each for `x-cache-ttl` milliseconds at most.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The window of who names no size.
pub const WINDOW_ENTRIES: usize = 10_000;
/// Entries of a window at most.
pub const WINDOW_ENTRIES_MAX: usize = 1_000_000;
/// Of longer identifiers so many bytes count.
pub const ID_BYTES_MAX: usize = 255;

/// The window.
#[derive(Debug)]
pub struct Window {
    entries_max: usize,
    ttl_ms: Option<u64>,
    seen: HashMap<Arc<[u8]>, u64>,
    order: VecDeque<(Arc<[u8]>, u64)>,
}

impl Window {
    /// An empty one.
    pub fn new(entries_max: usize, ttl_ms: Option<u64>) -> Self {
        let entries_max = entries_max.clamp(1, WINDOW_ENTRIES_MAX);
        Self { entries_max, ttl_ms, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether this one was seen within the window; if not, it now has been. `ttl_ms` is the message's own limit.
    pub fn is_repeated(&mut self, id: &[u8], ttl_ms: Option<u64>, now_ms: u64) -> bool {
        self.forget_old(now_ms);
        let id = id.get(..ID_BYTES_MAX).unwrap_or(id);
        if self.seen.get(id).is_some_and(|until| *until > now_ms) {
            return true;
        }
        let until = ttl_ms.or(self.ttl_ms).map_or(u64::MAX, |ttl| now_ms.saturating_add(ttl));
        let id: Arc<[u8]> = id.into();
        self.seen.insert(Arc::clone(&id), until);
        self.order.push_back((id, until));
        while self.seen.len() > self.entries_max || self.order.len() > self.entries_max.saturating_mul(2) {
            self.forget_first();
        }
        false
    }

    /// Forgets one, so that it may be published again.
    pub fn forget(&mut self, id: &[u8]) {
        self.seen.remove(id.get(..ID_BYTES_MAX).unwrap_or(id));
    }

    /// Entries that count.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget_old(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(_, until)| *until <= now_ms) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((id, until)) = self.order.pop_front()
            && self.seen.get(&id) == Some(&until)
        {
            self.seen.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_repeated_until_its_time_is_over() {
        let mut window = Window::new(10, Some(100));
        assert!(!window.is_repeated(b"a", None, 0));
        assert!(window.is_repeated(b"a", None, 99));
        assert!(!window.is_repeated(b"a", None, 100));
        assert!(!window.is_repeated(b"b", Some(5), 100));
        assert!(!window.is_repeated(b"b", None, 106));
    }

    #[test]
    fn the_oldest_is_forgotten_when_the_window_is_full() {
        let mut window = Window::new(2, None);
        for id in [b"a", b"b", b"c"] {
            assert!(!window.is_repeated(id, None, 0));
        }
        assert!(window.is_repeated(b"c", None, 0));
        assert!(!window.is_repeated(b"a", None, 0));
        assert_eq!(window.len(), 2);
    }
}
