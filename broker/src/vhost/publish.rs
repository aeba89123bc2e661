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
    expiration,
    refuse::{self, Refusal},
};
use crate::{
    access::permission::{Action, Resource},
    amqp::{
        content,
        properties::{self, Summary},
        reply::ReplyCode,
        table::RawTable,
    },
    exchange::{self, ExchangeId, header::NoHeaders},
    log::position::Position,
    message::{Message, Parts, Traits},
    queue::Address,
};

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

impl<'a> Body<'a> {
    /// A body as it was put together; `held` where the bytes of its one frame may be kept.
    pub(super) fn of(body: content::Body<'a>, held: Option<&Bytes>) -> Self {
        match (body, held) {
            (content::Body::Gathered(bytes), _) => Self::Shared(bytes.into()),
            (content::Body::Frame(_), Some(held)) => Self::Shared(held.clone()),
            (content::Body::Frame(bytes), None) => Self::Borrowed(bytes),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }
}

/// A publish that is checked and routed, and waits for its transaction or goes on at once.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Arc<Message>,
    pub(super) exchange: ExchangeId,
    pub(super) mandatory: bool,
    pub(super) keys: Vec<String>,
    /// The headers as they came, where they have keys that the message does not show.
    pub(super) headers: Option<Box<[u8]>>,
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
        let (keys, mut rewritten) = carbon::copies(publish.properties, raw)?;
        for key in &keys {
            self.may_use_key(at, exchange, publish.exchange, key)?;
        }
        if let Some(key) = self.reply_key(at, summary.reply_to)? {
            let from = rewritten.as_deref().unwrap_or(publish.properties);
            let named = properties::rewrite(from, |properties| properties.reply_to = Some(key.into()));
            rewritten = Some(named?);
        }
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
        self.carry(at, publish, (exchange, keys), (message, raw))
    }

    /// Within a transaction it waits; else it goes to its queues.
    fn carry(
        &mut self,
        at: Address,
        publish: &Publish<'_>,
        (exchange, keys): (ExchangeId, Vec<String>),
        (message, raw): (Arc<Message>, Option<RawTable<'_>>),
    ) -> Result<(), Refusal> {
        let Some(session) = self.sessions.one_mut(at.session) else { return Ok(()) };
        let Some(channel) = session.channel_mut(at.channel) else { return Ok(()) };
        channel.counts.published += 1;
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let mandatory = publish.mandatory;
            let headers = raw.filter(|raw| carbon::is_blind(*raw)).map(|raw| raw.bytes().into());
            let bytes = message.footprint();
            transaction.publish(Outgoing { message, exchange, mandatory, keys, headers })?;
            return self.keep_hold(at.session, bytes);
        }
        let tag = match &mut channel.mode {
            Mode::Confirm(confirms) => Some(confirms.next_tag()),
            Mode::Plain | Mode::Transaction(_) => None,
        };
        self.stats.published_confirming += u64::from(tag.is_some());
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
        self.may_use_key(at, exchange, publish.exchange, publish.routing_key)?;
        let limit = self.limits.message_bytes_max;
        if publish.body.len() > limit {
            let text =
                format!("message size {} is larger than configured max size {limit}", publish.body.len());
            return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
        }
        Ok(exchange)
    }

    /// Topic permissions, of this key.
    fn may_use_key(&mut self, at: Address, id: ExchangeId, exchange: &str, key: &str) -> Result<(), Refusal> {
        let is_topic = self
            .topology
            .exchange(id)
            .is_some_and(|found| found.attributes().kind.matching() == exchange::kind::Matching::Topic);
        if is_topic { self.check_topic(at.session, Action::Write, exchange, key) } else { Ok(()) }
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
    pub(super) fn route_raw(
        &mut self,
        start: ExchangeId,
        key: &str,
        more: &[String],
        headers: Option<RawTable<'_>>,
    ) {
        let seen = self.windows.seen(headers, self.now_ms);
        let headers = headers.map(super::headers::RawHeaders);
        let view: &dyn exchange::header::HeaderView = match &headers {
            Some(headers) => headers,
            None => &NoHeaders,
        };
        let one = [key];
        let all: Vec<&str>;
        let keys: &[&str] = if more.is_empty() {
            &one
        } else {
            all = std::iter::once(key).chain(more.iter().map(String::as_str)).collect();
            &all
        };
        let message = exchange::message::Message { keys, headers: view, seen: &seen };
        self.topology.route(start, &message, &mut self.routed);
    }
}
