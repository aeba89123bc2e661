//! Which names are still dialled. It knows neither stream nor table: marks and a time in, idle names out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// A name that nobody dialled for so long is dropped.
pub(super) const IDLE_MAX: Duration = Duration::from_mins(10);

/// When each name was last dialled.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// From the configuration: never idle.
    fixed: BTreeSet<Arc<str>>,
    names: BTreeMap<Arc<str>, Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The service cell's mark when it was last looked at.
    mark: u32,
    used: Instant,
}

impl Usage {
    pub(super) fn new(fixed: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { fixed: fixed.into_iter().collect(), names: BTreeMap::new() }
    }

    pub(super) fn fixed(&self) -> impl Iterator<Item = &Arc<str>> {
        self.fixed.iter()
    }

    /// A name is dialled now, or new.
    pub(super) fn touch(&mut self, name: &Arc<str>, now: Instant) {
        if !self.fixed.contains(name) {
            self.names.entry(Arc::clone(name)).or_insert(Seen { mark: 0, used: now }).used = now;
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Looks at the marks (`None` where there is no table of the name) and returns what nobody dialled for
    /// [`IDLE_MAX`].
    pub(super) fn idle(&mut self, now: Instant, mark: impl Fn(&str) -> Option<u32>) -> Vec<Arc<str>> {
        let mut idle = Vec::new();
        for (name, seen) in &mut self.names {
            let mark = mark(name).unwrap_or(seen.mark);
            if mark != seen.mark {
                *seen = Seen { mark, used: now };
            } else if now.saturating_duration_since(seen.used) >= IDLE_MAX {
                idle.push(Arc::clone(name));
            }
        }
        idle
    }

    /// Of the names that `may_go` lets go, the one that was not dialled for longest.
    pub(super) fn oldest(&self, may_go: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        let candidates = self.names.iter().filter(|(name, _)| may_go(name));
        candidates.min_by_key(|(_, seen)| seen.used).map(|(name, _)| Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_idle_when_its_mark_has_stood_still_for_ten_minutes() {
        let (start, fixed, name) = (Instant::now(), Arc::from("fixed.default"), Arc::from("orders.default"));
        let mut usage = Usage::new([Arc::clone(&fixed)]);
        usage.touch(&name, start);
        usage.touch(&fixed, start);
        let half = start + IDLE_MAX / 2;
        assert!(usage.idle(half, |_| Some(7)).is_empty());
        assert!(usage.idle(start + IDLE_MAX, |_| Some(7)).is_empty(), "used at half time");
        assert_eq!(usage.idle(half + IDLE_MAX, |_| Some(7)), [name]);
    }
}
