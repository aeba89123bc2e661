//! The signals that a daemon acts on, as a stream. What each means is its owner's.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// One of the signals that are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop.
    Terminate,
    /// SIGINT: stop; from the keyboard.
    Interrupt,
    /// SIGHUP.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

/// From the moment it is made on, the signals no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

impl Signals {
    /// Starts to listen; needs a tokio runtime with IO.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one. Safe to drop and call again: none is lost.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            // Of several at once the one that stops comes first.
            biased;
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.user1.recv() => Signal::User1,
            _ = self.user2.recv() => Signal::User2,
        }
    }
}

impl Signal {
    /// As `kill -l` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2",
        }
    }

    /// Whether it asks the process to stop.
    pub const fn stops(self) -> bool {
        matches!(self, Self::Terminate | Self::Interrupt)
    }
}

#[cfg(test)]
mod tests {
    use nix::{sys::signal::Signal as Raised, sys::signal::raise};

    use super::*;

    #[tokio::test]
    async fn a_raised_signal_arrives() {
        let mut signals = Signals::new().unwrap();
        raise(Raised::SIGUSR1).unwrap();
        assert_eq!(signals.next().await, Signal::User1);
        raise(Raised::SIGTERM).unwrap();
        assert!(signals.next().await.stops());
    }
}
