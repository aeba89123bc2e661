//! How channels, connections, consumers and queues end, and what each leaves behind.

use super::{
    Vhost,
    channel::{ChannelState, Mode},
    refuse::Refusal,
    session::{Session, SessionId, SessionInfo, SessionState},
    timers::TimerKey,
    tx::Settlement,
};
use crate::{
    amqp::{
        method::basic::Cancel,
        reply::{Ended, ReplyCode},
    },
    exchange::QueueId,
    queue::{Address, ConsumerId, Contents},
};

impl Vhost {
    /// A connection enters.
    pub fn enter(&mut self, info: SessionInfo, now_ms: u64) -> SessionId {
        self.set_time(now_ms);
        self.stats.connections_opened += 1;
        let user = info.user.name.clone();
        let id = self.sessions.add(Session::new(info));
        if self.access.user(&user).is_none() {
            // It was deleted while the connection was on its way here.
            let reason = format!("user '{user}' was deleted");
            self.force_close(id, ReplyCode::ConnectionForced, &reason);
        }
        id
    }

    /// A connection is gone: all that was its own goes, all that it held goes back.
    pub fn leave(&mut self, id: SessionId, now_ms: u64) {
        self.set_time(now_ms);
        self.end_channels(id);
        let owned = self.sessions.one_mut(id).map(|session| std::mem::take(&mut session.owned));
        for (queue, number) in owned.unwrap_or_default() {
            if self.queues.numbered_mut(queue, number).is_some() {
                self.delete_queue(queue);
            }
        }
        self.sessions.remove(id);
        self.stats.connections_closed += 1;
        self.tend_all();
    }

    pub(super) fn end_channels(&mut self, id: SessionId) {
        let numbers: Vec<u16> =
            self.sessions.one(id).map(|session| session.channel_numbers().collect()).unwrap_or_default();
        for channel in numbers {
            self.end_channel(Address { session: id, channel });
        }
    }

    /// A channel is gone.
    pub(super) fn end_channel(&mut self, at: Address) {
        self.empty_channel(at);
        self.forget_channel(at);
    }

    pub(super) fn forget_channel(&mut self, at: Address) {
        if let Some(session) = self.sessions.one_mut(at.session) {
            self.stats.channels_closed += u64::from(session.take_channel(at.channel).is_some());
        }
    }

    /// Its consumers go, and all that is out on it goes back to where it was.
    fn empty_channel(&mut self, at: Address) {
        self.stop_getting(at);
        self.drop_content(at);
        let Some(channel) = self.channel_mut(at) else { return };
        channel.starved.clear();
        let reply_to = channel.reply_to.take();
        let consumers: Vec<_> = channel.consumers.drain().map(|(_, consumer)| consumer).collect();
        let mut deliveries = channel.unacked.take_up_to(0);
        let mode = std::mem::replace(&mut channel.mode, Mode::Plain);
        if let Mode::Transaction(transaction) = mode {
            self.let_go(at.session, transaction.bytes());
            self.commits.retain(|(_, waiting)| *waiting != at);
            for settlement in transaction.settlements {
                let (Settlement::Ack(held) | Settlement::Return(held, _)) = settlement;
                deliveries.extend(held);
            }
        }
        if let Some((_, key)) = reply_to {
            self.replies.remove(&key);
        }
        // First back, then gone: a queue that ends with its last consumer takes them with it.
        for (_, delivery) in deliveries {
            self.return_one(delivery, true);
        }
        for (queue, consumer) in consumers {
            self.remove_consumer(queue, consumer);
        }
    }

    /// What it asked for by `basic.get` is not for a channel of the same number that comes after it.
    fn stop_getting(&mut self, at: Address) {
        let getting = self.sessions.one(at.session).and_then(|session| session.getting);
        let Some((_, id)) = getting.filter(|(channel, _)| *channel == at.channel) else { return };
        if let Some(queue) = self.queues.one_mut(id) {
            queue.getters.retain(|(waiting, _)| *waiting != at);
        }
        self.has_got(at);
    }

