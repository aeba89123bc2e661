//! Whether a client is slow beyond its limits. Pure: it is shown the connection now and then, and adds up the
//! time of what did not move.
//!
//! ```text
//!            head begins                 head is whole
//!   Idle ────────────────▶ Head ───────────────────────▶ Call (body waited for, or not)
//!    ▲  idle_timeout: close    header_timeout: close        │ body_timeout without progress: close
//!    └──────────────────────────────────────────────────────┘ the answer is handed over
//!   in all of them: nothing taken of what is written for write_timeout: close
//! ```

use std::time::Duration;

use crate::limits::Limits;

/// Less than this in a whole timeout is no progress: a client could hold its place for ever by a byte at a time.
const PROGRESS_BYTES_MIN: u64 = 512;
/// An idle connection frees its buffers after this time. Who waits for longer between two requests has them made
/// anew, which is a small part of what a request costs; and ten thousand who wait cost little memory.
pub(super) const REST_AFTER: Duration = Duration::from_millis(500);

/// A connection at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// HTTP/1: what follows can be told of it.
    pub(super) is_serial: bool,
    pub(super) calls: u64,
    pub(super) is_called: bool,
    pub(super) body_is_open: bool,
    pub(super) read: u64,
    /// What `read` was when the last call ended.
    pub(super) mark: u64,
    pub(super) read_waits: bool,
    pub(super) written: u64,
    pub(super) write_waits: bool,
}

/// What did not move, and for how long.
#[derive(Debug, Default)]
pub(super) struct Slowness {
    calls: u64,
    idle: Duration,
    head: Duration,
    body: Window,
    write: Window,
}

/// A time in which bytes are waited for.
#[derive(Debug, Default)]
struct Window {
    waited: Duration,
    /// The count when it began.
    from: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Idle for long enough to free its buffers.
    Rest,
    Close(Reason),
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Idle,
    Head,
    Body,
    Write,
}

impl Reason {
    pub(crate) const ALL: [Self; 4] = [Self::Idle, Self::Head, Self::Body, Self::Write];

    /// The word in logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Write => "write",
        }
    }
}

impl Seen {
    /// No request, and no part of one.
    pub(super) fn is_idle(&self) -> bool {
        self.is_serial && !self.is_called && self.read == self.mark && !self.write_waits
    }
}

impl Slowness {
    /// Adds `elapsed` to what still does not move.
    pub(super) fn observe(&mut self, seen: &Seen, elapsed: Duration, limits: &Limits) -> Verdict {
        if self.write.waits(seen.write_waits, seen.written, elapsed, limits.write_timeout) {
            return Verdict::Close(Reason::Write);
        }
        if !seen.is_serial {
            return Verdict::Fine;
        }
        if seen.calls != self.calls {
            (self.calls, self.idle, self.head) = (seen.calls, Duration::ZERO, Duration::ZERO);
            self.body = Window { waited: Duration::ZERO, from: seen.read };
            return Verdict::Fine;
        }
        let is_stalled = seen.body_is_open && seen.read_waits;
        if seen.is_called {
            return match self.body.waits(is_stalled, seen.read, elapsed, limits.body_timeout) {
                true => Verdict::Close(Reason::Body),
                false => Verdict::Fine,
            };
        }
        if seen.read != seen.mark {
            self.head += elapsed;
            return if self.head >= limits.header_timeout {
                Verdict::Close(Reason::Head)
            } else {
                Verdict::Fine
            };
        }
        self.rest(seen, elapsed, limits)
    }

    fn rest(&mut self, seen: &Seen, elapsed: Duration, limits: &Limits) -> Verdict {
        self.head = Duration::ZERO;
        let before = self.idle;
        self.idle += elapsed;
        if self.idle >= limits.idle_timeout {
            Verdict::Close(Reason::Idle)
        } else if before < REST_AFTER && self.idle >= REST_AFTER && seen.is_idle() {
            Verdict::Rest
        } else {
            Verdict::Fine
        }
    }
}

impl Window {
    /// Whether `count` has hardly grown for all of `most`. Time in which nobody waits is not counted: then it is
    /// the other side that is slow.
    fn waits(&mut self, is_waiting: bool, count: u64, elapsed: Duration, most: Duration) -> bool {
        if !is_waiting {
            if self.waited.is_zero() {
                self.from = count;
            }
            return false;
        }
        self.waited += elapsed;
        if self.waited < most {
            return false;
        }
        let is_stalled = count.wrapping_sub(self.from) < PROGRESS_BYTES_MIN;
        *self = Self { waited: Duration::ZERO, from: count };
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits {
            header_timeout: 5 * SECOND,
            body_timeout: 10 * SECOND,
            write_timeout: 20 * SECOND,
            idle_timeout: 30 * SECOND,
            ..Limits::default()
        }
    }

    /// Shows the same connection each second until something is to be done; after how many.
    fn seconds_until(slowness: &mut Slowness, mut seen: impl FnMut(u64) -> Seen) -> (u64, Verdict) {
        (1..1_000)
            .map(|second| (second, slowness.observe(&seen(second), SECOND, &limits())))
            .find(|(_, verdict)| *verdict != Verdict::Fine)
            .unwrap_or((0, Verdict::Fine))
    }

    fn idle() -> Seen {
        Seen { is_serial: true, read_waits: true, ..Seen::default() }
    }

    #[test]
    fn an_idle_connection_rests_once_and_is_closed_in_the_end() {
        let mut slowness = Slowness::default();
        assert_eq!(seconds_until(&mut slowness, |_| idle()), (1, Verdict::Rest));
        assert_eq!(seconds_until(&mut slowness, |_| idle()), (29, Verdict::Close(Reason::Idle)));
    }

    #[test]
    fn a_head_that_drips_is_given_up_and_requests_begin_it_anew() {
        let drips = |second| Seen { read: second, ..idle() };
        assert_eq!(seconds_until(&mut Slowness::default(), drips), (5, Verdict::Close(Reason::Head)));
        let busy = |second| Seen { read: second, calls: second / 4, ..idle() };
        assert_eq!(seconds_until(&mut Slowness::default(), busy), (0, Verdict::Fine));
    }

    #[test]
    fn a_body_has_to_move_while_it_is_waited_for() {
        let body = |read| Seen { is_called: true, body_is_open: true, read, calls: 1, ..idle() };
        let (second, verdict) = seconds_until(&mut Slowness::default(), body);
        assert_eq!((second, verdict), (11, Verdict::Close(Reason::Body)), "a byte a second is no progress");
        let moves = |second| body(second * 100);
        assert_eq!(seconds_until(&mut Slowness::default(), moves), (0, Verdict::Fine));
        let unread = |_| Seen { read_waits: false, ..body(7) };
        assert_eq!(seconds_until(&mut Slowness::default(), unread), (0, Verdict::Fine), "nobody waits");
        let whole = |_| Seen { body_is_open: false, ..body(7) };
        assert_eq!(seconds_until(&mut Slowness::default(), whole), (0, Verdict::Fine));
    }

    #[test]
    fn a_client_that_does_not_read_is_given_up_in_any_protocol() {
        for is_serial in [true, false] {
            let stuck =
                |_| Seen { is_serial, is_called: true, write_waits: true, written: 9, ..Seen::default() };
            let (_, verdict) = seconds_until(&mut Slowness::default(), stuck);
            assert_eq!(verdict, Verdict::Close(Reason::Write));
            let slow = |second| Seen { written: second * 1_000, ..stuck(second) };
            assert_eq!(seconds_until(&mut Slowness::default(), slow), (0, Verdict::Fine));
        }
    }
}
