//! From a publish to the queues: routed, stored once, put in everywhere, confirmed when it is safe.
//!
//! ```text
//!  content ─▶ checks ─▶ route ─▶ no queue: returned if mandatory, confirmed
//!                         │
//!                         ├─▶ held by a delayed exchange
//!                         └─▶ admitted by all? ─▶ stored once ─▶ each queue ─▶ confirmed once durable
//!                                   └─ no: nack
//! ```

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Vhost, carbon,
    channel::Mode,
    confirms::Confirmation,
    dead::{Dead, Reason},
    expiration,
    refuse::{self, Refusal},
    store, wire,
};
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        method::basic::{Ack, Nack},
        properties::{self, Summary},
        reply::ReplyCode,
        table::{RawTable, view::ValueView},
        value::{FieldTable, FieldValue},
    },
    exchange::{self, ExchangeId, QueueId, header::NoHeaders},
    log::{
        position::Position,
        record::{MessageFlags, Target},
    },
    message::{Message, Parts, Traits},
    queue::{Address, Admission, Contents, Entry, Queue},
};

/// The header that identifies a message for deduplication.
const DEDUPLICATION: &str = "x-deduplication-header";

/// A publish with its content.
#[derive(Debug)]
pub(super) struct Publish<'a> {
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a str,
    pub(super) mandatory: bool,
    pub(super) immediate: bool,
    /// Property flags and list.
    pub(super) properties: &'a [u8],
    pub(super) body: Body<'a>,
}

/// A body as it was read.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// In the read buffer, to be copied.
    Borrowed(&'a [u8]),
    /// Held by itself.
    Shared(Bytes),
}

impl Body<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }
}

/// What routing looks at.
#[derive(Debug)]
pub(super) struct Routing<'a> {
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a str,
    pub(super) copies: &'a [String],
    pub(super) headers: Option<&'a FieldTable>,
}

/// A publish that is checked and routed, and waits for its transaction or goes on at once.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Arc<Message>,
    pub(super) exchange: ExchangeId,
    pub(super) mandatory: bool,
    pub(super) keys: Vec<String>,
    pub(super) headers: Option<FieldTable>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// No queue took it.
    Unroutable,
    /// A queue refused it.
    Refused,
    /// It is safe when all before this is; none where nothing was stored.
    Placed(Option<Position>),
}

