//! How long to wait before a process is started again: pure. It doubles with each early end, and begins anew
//! once a process has run for a while.

use std::time::Duration;

/// After the first end: short, so that one crash is hardly seen.
const FIRST: Duration = Duration::from_millis(200);
/// Never longer.
const LONGEST: Duration = Duration::from_secs(10);
/// Who ran for so long was well: its next end counts as the first.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// The waits of one process.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after a run of that length.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        let wait = match self.last {
            Some(last) if ran < WELL_AFTER => last.saturating_mul(2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_ends_wait_longer_and_longer_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn a_process_that_ran_well_begins_anew() {
        let mut backoff = Backoff::default();
        backoff.after(Duration::ZERO);
        backoff.after(Duration::ZERO);
        assert_eq!(backoff.after(WELL_AFTER), FIRST);
    }
}