    /// A consumer is gone; with the last one goes a queue that is to.
    pub(super) fn remove_consumer(&mut self, id: QueueId, consumer: ConsumerId) {
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return };
        let Some(gone) = queue.consumers.remove(consumer) else { return };
        if gone.is_listed
            && let Some(session) = self.sessions.one_mut(gone.wish.address.session)
            && let Some(channel) = session.channel_mut(gone.wish.address.channel)
        {
            channel.starved.retain(|listed| *listed != (id, consumer));
        }
        queue.used_at_ms = now_ms;
        if let Contents::Stream(stream) = &mut queue.contents {
            stream.detach(consumer);
        }
        if queue.declaration.auto_delete && queue.consumers.is_empty() && queue.had_consumer {
            self.delete_queue(id);
        } else {
            self.touch(id);
        }
    }

    /// A queue goes: its consumers are told, its messages are gone, its bindings as well.
    pub(super) fn delete_queue(&mut self, id: QueueId) -> bool {
        let Some(queue) = self.queues.remove(id) else { return false };
        self.stats.queues_deleted += 1;
        self.stats.of_gone_queues += queue.stats;
        self.timers.set(TimerKey::Head(id), None);
        self.timers.set(TimerKey::Unused(id), None);
        self.warm_bytes = self.warm_bytes.saturating_sub(queue.counted_bytes);
        self.limbo.retain(|(number, _), _| *number != queue.number);
        self.call_crowd();
        if let Some(owner) = queue.owner.and_then(|owner| self.sessions.one_mut(owner)) {
            owner.owned.retain(|(_, number)| *number != queue.number);
        }
        for consumer in queue.consumers.iter() {
            self.tell_cancelled(consumer.wish.address, &consumer.wish.tag);
        }
        for (at, _) in &queue.getters {
            self.has_got(*at);
            self.answer(*at, |number, out| crate::amqp::method::basic::GetEmpty {}.encode(number, out));
        }
        self.store.release(&queue.index);
        self.store.begin_chain();
        if queue.is_written() {
            self.store.declare(&super::records::queue_key(queue.number), None);
        }
        if queue.is_written() || !queue.index.is_empty() {
            self.store.forget(queue.number);
        }
        let effects = self.topology.remove_queue(id);
        self.take_effects(effects);
        self.store.end_chain();
        true
    }

    /// Consumer cancel notification, to who understands it.
    fn tell_cancelled(&mut self, at: Address, tag: &str) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        let can_cancel = session.can_cancel;
        let Some(channel) = session.channel_mut(at.channel) else { return };
        if channel.consumers.remove(tag).is_none() || !can_cancel || channel.state != ChannelState::Open {
            return;
        }
        Cancel { consumer_tag: tag, no_wait: true }.encode(at.channel, session.outbox.buffer());
        self.turn.has_bytes(at.session, session);
    }

    /// Says no: to a channel, or to the whole connection.
    pub(super) fn refuse(&mut self, at: Address, refusal: &Refusal) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        if session.state != SessionState::Open {
            return;
        }
        let ended = refusal.write(at.channel, session.outbox.buffer());
        self.turn.has_bytes(at.session, session);
        tracing::info!(vhost = &*self.name, connection = &*session.name, channel = at.channel, %refusal, "refused");
        match ended {
            Ended::Channel(_) => {
                if let Some(channel) = session.channel_mut(at.channel) {
                    channel.state = ChannelState::Closing;
                }
                self.empty_channel(at);
            }
            Ended::Connection => {
                session.state = SessionState::Closing;
                self.end_channels(at.session);
            }
        }
    }

    /// Ends a connection from our side, as an operator or a stop does.
    pub fn force_close(&mut self, id: SessionId, code: ReplyCode, reason: &str) {
        self.refuse(Address { session: id, channel: 0 }, &Refusal::new(code, reason));
        self.tend_all();
    }
}
