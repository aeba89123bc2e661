//! Acknowledging: ack, nack, reject, recover; and what comes of a delivery that is settled.

use std::rc::Rc;

use crate::{
    amqp::{
        method::{
            Basic,
            basic::{Nack, RecoverOk},
        },
        reply::ReplyCode,
    },
    queue::{Address, Contents, Entry},
    vhost::{
        Vhost,
        channel::Mode,
        dead::Dead,
        death::Reason,
        dispatch::settle,
        refuse::{self, Refusal},
        tx::Settlement,
        unacked::Delivery,
    },
};

impl Vhost {
    pub(super) fn ack_method(&mut self, at: Address, method: &Basic<'_>) -> Result<(), Refusal> {
        match method {
            Basic::Ack(ack) if !ack.multiple && !self.is_transactional(at) => {
                let delivery =
                    self.channel_mut(at).and_then(|channel| channel.unacked.take(ack.delivery_tag));
                let delivery = delivery.ok_or_else(|| unknown(ack.delivery_tag))?;
                self.ack_one(at, &delivery);
                self.wake_starved(at);
            }
            Basic::Ack(ack) => {
                let deliveries = self.take_deliveries(at, ack.delivery_tag, ack.multiple)?;
                self.settle_later(at, Settlement::Ack(deliveries));
            }
            Basic::Nack(nack) => {
                let deliveries = self.take_rejected(at, nack.delivery_tag, nack.multiple)?;
                self.settle_later(at, Settlement::Return(deliveries, nack.requeue));
            }
            Basic::Reject(reject) => {
                let deliveries = self.take_rejected(at, reject.delivery_tag, false)?;
                self.settle_later(at, Settlement::Return(deliveries, reject.requeue));
            }
            Basic::Recover(recover) => {
                self.recover_all(at, recover.requeue)?;
                self.answer(at, |number, out| RecoverOk {}.encode(number, out));
            }
            Basic::RecoverAsync(recover) => self.recover_all(at, recover.requeue)?,
            _ => return Err(refuse::unimplemented()),
        }
        Ok(())
    }

    fn take_deliveries(
        &mut self,
        at: Address,
        tag: u64,
        multiple: bool,
    ) -> Result<Vec<(u64, Delivery)>, Refusal> {
        let Some(channel) = self.channel_mut(at) else { return Ok(Vec::new()) };
        if !multiple {
            let taken = channel.unacked.take(tag).map(|delivery| vec![(tag, delivery)]);
            return taken.ok_or_else(|| unknown(tag));
        }
        // RabbitMQ: all of none is no error, up to one that never was is.
        if tag != 0 && (channel.unacked.is_empty() || tag > channel.delivery_tag) {
            return Err(unknown(tag));
        }
        Ok(channel.unacked.take_up_to(tag))
    }

    /// Takes what is rejected. What a stream delivers cannot be; RabbitMQ calls the method `basic.nack` whichever it was.
    fn take_rejected(
        &mut self,
        at: Address,
        tag: u64,
        multiple: bool,
    ) -> Result<Vec<(u64, Delivery)>, Refusal> {
        let deliveries = self.take_deliveries(at, tag, multiple)?;
        let mut queues = deliveries.iter().filter_map(|(_, delivery)| self.queues.one(delivery.queue));
        let Some(name) = queues.find(|queue| queue.is_stream()).map(|queue| Rc::clone(queue.name())) else {
            return Ok(deliveries);
        };
        if let Some(channel) = self.channel_mut(at) {
            channel.unacked.put_back(deliveries);
        }
        let text = format!(
            "basic.nack and basic.reject not supported by stream queues queue '{name}' in vhost '{}'",
            self.name
        );
        Err(Refusal::new(ReplyCode::NotImplemented, text).by(Nack::IDS))
    }

