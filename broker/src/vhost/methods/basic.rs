//! `basic.…`: qos, consume, cancel, get. Publishing comes with its content, acknowledging has a file of its own.

use std::rc::Rc;

use super::exchange::table;
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::{
            Basic, Method,
            basic::{Cancel, CancelOk, Consume, ConsumeOk, Get, GetEmpty, Qos, QosOk},
        },
        reply::ReplyCode,
        value::{FieldTable, FieldValue},
    },
    exchange::QueueId,
    queue::{Address, Contents, Offset, Wish},
    vhost::{
        Vhost,
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
            // An answer to our basic.cancel.
            Basic::CancelOk(_) => Ok(()),
            _ => Err(refuse::not_for_servers(&Method::Basic(*method))),
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
        self.check_consume(at, id, consume, &arguments)?;
        let prefetch = self.channel_mut(at).map_or(0, |channel| channel.prefetch);
        let offset = self.offset_of(id, &arguments)?;
        let wish = Wish {
            address: at,
            tag: Rc::clone(&tag),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority: priority_of(&arguments)?,
            prefetch,
            arguments,
        };
        let now_ms = self.now_ms;
        let Some(queue) = self.queues.one_mut(id) else { return Ok(()) };
        let consumer = queue.consumers.add(wish);
        queue.had_consumer = true;
        queue.used_at_ms = now_ms;
        if let Contents::Stream(stream) = &mut queue.contents {
            stream.attach(consumer, offset);
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

    fn check_consume(
        &self,
        at: Address,
        id: QueueId,
        consume: &Consume<'_>,
        arguments: &FieldTable,
    ) -> Result<(), Refusal> {
        let Some(queue) = self.queues.one(id) else { return Ok(()) };
        let name = queue.name();
        let in_use = || {
            let text = format!("queue '{name}' in vhost '{}' in exclusive use", self.name);
            Err(Refusal::new(ReplyCode::AccessRefused, text))
        };
        let single = queue.settings.single_active_consumer;
        if !single && (queue.consumers.is_exclusive() || (consume.exclusive && !queue.consumers.is_empty())) {
            return in_use();
        }
        if single && consume.exclusive {
            return in_use();
        }
        if queue.is_stream() {
            let channel = self.sessions.one(at.session).and_then(|session| session.channel(at.channel));
            let prefetch = channel.map_or(0, |channel| channel.prefetch.max(channel.prefetch_global));
            if consume.no_ack {
                let text =
                    format!("no-ack is not supported by streams: queue '{name}' in vhost '{}'", self.name);
                return Err(Refusal::new(ReplyCode::NotImplemented, text));
            }
            if prefetch == 0 {
                let text = format!(
                    "consumer prefetch count is not set for stream queue '{name}' in vhost '{}'",
                    self.name
                );
                return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
            }
        }
        let _ = arguments;
        Ok(())
    }

    fn offset_of(&self, id: QueueId, arguments: &FieldTable) -> Result<Offset, Refusal> {
        if !self.queues.one(id).is_some_and(crate::queue::Queue::is_stream) {
            return Ok(Offset::Next);
        }
        let wished = arguments.find("x-stream-offset");
        Offset::parse(wished, self.now_ms).ok_or_else(|| {
            let shown = wished.and_then(FieldValue::as_str).unwrap_or("a value of another type");
            let text = format!("invalid x-stream-offset '{shown}': give first, last, next, a number, a timestamp or an interval");
            Refusal::new(ReplyCode::PreconditionFailed, text)
        })
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
        self.serve_getters(id);
        self.touch(id);
        Ok(())
    }

    /// Gives those who asked by `basic.get` what is next, or the word that there is nothing. Who asked for what is on
    /// the disk waits.
    pub(in crate::vhost) fn serve_getters(&mut self, id: QueueId) {
        loop {
            self.drop_expired(id);
            let Some(queue) = self.queues.one_mut(id) else { return };
            let Some((at, no_ack)) = queue.getters.front().copied() else { return };
            let Contents::Lines(lines) = &mut queue.contents else { return };
            let entry = lines.pop();
            if entry.is_none() && lines.ready() > 0 {
                return;
            }
            queue.getters.pop_front();
            match entry {
                Some(entry) => self.hand_over(id, at, no_ack, entry),
                None => {
                    queue.stats.got_empty += 1;
                    self.answer(at, |number, out| GetEmpty {}.encode(number, out));
                }
            }
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

/// `x-priority`.
fn priority_of(arguments: &FieldTable) -> Result<i32, Refusal> {
    match arguments.find("x-priority") {
        None => Ok(0),
        Some(value) => value.as_integer().and_then(|number| i32::try_from(number).ok()).ok_or_else(|| {
            Refusal::new(ReplyCode::PreconditionFailed, "invalid x-priority: give a number of 32 bits")
        }),
    }
}