impl Vhost {
    /// A publish has come in whole.
    pub(super) fn publish(&mut self, at: Address, publish: &Publish<'_>) -> Result<(), Refusal> {
        if publish.immediate {
            return Err(Refusal::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let exchange = self.may_publish(at, publish)?;
        let summary = Summary::of(publish.properties)?;
        let traits = self.traits_of(at, &summary)?;
        let raw = summary.headers;
        let (keys, rewritten) = carbon::copies(publish.properties, raw)?;
        let reply = self.reply_key(at, summary.reply_to)?;
        let rewritten = match reply {
            Some(key) => {
                let from = rewritten.as_deref().unwrap_or(publish.properties);
                let named = properties::rewrite(from, |properties| properties.reply_to = Some(key.into()));
                Some(named?)
            }
            None => rewritten,
        };
        let parts = Parts {
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            properties: rewritten.as_deref().unwrap_or(publish.properties),
        };
        let message = match &publish.body {
            Body::Borrowed(body) => Message::inline(parts, body, traits, self.now_ms),
            Body::Shared(body) => Message::new(parts, body.clone(), traits, self.now_ms),
        };
        self.stats.published += 1;
        self.note_publisher(at.session);
        let Some(session) = self.sessions.one_mut(at.session) else { return Ok(()) };
        let Some(channel) = session.channel_mut(at.channel) else { return Ok(()) };
        channel.counts.published += 1;
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let headers = raw.and_then(|raw| raw.decode().ok());
            let mandatory = publish.mandatory;
            return transaction.publish(Outgoing { message, exchange, mandatory, keys, headers });
        }
        let tag = match &mut channel.mode {
            Mode::Confirm(confirms) => Some(confirms.next_tag()),
            Mode::Plain | Mode::Transaction(_) => None,
        };
        if self.answers_directly(publish.exchange, publish.routing_key, &message) {
            self.confirm(at, tag, Fate::Placed(None));
            return Ok(());
        }
        if tag.is_some() && self.refuses_publishes() {
            self.confirm(at, tag, Fate::Refused);
            return Ok(());
        }
        self.route_raw(exchange, publish.routing_key, &keys, raw);
        let fate = self.place(&message, raw);
        self.settle_publish(at, tag, fate, publish.mandatory, &message);
        Ok(())
    }

    /// Rights, and an exchange that takes it.
    fn may_publish(&mut self, at: Address, publish: &Publish<'_>) -> Result<ExchangeId, Refusal> {
        self.check(at.session, Action::Write, Resource::Exchange(publish.exchange))?;
        let exchange =
            self.topology.publishable(publish.exchange).map_err(|error| refuse::topology(&error))?;
        if let Some(found) = self.topology.exchange(exchange)
            && found.attributes().kind.matching() == exchange::kind::Matching::Topic
        {
            self.check_topic(at.session, Action::Write, publish.exchange, publish.routing_key)?;
        }
        let limit = self.limits.message_bytes_max;
        if publish.body.len() > limit {
            let text =
                format!("message size {} is larger than configured max size {limit}", publish.body.len());
            return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
        }
        Ok(exchange)
    }

    fn traits_of(&self, at: Address, summary: &Summary<'_>) -> Result<Traits, Refusal> {
        if let Some(claimed) = summary.user_id {
            let user = self.sessions.one(at.session).map(|session| &session.info.user);
            if user.is_some_and(|user| user.name.as_bytes() != claimed && !user.may_impersonate()) {
                let claimed = String::from_utf8_lossy(claimed);
                let name = user.map_or("", |user| &user.name);
                let text = format!("user_id property set to '{claimed}' but authenticated user was '{name}'");
                return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
            }
        }
        let expiration_ms = match summary.expiration {
            Some(text) => Some(expiration::parse(text)?),
            None => None,
        };
        let (persistent, priority) = (summary.persistent, summary.priority.unwrap_or(0));
        Ok(Traits { persistent, priority, expiration_ms, has_died: false })
    }

    /// Finds the queues of a message whose headers are still bytes.
    fn route_raw(&mut self, start: ExchangeId, key: &str, more: &[String], headers: Option<RawTable<'_>>) {
        let headers = headers.map(super::headers::RawHeaders);
        let view: &dyn exchange::header::HeaderView = match &headers {
            Some(headers) => headers,
            None => &NoHeaders,
        };
        if more.is_empty() {
            let message = exchange::message::Message { keys: &[key], headers: view };
            return self.topology.route(start, &message, &mut self.routed);
        }
        let keys: Vec<&str> = std::iter::once(key).chain(more.iter().map(String::as_str)).collect();
        self.topology.route(
            start,
            &exchange::message::Message { keys: &keys, headers: view },
            &mut self.routed,
        );
    }

    /// Finds the queues of a message that the broker itself publishes; an error where there is no such exchange.
    pub(super) fn route(&mut self, routing: &Routing<'_>) -> Result<(), Refusal> {
        let start = match routing.exchange {
            "" => exchange::topology::DEFAULT,
            name => self.topology.passive(name).map_err(|error| refuse::topology(&error))?,
        };
        let keys: Vec<&str> =
            std::iter::once(routing.routing_key).chain(routing.copies.iter().map(String::as_str)).collect();
        let headers: &dyn exchange::header::HeaderView = match routing.headers {
            Some(headers) => headers,
            None => &NoHeaders,
        };
        self.topology.route(start, &exchange::message::Message { keys: &keys, headers }, &mut self.routed);
        Ok(())
    }

    /// Puts a routed message where it goes.
    pub(super) fn place(&mut self, message: &Arc<Message>, headers: Option<RawTable<'_>>) -> Fate {
        let mut stored = None;
        for at in 0..self.routed.delays().len() {
            if let Some(delay) = self.routed.delays().get(at).copied() {
                stored = stored.max(self.hold(message, delay));
            }
        }
        if self.routed.is_unroutable() {
            return Fate::Unroutable;
        }
        let mut targets = std::mem::take(&mut self.targets);
        targets.clear();
        targets.extend_from_slice(self.routed.queues());
        if let Some(id) = headers.and_then(|headers| headers.find(DEDUPLICATION)) {
            self.leave_out_repeated(&mut targets, id);
        }
        let all = targets.len();
        self.leave_out_refusing(message, &mut targets);
        let refused = targets.len() < all;
        stored = stored.max(self.put(message, &targets));
        self.targets = targets;
        if refused { Fate::Refused } else { Fate::Placed(stored) }
    }

    /// Queues that have seen it already do not see it again.
    fn leave_out_repeated(&mut self, targets: &mut Vec<QueueId>, id: ValueView<'_>) {
        let Ok(id) = id.decode() else { return };
        let bytes = match &id {
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => bytes.to_vec(),
            other => format!("{other:?}").into_bytes(),
        };
        let now_ms = self.now_ms;
        targets.retain(|target| {
            let Some(queue) = self.queues.one_mut(*target) else { return false };
            let Some(window) = &mut queue.dedup else { return true };
            let repeated = window.is_repeated(&bytes, None, now_ms);
            queue.stats.deduplicated += u64::from(repeated);
            !repeated
        });
    }

    /// Queues that are full and refuse it.
    fn leave_out_refusing(&mut self, message: &Arc<Message>, targets: &mut Vec<QueueId>) {
        let bytes = message.body().len();
        let refuses = |vhost: &Self, id: QueueId| {
            vhost.queues.one(id).map_or(Admission::In, |queue| queue.admits(bytes))
        };
        let mut at = 0;
        while let Some(id) = targets.get(at).copied() {
            let mut admission = refuses(self, id);
            if admission != Admission::In {
                // Who has room takes first what is there: only then is it full.
                self.dispatch(id);
                admission = refuses(self, id);
            }
            if admission == Admission::In {
                at += 1;
                continue;
            }
            targets.remove(at);
            if let Some(queue) = self.queues.one_mut(id) {
                queue.stats.refused += 1;
            }
            if admission == Admission::RefusedDead {
                self.bury_refused(id, message);
            }
        }
    }

    /// Stores a message and puts it into all these queues; up to where it is stored.
    pub(super) fn put(&mut self, message: &Arc<Message>, queues: &[QueueId]) -> Option<Position> {
        let traits = message.traits();
        let mut stored: smallvec::SmallVec<[Target; 4]> = smallvec::SmallVec::new();
        let mut expires_at_ms = 0;
        for id in queues {
            let Some(queue) = self.queues.one_mut(*id).filter(|queue| queue.stores(traits.persistent)) else {
                continue;
            };
            let expiry = queue.expiry(traits.expiration_ms, self.now_ms);
            expires_at_ms = expires_at_ms.max(expiry);
            let flags = u8::from(expiry != 0);
            stored.push(Target { queue: queue.number, seq: queue.next_seq(), flags });
        }
        let position = match stored.is_empty() {
            true => None,
            false => Some(self.store.message(message, expires_at_ms, &stored, MessageFlags::PERSISTENT)),
        };
        let memory = self.memory();
        for id in queues {
            let Some(queue) = self.queues.one_mut(*id) else { continue };
            let entry = enter(queue, message, self.now_ms, position);
            queue.stats.published += 1;
            match &mut queue.contents {
                Contents::Lines(lines) => lines.push(entry, memory),
                Contents::Stream(stream) => {
                    if !stream.has_unsafe() {
                        self.growing.push(*id);
                    }
                    stream.push(Arc::clone(message));
                }
            }
            self.touch(*id);
        }
        position.map(|_| self.store.end())
    }

    /// Confirms or refuses a publish, and returns it where it was mandatory and went nowhere.
    pub(super) fn settle_publish(
        &mut self,
        at: Address,
        tag: Option<u64>,
        fate: Fate,
        mandatory: bool,
        message: &Arc<Message>,
    ) {
        if fate == Fate::Unroutable {
            self.stats.unroutable += 1;
            if mandatory {
                self.give_back(at, message);
            }
        }
        self.confirm(at, tag, fate);
    }

    fn give_back(&mut self, at: Address, message: &Arc<Message>) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        self.stats.returned += 1;
        if let Some(channel) = session.channel_mut(at.channel) {
            channel.counts.returned += 1;
        }
        let code = ReplyCode::NoRoute;
        wire::returned(session, at.channel, (code.number(), code.name()), message);
        self.turn.has_bytes(at.session, session);
    }

