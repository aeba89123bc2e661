//! A lean client of AMQP 0-9-1 for tests: one connection, used by one task, everything in the order of the wire. It
//! reconnects never and retries nothing, so that a test sees what the broker does. Its wire is the broker's own room
//! `amqp`; clients of others, in `tests/interop`, judge that.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use tokio::time::timeout;
use weft_broker::amqp::{
    frame::{FRAME_END, FrameKind, write_body, write_frame_head},
    method::{self, Basic, Method, Queue, basic, channel, confirm, exchange, queue},
    properties::PropertiesView,
    table::{RawTable, encode_table, view::ValueView},
    value::{FieldTable, FieldValue},
};

mod link;
mod outstanding;

pub use outstanding::{Outstanding, Publisher, Settled};

use link::{Incoming, Link};

/// The properties of a persistent message and nothing else: flags, delivery mode.
pub const PERSISTENT: [u8; 3] = [0x10, 0, 2];
/// The properties of a message without any.
pub const TRANSIENT: [u8; 2] = [0, 0];
/// How long an answer may take, on a machine that others use as well.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A message for a consumer, or of `basic.get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The channel it came on.
    pub channel: u16,
    /// The consumer's name, empty for `basic.get`.
    pub consumer: String,
    /// For its acknowledgement.
    pub tag: u64,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// Flags and property list.
    pub properties: Bytes,
    /// The body.
    pub body: Bytes,
}

impl Delivery {
    /// Its place in a stream.
    ///
    /// # Errors
    /// When it says none.
    pub fn stream_offset(&self) -> anyhow::Result<i64> {
        let properties = PropertiesView::parse(&self.properties)?;
        match properties.headers.and_then(|headers| headers.find("x-stream-offset")) {
            Some(ValueView::I64(offset)) => Ok(offset),
            other => bail!("the offset of a stream's message is {other:?}"),
        }
    }
}

/// What comes without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The broker has taken published messages, or has not.
    Confirm {
        /// The channel.
        channel: u16,
        /// The message, counted from 1 on its channel.
        tag: u64,
        /// Whether all before it are meant, too.
        multiple: bool,
        /// An ack; a nack otherwise.
        taken: bool,
    },
    /// A message.
    Delivery(Delivery),
    /// A consumer has ended.
    Cancelled(String),
    /// Publishers are to wait, for this reason.
    Blocked(String),
    /// They may go on.
    Unblocked,
}

/// A connection to a broker, as guest.
#[derive(Debug)]
pub struct Client {
    link: Link,
    waiting: VecDeque<Event>,
    /// Messages published so far on each channel with confirms: their tags count on.
    published: HashMap<u16, u64>,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When that is refused, or takes longer than [`ANSWER_TIMEOUT`].
    pub async fn connect(at: SocketAddr) -> anyhow::Result<Self> {
        let link = timeout(ANSWER_TIMEOUT, Link::open(at)).await.context("no login in time")??;
        Ok(Self { link, waiting: VecDeque::new(), published: HashMap::new() })
    }

    /// The same, with channel 1 open on it.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn with_channel(at: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self::connect(at).await?;
        client.open(1).await?;
        Ok(client)
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn open(&mut self, channel: u16) -> anyhow::Result<()> {
        self.call(channel, &Method::Channel(method::Channel::Open(channel::Open {}))).await?;
        Ok(())
    }