    /// Now, or with the commit.
    fn settle_later(&mut self, at: Address, settlement: Settlement) {
        if let Some(Mode::Transaction(transaction)) = self.channel_mut(at).map(|channel| &mut channel.mode) {
            transaction.settlements.push(settlement);
            return;
        }
        match settlement {
            Settlement::Ack(deliveries) => self.ack_all(at, &deliveries),
            Settlement::Return(deliveries, requeue) => self.return_all(at, deliveries, requeue),
        }
    }

    pub(super) fn ack_all(&mut self, at: Address, deliveries: &[(u64, Delivery)]) {
        for (_, delivery) in deliveries {
            self.ack_one(at, delivery);
        }
        self.wake_starved(at);
    }

    fn ack_one(&mut self, at: Address, delivery: &Delivery) {
        if let Some(channel) = self.channel_mut(at) {
            channel.counts.acked += 1;
        }
        let Some(queue) = self.queues.numbered_mut(delivery.queue, delivery.number) else { return };
        queue.came_in(&delivery.entry, delivery.consumer);
        queue.stats.acked += 1;
        settle(queue, &mut self.store, &delivery.entry);
        if delivery.consumer.is_some_and(|consumer| queue.consumers.wake(consumer)) {
            self.touch(delivery.queue);
        }
    }

    fn is_transactional(&mut self, at: Address) -> bool {
        self.channel_mut(at).is_some_and(|channel| matches!(channel.mode, Mode::Transaction(_)))
    }

    /// Rejected: back to where they were, or dead.
    pub(super) fn return_all(&mut self, at: Address, deliveries: Vec<(u64, Delivery)>, requeue: bool) {
        for (_, delivery) in deliveries {
            self.return_one(delivery, requeue);
        }
        self.wake_starved(at);
    }

    /// One delivery comes back to its queue, or is not wanted there any more.
    pub(in crate::vhost) fn return_one(&mut self, delivery: Delivery, requeue: bool) {
        let Delivery { queue: id, number, consumer, mut entry, .. } = delivery;
        let Some(queue) = self.queues.numbered_mut(id, number) else { return };
        queue.came_in(&entry, consumer);
        if let Some(consumer) = consumer {
            queue.consumers.wake(consumer);
        }
        if queue.is_stream() {
            return self.touch(id);
        }
        if !requeue {
            self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::Rejected });
            return self.touch(id);
        }
        entry.redelivered = true;
        if let Some(limit) = queue.settings.delivery_limit {
            entry.delivery_count = entry.delivery_count.saturating_add(1);
            if u64::from(entry.delivery_count) > limit {
                self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::DeliveryLimit });
                return self.touch(id);
            }
            if entry.stored {
                queue.note_returned(&entry);
                self.store.returned(number, entry.seq, entry.delivery_count);
            }
        }
        put_back(queue, entry);
        self.touch(id);
    }

    fn recover_all(&mut self, at: Address, requeue: bool) -> Result<(), Refusal> {
        if !requeue {
            return Err(Refusal::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        let deliveries = channel.unacked.take_up_to(0);
        self.return_all(at, deliveries, true);
        Ok(())
    }

    /// Consumers that found no room in their channel look again.
    pub(in crate::vhost) fn wake_starved(&mut self, at: Address) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        if session.is_stalled() {
            return;
        }
        let Some(channel) = session.channel_mut(at.channel) else { return };
        if channel.starved.is_empty() || !channel.has_room(false) {
            return;
        }
        for (id, consumer) in std::mem::take(&mut channel.starved) {
            let Some(queue) = self.queues.one_mut(id) else { continue };
            if let Some(consumer) = queue.consumers.one_mut(consumer) {
                consumer.is_listed = false;
            }
            if queue.consumers.wake(consumer) {
                self.touch(id);
            }
        }
    }
}

fn put_back(queue: &mut crate::queue::Queue, entry: Entry) {
    if let Contents::Lines(lines) = &mut queue.contents {
        lines.put_back(entry);
    }
}

fn unknown(tag: u64) -> Refusal {
    Refusal::new(ReplyCode::PreconditionFailed, format!("unknown delivery tag {tag}"))
}
