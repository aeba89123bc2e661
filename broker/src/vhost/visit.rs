//! Visitors: connections without a socket. What an operator asks over HTTP is said here as a client of AMQP says it, by
//! the user's own rights, so that there is one way for everything. Replies stay in the visitor's outbox.
//!
//! ```text
//!  visit ─▶ (say | publish_visiting)* ─▶ leave
//!                  └─▶ take_replies
//! ```

use bytes::Bytes;

use super::{
    Blocked, Vhost,
    channel::Mode,
    confirms::Confirms,
    publish::{Body, Publish},
    refuse::Refusal,
    session::{SessionId, SessionInfo},
};
use crate::{amqp::method::Method, queue::Address};

/// The one channel that a visitor has.
pub const VISIT_CHANNEL: u16 = 1;

/// A message of a visitor.
#[derive(Debug, Clone)]
pub struct VisitPublish {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The key.
    pub routing_key: String,
    /// Flags and property list.
    pub properties: Vec<u8>,
    /// The body.
    pub body: Bytes,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Queues have it.
    Routed,
    /// No queue took it.
    Unrouted,
    /// A queue was full.
    Refused,
    /// Publishers have to wait, and a visitor does not.
    Blocked(Blocked),
}

impl Vhost {
    /// Lets a visitor in, with its channel open. A trusted one may everything.
    ///
    /// # Errors
    /// When its user may open no channel.
    pub fn visit(&mut self, info: SessionInfo, is_trusted: bool, now_ms: u64) -> Result<SessionId, Refusal> {
        let (counted, open) = info.user_channels.open();
        if !is_trusted {
            self.access
                .open_channel(&info.user.name, open)
                .map_err(|refused| super::refuse::access(&refused))?;
        }
        let id = self.enter(info, now_ms);
        if let Some(session) = self.sessions.one_mut(id) {
            session.is_trusted = is_trusted;
            session.open_channel(VISIT_CHANNEL, counted);
            self.stats.channels_opened += 1;
        }
        Ok(id)
    }

    /// Says a method as a visitor.
    ///
    /// # Errors
    /// What a client would read in `channel.close` or `connection.close`.
    pub fn say(&mut self, id: SessionId, method: &Method<'_>, now_ms: u64) -> Result<(), Refusal> {
        self.set_time(now_ms);
        self.try_method(Address { session: id, channel: VISIT_CHANNEL }, method)?;
        self.tend_all();
        Ok(())
    }

    /// Publishes as a visitor.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn publish_visiting(
        &mut self,
        id: SessionId,
        publish: VisitPublish,
        now_ms: u64,
    ) -> Result<Outcome, Refusal> {
        if let Some(reason) = self.blocked() {
            return Ok(Outcome::Blocked(reason));
        }
        self.set_time(now_ms);
        let at = Address { session: id, channel: VISIT_CHANNEL };
        if let Some(channel) = self.channel_mut(at) {
            channel.mode = Mode::Confirm(Confirms::default());
        }
        let VisitPublish { exchange, routing_key, properties, body } = publish;
        let publish = Publish {
            exchange: &exchange,
            routing_key: &routing_key,
            mandatory: true,
            immediate: false,
            properties: &properties,
            body: Body::Shared(body),
        };
        self.publish(at, &publish)?;
        let outcome = match self.channel_mut(at).map(|channel| (channel.counts.returned, &channel.mode)) {
            Some((0, Mode::Confirm(confirms))) if confirms.is_empty() => Outcome::Refused,
            Some((0, _)) => Outcome::Routed,
            _ => Outcome::Unrouted,
        };
        self.tend_all();
        Ok(outcome)
    }

    /// The replies so far, as frames.
    pub fn take_replies(&mut self, id: SessionId) -> Vec<u8> {
        let mut replies = Vec::new();
        let Some(session) = self.sessions.one_mut(id) else { return replies };
        while !session.outbox.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 8];
            let filled = session.outbox.slices(&mut slices);
            let before = replies.len();
            for slice in slices.iter().take(filled) {
                replies.extend_from_slice(slice);
            }
            session.outbox.advance(replies.len() - before);
        }
        replies
    }
}
