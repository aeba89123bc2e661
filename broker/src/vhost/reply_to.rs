//! Direct reply-to: answers that go to a channel without a queue between. RabbitMQ's "Direct Reply-to".

use super::{Vhost, refuse::Refusal};
use crate::{amqp::reply::ReplyCode, queue::Address};

/// The name that a requester consumes from and gives as `reply-to`.
pub(super) const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

impl Vhost {
    /// What stands for the pseudo-queue in a request's `reply-to`: the key of this channel's replies.
    pub(super) fn reply_key(
        &mut self,
        at: Address,
        reply_to: Option<&[u8]>,
    ) -> Result<Option<String>, Refusal> {
        if reply_to != Some(PSEUDO_QUEUE.as_bytes()) {
            return Ok(None);
        }
        let key = self
            .channel_mut(at)
            .and_then(|channel| channel.reply_to.as_ref().map(|(_, key)| key.to_string()));
        match key {
            Some(key) => Ok(Some(key)),
            None => Err(Refusal::new(ReplyCode::PreconditionFailed, "fast reply consumer does not exist")),
        }
    }
}
