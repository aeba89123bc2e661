//! `basic.…`: qos, consume, cancel, get. Publishing comes with its content, acknowledging has a file of its own.

use std::rc::Rc;

use super::exchange::table;
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::{
            Basic,
            basic::{Cancel, CancelOk, Consume, ConsumeOk, Get, GetEmpty, Qos, QosOk},
        },
        reply::ReplyCode,
        value::FieldTable,
    },
    exchange::QueueId,
    policy::{
        consume::{self, ConsumeSettings},
        kind::QueueKind,
    },
    queue::{Address, Contents, Queue, Wish},
    vhost::{
        Vhost,
        dead::Dead,
        death::Reason,
        dispatch::{hold, mark, settle},
        refuse::{self, Refusal},
        reply_to::PSEUDO_QUEUE,
        unacked::Delivery,
        wire::{self, Handover},
    },
};

impl Vhost {
    pub(super) fn basic_method(&mut self, at: Address, method: &Basic<'_>) -> Result<(), Refusal> {
        match method {
            Basic::Qos(qos) => self.qos(at, qos),
            Basic::Consume(consume) => self.consume(at, consume),
            Basic::Cancel(cancel) => {
                self.cancel_asked(at, cancel);
                Ok(())
            }
            Basic::Get(get) => self.get(at, get),
            _ => Err(refuse::unimplemented()),
        }
    }