    /// Says what became of a publish in confirm mode, now or when it is safe.
    fn confirm(&mut self, at: Address, tag: Option<u64>, fate: Fate) {
        let Some(tag) = tag else { return };
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        let Some(channel) = session.channel_mut(at.channel) else { return };
        let Mode::Confirm(confirms) = &mut channel.mode else { return };
        if fate == Fate::Refused {
            // As RabbitMQ: all before it, unless one of them is still on its way.
            Nack { delivery_tag: tag, multiple: confirms.is_empty(), requeue: true }
                .encode(at.channel, session.outbox.buffer());
            self.turn.has_bytes(at.session, session);
            return;
        }
        let position = match fate {
            Fate::Placed(position) => position,
            Fate::Unroutable | Fate::Refused => None,
        };
        // Told at the end of the turn, many with one word.
        if confirms.is_empty() {
            self.unconfirmed.push(at);
        }
        confirms.wait(tag, position);
    }
}

impl Vhost {
    /// A full queue's dead-letter exchange gets what it refuses.
    fn bury_refused(&mut self, id: QueueId, message: &Arc<Message>) {
        let Some(queue) = self.queues.one(id) else { return };
        let entry = Entry {
            seq: 0,
            message: Some(Arc::clone(message)),
            expires_at_ms: 0,
            size: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
            delivery_count: 0,
            priority: 0,
            redelivered: false,
            stored: false,
        };
        let number = queue.number;
        self.turn.dead.push_back(Dead { queue: id, number, entry, reason: Reason::MaxLength });
    }

