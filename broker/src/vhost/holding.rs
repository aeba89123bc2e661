//! What a connection has of the broker's memory before anything of it is in a queue: contents that are on their way, and
//! publishes that wait for their commit. Credit and watermarks do not see it, so it has a limit of its own.

use super::{Vhost, refuse::Refusal, session::SessionId};
use crate::{amqp::reply::ReplyCode, queue::Address};

/// Bytes that a connection holds so at most, or twice the largest message, whichever is more.
const HELD_BYTES_MAX: usize = 128 * 1024 * 1024;

impl Vhost {
    /// A connection holds so much more.
    pub(super) fn keep_hold(&mut self, id: SessionId, bytes: usize) -> Result<(), Refusal> {
        let max = HELD_BYTES_MAX.max(self.limits.message_bytes_max.saturating_mul(2));
        let Some(session) = self.sessions.one_mut(id) else { return Ok(()) };
        session.held_bytes = session.held_bytes.saturating_add(bytes);
        if session.held_bytes <= max {
            return Ok(());
        }
        let text = format!(
            "connection holds more than {max} bytes of unfinished or uncommitted messages: finish or commit some first"
        );
        Err(Refusal::new(ReplyCode::ResourceError, text))
    }

    /// So much less.
    pub(super) fn let_go(&mut self, id: SessionId, bytes: usize) {
        if let Some(session) = self.sessions.one_mut(id) {
            session.held_bytes = session.held_bytes.saturating_sub(bytes);
        }
    }

    /// Content that was on its way on a channel comes no more.
    pub(super) fn drop_content(&mut self, at: Address) {
        if let Some(publishing) = self.channel_mut(at).and_then(|channel| channel.publishing.take()) {
            self.let_go(at.session, publishing.gathered);
        }
    }
}