    fn qos(&mut self, at: Address, qos: &Qos) -> Result<(), Refusal> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(Refusal::new(ReplyCode::NotImplemented, text));
        }
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        if qos.global {
            channel.prefetch_global = qos.prefetch_count;
            self.wake_starved(at);
        } else {
            channel.prefetch = qos.prefetch_count;
        }
        self.answer(at, |number, out| QosOk {}.encode(number, out));
        Ok(())
    }

    fn consume(&mut self, at: Address, consume: &Consume<'_>) -> Result<(), Refusal> {
        if consume.queue == PSEUDO_QUEUE {
            return self.consume_replies(at, consume);
        }
        let name = self.name_meant(at, consume.queue)?;
        self.check(at.session, Action::Read, Resource::Queue(&name))?;
        let tag = self.new_tag(at, consume.consumer_tag)?;
        let id = self.queue_of(at, &name)?;
        let arguments = table(consume.arguments)?;
        let asked = self.check_consume(at, id, consume, &arguments)?;
        let prefetch = self.channel_mut(at).map_or(0, |channel| channel.prefetch);
        let wish = Wish {
            address: at,
            tag: Rc::clone(&tag),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority: asked.priority,
            prefetch,
            arguments,
        };
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return Ok(()) };
        let consumer = queue.consumers.add(wish);
        queue.had_consumer = true;
        queue.used_at_ms = now_ms;
        if let Contents::Stream(stream) = &mut queue.contents {
            stream.attach(consumer, asked.offset, now_ms);
        }
        if let Some(channel) = self.channel_mut(at) {
            channel.consumers.insert(Rc::clone(&tag), (id, consumer));
        }
        if !consume.no_wait {
            self.answer(at, |number, out| ConsumeOk { consumer_tag: &tag }.encode(number, out));
        }
        self.touch(id);
        Ok(())
    }

    /// The tag that a consumer gets: its own, which must be new, or one of our making.
    pub(super) fn new_tag(&mut self, at: Address, wished: &str) -> Result<Rc<str>, Refusal> {
        if wished.is_empty() {
            return Ok(format!("amq.ctag-{}", super::queue::random_name()).into());
        }
        let taken = self.channel_mut(at).is_some_and(|channel| {
            channel.consumers.contains_key(wished)
                || channel.reply_to.as_ref().is_some_and(|(tag, _)| &**tag == wished)
        });
        if taken {
            let text = format!("attempt to reuse consumer tag '{wished}'");
            return Err(Refusal::new(ReplyCode::NotAllowed, text));
        }
        Ok(wished.into())
    }

    /// What RabbitMQ asks of a consumer, in its order: the arguments, then what the type of queue cannot do, then who
    /// else consumes.
    fn check_consume(
        &self,
        at: Address,
        id: QueueId,
        consume: &Consume<'_>,
        arguments: &FieldTable,
    ) -> Result<ConsumeSettings, Refusal> {
        let Some(queue) = self.queues.one(id) else { return Ok(ConsumeSettings::default()) };
        let (name, kind) = (queue.name(), queue.settings.kind);
        let asked =
            consume::check(&self.name, name, kind, arguments).map_err(|error| refuse::declare(&error))?;
        if kind != QueueKind::Classic {
            self.check_kind_of_consumer(at, queue, consume)?;
        }
        let single = queue.settings.single_active_consumer;
        let others = !queue.consumers.is_empty();
        if (single && consume.exclusive)
            || (!single && (queue.consumers.is_exclusive() || (consume.exclusive && others)))
        {
            let text = format!("queue '{name}' in vhost '{}' in exclusive use", self.name);
            return Err(Refusal::new(ReplyCode::AccessRefused, text));
        }
        Ok(asked)
    }

    /// What quorum queues and streams refuse.
    fn check_kind_of_consumer(
        &self,
        at: Address,
        queue: &Queue,
        consume: &Consume<'_>,
    ) -> Result<(), Refusal> {
        let channel = self.sessions.one(at.session).and_then(|session| session.channel(at.channel));
        let (own, global) = channel.map_or((0, 0), |channel| (channel.prefetch, channel.prefetch_global));
        let name = format!("queue '{}' in vhost '{}'", queue.name(), self.name);
        if queue.is_stream() && own == 0 {
            let text = format!("consumer prefetch count is not set for stream {name}");
            return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
        }
        if queue.is_stream() && consume.no_ack {
            let text = format!("automatic acknowledgement not supported by stream {name}");
            return Err(Refusal::new(ReplyCode::NotImplemented, text));
        }
        if global != 0 {
            return Err(Refusal::new(
                ReplyCode::NotImplemented,
                format!("{name} does not support global qos"),
            ));
        }
        Ok(())
    }

    fn cancel_asked(&mut self, at: Address, cancel: &Cancel<'_>) {
        self.cancel(at, cancel.consumer_tag);
        if !cancel.no_wait {
            let consumer_tag = cancel.consumer_tag;
            self.answer(at, |number, out| CancelOk { consumer_tag }.encode(number, out));
        }
    }

    /// Takes a consumer away; what it holds stays with its channel.
    pub(in crate::vhost) fn cancel(&mut self, at: Address, tag: &str) {
        let Some(channel) = self.channel_mut(at) else { return };
        if channel.reply_to.as_ref().is_some_and(|(own, _)| &**own == tag) {
            let key = channel.reply_to.take();
            if let Some((_, key)) = key {
                self.replies.remove(&key);
            }
            return;
        }
        let Some((id, consumer)) = channel.consumers.remove(tag) else { return };
        self.remove_consumer(id, consumer);
    }

    fn get(&mut self, at: Address, get: &Get<'_>) -> Result<(), Refusal> {
        let name = self.name_meant(at, get.queue)?;
        self.check(at.session, Action::Read, Resource::Queue(&name))?;
        let id = self.queue_of(at, &name)?;
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return Ok(()) };
        queue.used_at_ms = now_ms;
        if queue.is_stream() {
            let text =
                format!("basic.get not supported by stream queues queue '{name}' in vhost '{}'", self.name);
            return Err(Refusal::new(ReplyCode::NotImplemented, text));
        }
        queue.getters.push_back((at, get.no_ack));
        if let Some(session) = self.sessions.one_mut(at.session) {
            session.getting = Some((at.channel, id));
        }
        self.serve_getters(id);
        self.touch(id);
        Ok(())
    }

    /// Gives those who asked by `basic.get` what is next, or the word that there is nothing. Who asked for what is on
    /// the disk waits.
    pub(in crate::vhost) fn serve_getters(&mut self, id: QueueId) {
        loop {
            // Without a getter what expires at once is left to who waits for it.
            if self.queues.one(id).is_none_or(|queue| queue.getters.is_empty()) {
                return;
            }
            self.drop_expired(id);
            let now_ms = self.now_ms;
            let Some(queue) = self.queues.one_mut(id) else { return };
            let Some((at, no_ack)) = queue.getters.front().copied() else { return };
            let Contents::Lines(lines) = &mut queue.contents else { return };
            let mut entry = lines.pop();
            if let Some(entry) = entry.take_if(|entry| entry.is_expired(now_ms)) {
                let (queue, number) = (queue.id, queue.number);
                self.turn.dead.push_back(Dead { queue, number, entry, reason: Reason::Expired });
                continue;
            }
            if entry.is_none() && lines.ready() > 0 {
                return;
            }
            queue.getters.pop_front();
            self.has_got(at);
            match entry {
                Some(entry) => {
                    // What stands behind it and has expired does not count any more.
                    self.drop_expired(id);
                    self.hand_over(id, at, no_ack, entry);
                }
                None => {
                    if let Some(queue) = self.queues.one_mut(id) {
                        queue.stats.got_empty += 1;
                    }
                    self.answer(at, |number, out| GetEmpty {}.encode(number, out));
                }
            }
        }
    }

    /// What they wait for cannot come any more: they are told that there is nothing.
    pub(in crate::vhost) fn give_up_getters(&mut self, id: QueueId) {
        let Some(queue) = self.queues.one_mut(id) else { return };
        for (at, _) in std::mem::take(&mut queue.getters) {
            self.has_got(at);
            self.answer(at, |number, out| GetEmpty {}.encode(number, out));
        }
    }

    /// Who asked is listened to again.
    pub(in crate::vhost) fn has_got(&mut self, at: Address) {
        if let Some(session) = self.sessions.one_mut(at.session) {
            session.getting = None;
            self.turn.has_bytes(at.session, session);
        }
    }

    fn hand_over(&mut self, id: QueueId, at: Address, no_ack: bool, mut entry: crate::queue::Entry) {
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return };
        let session =
            self.sessions.one_mut(at.session).filter(|session| session.channel(at.channel).is_some());
        let (Some(session), Some(message)) = (session, entry.message.clone()) else {
            // Who asked has gone meanwhile.
            if let Contents::Lines(lines) = &mut queue.contents {
                lines.put_back(entry);
            }
            return;
        };
        let tag = session.channel_mut(at.channel).map_or(0, |channel| channel.next_tag());
        let handover = Handover {
            channel: at.channel,
            delivery_tag: tag,
            redelivered: entry.redelivered,
            extra: wire::extra_header(&queue.settings, &entry),
        };
        let left = u32::try_from(queue.ready()).unwrap_or(u32::MAX);
        wire::got(session, handover, left, &message);
        self.turn.has_bytes(at.session, session);
        queue.stats.redelivered += u64::from(entry.redelivered);
        if no_ack {
            queue.stats.got_no_ack += 1;
            settle(queue, &mut self.store, &entry);
            return;
        }
        queue.stats.got += 1;
        queue.went_out(&entry);
        let seq = entry.seq;
        let before = queue.delivered_up_to;
        mark(queue, &entry, seq);
        if queue.delivered_up_to > before {
            self.store.delivered(queue.number, queue.delivered_up_to);
        }
        hold(session, at.channel, &mut entry);
        let delivery = Delivery { queue: id, number: queue.number, consumer: None, entry, at_ms: now_ms };
        if let Some(channel) = session.channel_mut(at.channel) {
            channel.unacked.push(tag, delivery);
        }
    }

    /// `basic.consume` of `amq.rabbitmq.reply-to`: replies come straight to this channel.
    fn consume_replies(&mut self, at: Address, consume: &Consume<'_>) -> Result<(), Refusal> {
        if !consume.no_ack {
            return Err(Refusal::new(ReplyCode::PreconditionFailed, "reply consumer cannot acknowledge"));
        }
        let tag = self.new_tag(at, consume.consumer_tag)?;
        let Some(channel) = self.channel_mut(at) else { return Ok(()) };
        if channel.reply_to.is_some() {
            return Err(Refusal::new(ReplyCode::PreconditionFailed, "reply consumer already set"));
        }
        let key: Rc<str> = format!("{PSEUDO_QUEUE}.{}", super::queue::random_name()).into();
        channel.reply_to = Some((Rc::clone(&tag), Rc::clone(&key)));
        self.replies.insert(key, at);
        if !consume.no_wait {
            self.answer(at, |number, out| ConsumeOk { consumer_tag: &tag }.encode(number, out));
        }
        Ok(())
    }

    /// Gives a reply to who waits for it; whether somebody does.
    pub(in crate::vhost) fn answers_directly(
        &mut self,
        exchange: &str,
        key: &str,
        message: &crate::message::Message,
    ) -> bool {
        if !exchange.is_empty() || !key.starts_with(PSEUDO_QUEUE) {
            return false;
        }
        let Some(at) = self.replies.get(key).copied() else { return false };
        let Some(session) = self.sessions.one_mut(at.session) else { return false };
        let Some(channel) = session.channel_mut(at.channel) else { return false };
        let Some((tag, _)) = channel.reply_to.clone() else { return false };
        let delivery_tag = channel.next_tag();
        channel.counts.delivered += 1;
        let handover = Handover { channel: at.channel, delivery_tag, redelivered: false, extra: None };
        wire::delivery(session, &tag, handover, message);
        self.turn.has_bytes(at.session, session);
        true
    }
}
