//! When publishers must wait: memory or disk are short, or the log takes no more. Those who publish are told, and not
//! read from; consumers go on.

use super::{Vhost, session::SessionId};
use crate::amqp::method::connection;

/// Why publishers are blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Memory is beyond its watermark.
    Memory,
    /// The disk has less room than its watermark.
    Disk,
    /// The disk took no more, and has not yet.
    DiskFull,
    /// A write of the log failed: nothing can be promised any more until a restart.
    LogFailed,
}

impl Blocked {
    /// As `connection.blocked` says it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Memory => "low on memory",
            Self::Disk | Self::DiskFull => "low on disk",
            Self::LogFailed => "the message log failed",
        }
    }
}

/// A set of reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// Whether it has this one.
    pub fn has(self, reason: Blocked) -> bool {
        self.0 & Self::bit(reason) != 0
    }

    /// With this one.
    #[must_use]
    pub fn with(self, reason: Blocked) -> Self {
        Self(self.0 | Self::bit(reason))
    }

    /// With all of another set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn bit(reason: Blocked) -> u8 {
        match reason {
            Blocked::Memory => 1,
            Blocked::Disk => 2,
            Blocked::DiskFull => 4,
            Blocked::LogFailed => 8,
        }
    }
}

/// Which reasons there are, the oldest first.
#[derive(Debug, Default)]
pub(super) struct State {
    reasons: Vec<Blocked>,
}

impl State {
    pub(super) fn is_any(&self) -> bool {
        !self.reasons.is_empty()
    }
}

impl Vhost {
    /// A reason is there, or is gone.
    pub fn set_blocked(&mut self, reason: Blocked, is_so: bool) {
        let was = self.blocked.is_any();
        self.blocked.reasons.retain(|other| *other != reason);
        if is_so {
            self.blocked.reasons.push(reason);
        }
        if reason == Blocked::LogFailed && is_so {
            self.fail_confirms();
            self.waiters.give_up();
        }
        if was != self.blocked.is_any() {
            for id in self.sessions.ids() {
                self.tell_blocked(id);
            }
        }
    }

    /// Why publishers are blocked now, if they are.
    pub fn blocked(&self) -> Option<Blocked> {
        self.blocked.reasons.first().copied()
    }

    /// All reasons why they are.
    pub fn blocked_reasons(&self) -> Reasons {
        self.blocked.reasons.iter().fold(Reasons::default(), |all, reason| all.with(*reason))
    }

    /// Whether what comes now cannot be stored: it is refused.
    pub(super) fn refuses_publishes(&self) -> bool {
        self.blocked.reasons.iter().any(|reason| matches!(reason, Blocked::DiskFull | Blocked::LogFailed))
    }

    /// Whether publishers wait for room on the disk.
    pub fn is_short_of_space(&self) -> bool {
        self.blocked.reasons.iter().any(|reason| matches!(reason, Blocked::Disk | Blocked::DiskFull))
    }

    /// Whether nothing more can be made safe.
    pub(super) fn is_poisoned(&self) -> bool {
        self.blocked.reasons.contains(&Blocked::LogFailed)
    }

    /// A connection publishes: from the first time on it is told, and has to wait.
    pub(super) fn note_publisher(&mut self, id: SessionId) {
        let Some(session) = self.sessions.one_mut(id) else { return };
        if !std::mem::replace(&mut session.publishes, true) && self.blocked.is_any() {
            self.tell_blocked(id);
        }
    }

    /// Tells a connection, if it publishes, wants to know and does not yet.
    pub(super) fn tell_blocked(&mut self, id: SessionId) {
        let reason = self.blocked.reasons.first().copied();
        let Some(session) = self.sessions.one_mut(id) else { return };
        if session.publishes && session.can_block && session.told_blocked != reason.is_some() {
            session.told_blocked = reason.is_some();
            match reason {
                Some(reason) => {
                    connection::Blocked { reason: reason.reason() }.encode(0, session.outbox.buffer());
                }
                None => connection::Unblocked {}.encode(0, session.outbox.buffer()),
            }
        }
        // Who was not read from may be again.
        self.turn.has_bytes(id, session);
    }
}