    /// Asks for confirms on a channel.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn confirm(&mut self, channel: u16) -> anyhow::Result<()> {
        let select = confirm::Select { no_wait: false };
        self.call(channel, &Method::Confirm(method::Confirm::Select(select))).await?;
        self.published.entry(channel).or_insert(0);
        Ok(())
    }

    /// Publishes on a channel, with confirms from now on.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn publisher(&mut self, channel: u16) -> anyhow::Result<Publisher<'_>> {
        self.confirm(channel).await?;
        let before = self.published.get(&channel).copied().unwrap_or(0);
        Ok(Publisher::new(self, channel, before))
    }

    /// Declares a durable queue; `arguments` such as `x-queue-type`, as text or numbers.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn declare(&mut self, name: &str, arguments: &[(&str, FieldValue)]) -> anyhow::Result<()> {
        let arguments = table(arguments);
        let declare = queue::Declare {
            queue: name,
            durable: true,
            arguments: RawTable::new(&arguments),
            ..queue::Declare::default()
        };
        self.call(1, &Method::Queue(Queue::Declare(declare))).await?;
        Ok(())
    }

    /// Messages of a queue that are ready for delivery.
    ///
    /// # Errors
    /// When there is no such queue; as [`Self::call`].
    pub async fn ready(&mut self, name: &str) -> anyhow::Result<u32> {
        let declare = queue::Declare { queue: name, passive: true, ..queue::Declare::default() };
        let reply = self.call(1, &Method::Queue(Queue::Declare(declare))).await?;
        match Method::decode(&reply)? {
            Method::Queue(Queue::DeclareOk(ok)) => Ok(ok.message_count),
            other => bail!("{} answers a declare", other.name()),
        }
    }

    /// Declares a durable exchange.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn declare_exchange(&mut self, name: &str, kind: &str) -> anyhow::Result<()> {
        let declare =
            exchange::Declare { exchange: name, kind, durable: true, ..exchange::Declare::default() };
        let method = method::Exchange::Declare(declare);
        self.call(1, &Method::Exchange(method)).await?;
        Ok(())
    }

    /// Writes a binding without asking for an answer: a [`Self::barrier`] says when it is there.
    pub fn bind(&mut self, queue: &str, exchange: &str, routing_key: &str) {
        let bind = queue::Bind { queue, exchange, routing_key, no_wait: true, ..queue::Bind::default() };
        bind.encode(1, &mut self.link.out);
    }

    /// Writes a message; [`Self::flush`] sends it.
    pub fn publish(&mut self, channel: u16, exchange: &str, key: &str, properties: &[u8], body: &[u8]) {
        self.published.entry(channel).and_modify(|count| *count += 1);
        let out = &mut self.link.out;
        let publish = basic::Publish { exchange, routing_key: key, mandatory: false, immediate: false };
        publish.encode(channel, out);
        let size = u32::try_from(12 + properties.len()).unwrap_or(u32::MAX);
        write_frame_head(FrameKind::Header, channel, size, out);
        out.extend_from_slice(&basic::CLASS.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        out.extend_from_slice(properties);
        out.push(FRAME_END);
        write_body(channel, body, self.link.tuning.frame_max, out);
    }

    /// How many unacknowledged messages each new consumer of a channel may have.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn prefetch(&mut self, channel: u16, count: u16) -> anyhow::Result<()> {
        let qos = basic::Qos { prefetch_count: count, ..basic::Qos::default() };
        self.call(channel, &Method::Basic(Basic::Qos(qos))).await?;
        Ok(())
    }

    /// Begins to consume, acknowledging.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn consume(
        &mut self,
        channel: u16,
        queue: &str,
        arguments: &[(&str, FieldValue)],
    ) -> anyhow::Result<()> {
        let arguments = table(arguments);
        let consume =
            basic::Consume { queue, arguments: RawTable::new(&arguments), ..basic::Consume::default() };
        self.call(channel, &Method::Basic(Basic::Consume(consume))).await?;
        Ok(())
    }

    /// Writes an acknowledgement; [`Self::flush`] sends it.
    pub fn ack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        basic::Ack { delivery_tag, multiple }.encode(channel, &mut self.link.out);
    }

    /// Takes one message of a queue, if there is one; it waits for its acknowledgement.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn take(&mut self, channel: u16, queue: &str) -> anyhow::Result<Option<Delivery>> {
        basic::Get { queue, no_ack: false }.encode(channel, &mut self.link.out);
        match self.answer(channel).await? {
            Incoming::Got(delivery) => Ok(Some(delivery)),
            _ => Ok(None),
        }
    }

    /// Returns when the broker has done all that was written on a channel before.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn barrier(&mut self, channel: u16) -> anyhow::Result<()> {
        let flow = method::Channel::Flow(channel::Flow { active: true });
        self.call(channel, &Method::Channel(flow)).await?;
        Ok(())
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        self.link.flush().await
    }

    /// Says that this side lives.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn beat(&mut self) -> anyhow::Result<()> {
        self.link.beat().await
    }

    /// What comes next, however long that takes. May be dropped and called again.
    ///
    /// # Errors
    /// When the broker closes the channel or the connection: with its code and text.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(event);
        }
        match self.link.receive().await? {
            Incoming::Event(event) => Ok(event),
            other => bail!("nobody asked for {other:?}"),
        }
    }

    /// What comes next within a time, if anything does.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_within(&mut self, time: Duration) -> anyhow::Result<Option<Event>> {
        timeout(time, self.next()).await.ok().transpose()
    }

    /// Why the broker ends the channel or the connection; what comes before is dropped.
    pub async fn end(&mut self) -> anyhow::Error {
        loop {
            if let Err(reason) = self.next().await {
                return reason;
            }
        }
    }

    /// The next message; other events before it are dropped.
    ///
    /// # Errors
    /// As [`Self::next`], and when none comes within [`ANSWER_TIMEOUT`].
    pub async fn delivery(&mut self) -> anyhow::Result<Delivery> {
        loop {
            let event = self.next_within(ANSWER_TIMEOUT).await?;
            if let Event::Delivery(delivery) = event.context("no message in time")? {
                return Ok(delivery);
            }
        }
    }

    /// Asks, and waits for the answer's payload; what else comes meanwhile is kept for [`Self::next`].
    ///
    /// # Errors
    /// When the broker closes the channel or the connection: with its code and text. When no answer comes in time.
    pub async fn call(&mut self, channel: u16, request: &Method<'_>) -> anyhow::Result<Bytes> {
        request.encode(channel, &mut self.link.out);
        match self.answer(channel).await? {
            Incoming::Reply(_, payload) => Ok(payload),
            other => bail!("{} is answered with {other:?}", request.name()),
        }
    }

    /// Keeps events for [`Self::next`].
    fn keep(&mut self, events: Vec<Event>) {
        self.waiting.extend(events);
    }

    async fn answer(&mut self, channel: u16) -> anyhow::Result<Incoming> {
        let answer = async {
            self.link.flush().await?;
            loop {
                match self.link.receive().await? {
                    Incoming::Event(event) => self.waiting.push_back(event),
                    Incoming::Reply(at, payload) => {
                        ensure!(at == channel, "channel {at} answers in place of {channel}");
                        return Ok(Incoming::Reply(at, payload));
                    }
                    got @ Incoming::Got(_) => return Ok(got),
                }
            }
        };
        timeout(ANSWER_TIMEOUT, answer).await.context("no answer in time")?
    }
}

fn table(entries: &[(&str, FieldValue)]) -> Vec<u8> {
    let table: FieldTable = entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    encode_table(&table)
}
