//! Giving back what idle connections have freed. The program's allocator (mimalloc) returns freed pages to the
//! system a second later, but only when it frees another page after that; a thread that has gone quiet frees none,
//! and would hold the memory of its busiest moment for ever.

use std::{hint::black_box, time::Duration};

/// Longer than the allocator keeps a freed page for its next use (one second).
const GIVE_BACK_AFTER: Duration = Duration::from_millis(1_250);
/// A block of this size has pages of its own, which are freed with it.
const BLOCK_BYTES: usize = 2 * 1_024 * 1_024;

/// Whether, and for how long, there is something to give back. Pure.
#[derive(Debug, Default)]
pub(crate) struct Debt(Option<Duration>);

impl Debt {
    /// Adds `elapsed`; whether all that was freed before has been kept for long enough.
    pub(crate) fn is_due(&mut self, has_freed: bool, elapsed: Duration) -> bool {
        if has_freed {
            self.0 = Some(GIVE_BACK_AFTER);
            return false;
        }
        let Some(left) = self.0 else { return false };
        let left = left.saturating_sub(elapsed);
        self.0 = (!left.is_zero()).then_some(left);
        left.is_zero()
    }
}

/// Frees a page, so that the allocator looks for others to return. Nothing is written to it, so it never was
/// more than an address.
pub(crate) fn give_back() {
    drop(black_box(Vec::<u8>::with_capacity(BLOCK_BYTES)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_is_due_once_after_the_last_of_it() {
        let mut debt = Debt::default();
        let half = GIVE_BACK_AFTER / 2;
        assert!(!debt.is_due(false, GIVE_BACK_AFTER), "nothing was freed");
        assert!(!debt.is_due(true, half));
        assert!(!debt.is_due(true, half));
        assert!(!debt.is_due(false, half));
        assert!(debt.is_due(false, half));
        assert!(!debt.is_due(false, GIVE_BACK_AFTER), "it was given back");
    }
}