    /// Tells publishers what is safe by now; many publishes with one word.
    pub(super) fn tell_confirms(&mut self) {
        let durable = self.store.durable();
        for at in std::mem::take(&mut self.unconfirmed) {
            let Some(session) = self.sessions.one_mut(at.session) else { continue };
            let Some(channel) = session.channel_mut(at.channel) else { continue };
            let Mode::Confirm(confirms) = &mut channel.mode else { continue };
            let told = confirms.durable(durable);
            let waits = !confirms.is_empty();
            if let Some(Confirmation { tag, multiple, count }) = told {
                channel.counts.confirmed += count;
                self.stats.confirmed += count;
                Ack { delivery_tag: tag, multiple }.encode(at.channel, session.outbox.buffer());
                self.turn.has_bytes(at.session, session);
            }
            if waits {
                self.unconfirmed.push(at);
            }
        }
    }
}

/// The entry of a message in a queue; in its index, where it is stored.
fn enter(queue: &mut Queue, message: &Arc<Message>, now_ms: u64, position: Option<Position>) -> Entry {
    let traits = message.traits();
    let stored = position.filter(|_| queue.stores(traits.persistent));
    let expires_at_ms = queue.expiry(traits.expiration_ms, now_ms);
    let (seq, priority) = match &mut queue.contents {
        Contents::Lines(lines) => (lines.take_seq(), traits.priority.min(lines.max_priority())),
        Contents::Stream(stream) => (stream.next_seq(), 0),
    };
    let entry = Entry {
        seq,
        message: Some(Arc::clone(message)),
        expires_at_ms,
        size: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
        delivery_count: 0,
        priority,
        redelivered: false,
        stored: stored.is_some(),
    };
    if let Some(position) = stored {
        queue.index.insert(seq, store::slot_of(position, &entry));
    }
    entry
}
