//! What happens by itself when its time has come: deliveries that nobody acknowledged, queues that nobody used.

use super::{CONSUMER_TIMEOUT_LOOK_MS, Vhost, refuse::Refusal, timers::TimerKey};
use crate::{amqp::reply::ReplyCode, exchange::QueueId, queue::Address};

impl Vhost {
    /// Deliveries that wait too long for their acknowledgement end their channel.
    pub(super) fn look_at_timeouts(&mut self) {
        self.timers.set(TimerKey::ConsumerTimeouts, Some(self.now_ms + CONSUMER_TIMEOUT_LOOK_MS));
        let mut late = Vec::new();
        for (id, session) in self.sessions.iter() {
            for channel in session.channel_numbers() {
                let Some(oldest) = session.channel(channel).and_then(|channel| channel.unacked.oldest())
                else {
                    continue;
                };
                let own = self.queues.one(oldest.queue).and_then(|queue| queue.settings.consumer_timeout_ms);
                let timeout = own.unwrap_or(self.limits.consumer_timeout_ms);
                if timeout != 0
                    && oldest.consumer.is_some()
                    && oldest.at_ms.saturating_add(timeout) <= self.now_ms
                {
                    late.push((Address { session: id, channel }, timeout));
                }
            }
        }
        for (at, timeout) in late {
            let text = format!(
                "delivery acknowledgement on channel {} timed out. Timeout value used: {timeout} ms. \
                 This timeout value can be configured, see consumers doc guide to learn more",
                at.channel
            );
            self.refuse(at, &Refusal::new(ReplyCode::PreconditionFailed, text));
        }
    }

    /// A queue that nobody used for its time.
    pub(super) fn expire_queue(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one(id) else { return };
        let Some(expires) = queue.settings.expires_ms else { return };
        let due = queue.used_at_ms.saturating_add(expires) <= self.now_ms;
        if due && queue.consumers.is_empty() {
            self.delete_queue(id);
        } else {
            self.set_timers(id);
        }
    }
}
