//! The connection below the client: logs in, writes what is encoded, and turns the broker's frames into replies, deliveries
//! and notices. It knows the wire through `weft_broker::amqp`, and nothing of what the client waits for.

use std::{collections::HashMap, net::SocketAddr};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_broker::amqp::{
    content::{Assembler, BODY_OCTETS_MAX, Content},
    frame::{FrameKind, HEARTBEAT, scan},
    handshake::{
        Tuning,
        client::{ClientConfig, ClientEvent, ClientHandshake},
        sasl::{Mechanism, plain_response},
    },
    method::{Basic, Channel, Connection, Method, channel, connection},
    table::encode_table,
    value::{FieldTable, FieldValue},
};

use super::{Delivery, Event};

/// What one read of the socket may bring at least.
const READ_BYTES: usize = 16 * 1024;

/// What the broker sends.
#[derive(Debug)]
pub(super) enum Incoming {
    /// What nobody asked for.
    Event(Event),
    /// A method's payload, as an answer.
    Reply(u16, Bytes),
    /// The answer to `basic.get`.
    Got(Delivery),
}

/// The method before a content, as far as it is kept.
#[derive(Debug)]
struct Head {
    is_answer: bool,
    delivery: Delivery,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    buffer: BytesMut,
    /// Frames to be written with the next flush.
    pub(super) out: Vec<u8>,
    /// What was agreed on.
    pub(super) tuning: Tuning,
    contents: HashMap<u16, Assembler<Head>>,
}

impl Link {
    pub(super) async fn open(at: SocketAddr) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(at).await?;
        socket.set_nodelay(true)?;
        let config = ClientConfig {
            properties: properties(),
            mechanism: Mechanism::Plain.name().to_owned(),
            response: plain_response("guest", b"guest"),
            virtual_host: "/".to_owned(),
            wish: Tuning::default(),
        };
        let (mut out, mut buffer) = (Vec::new(), BytesMut::new());
        let mut handshake = ClientHandshake::begin(config, &mut out);
        loop {
            socket.write_all(&out).await?;
            out.clear();
            let step = handshake.receive(&buffer, &mut out);
            match step.event {
                Some(ClientEvent::Opened) => {
                    buffer.advance(step.consumed);
                    let tuning = handshake.tuning();
                    return Ok(Self { socket, buffer, out, tuning, contents: HashMap::new() });
                }
                Some(event) => bail!("no login: {event:?}"),
                None if step.consumed == 0 => {
                    ensure!(socket.read_buf(&mut buffer).await? > 0, "the broker has closed the socket");
                }
                None => buffer.advance(step.consumed),
            }
        }
    }

    /// Writes what was encoded.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        self.socket.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Writes a heartbeat.
    pub(super) async fn beat(&mut self) -> anyhow::Result<()> {
        self.out.extend_from_slice(&HEARTBEAT);
        self.flush().await
    }

    /// The next that the broker sends. May be dropped and called again.
    pub(super) async fn receive(&mut self) -> anyhow::Result<Incoming> {
        loop {
            let (kind, channel, payload) = self.frame().await?;
            let incoming = match kind {
                FrameKind::Heartbeat => None,
                FrameKind::Method => self.method(channel, &payload)?,
                FrameKind::Header => self.assembler(channel).header(&payload)?.map(|content| whole(content)),
                FrameKind::Body => self.assembler(channel).body(&payload)?.map(|content| whole(content)),
            };
            if let Some(incoming) = incoming {
                return Ok(incoming);
            }
        }
    }

    async fn frame(&mut self) -> anyhow::Result<(FrameKind, u16, Bytes)> {
        loop {
            if let Some(frame) = scan(&self.buffer, self.tuning.frame_max)? {
                let whole = self.buffer.split_to(frame.end).freeze();
                return Ok((frame.kind, frame.channel, whole.slice(frame.payload)));
            }
            self.buffer.reserve(READ_BYTES);
            ensure!(self.socket.read_buf(&mut self.buffer).await? > 0, "the broker has closed the socket");
        }
    }

    fn method(&mut self, at: u16, payload: &[u8]) -> anyhow::Result<Option<Incoming>> {
        let event = match Method::decode(payload)? {
            Method::Basic(Basic::Deliver(method)) => {
                let (tag, redelivered) = (method.delivery_tag, method.redelivered);
                return self.begin(at, false, tag, redelivered, method.consumer_tag);
            }
            Method::Basic(Basic::GetOk(method)) => {
                return self.begin(at, true, method.delivery_tag, method.redelivered, "");
            }
            Method::Basic(Basic::Ack(ack)) => {
                Event::Confirm { channel: at, tag: ack.delivery_tag, multiple: ack.multiple, taken: true }
            }
            Method::Basic(Basic::Nack(nack)) => {
                Event::Confirm { channel: at, tag: nack.delivery_tag, multiple: nack.multiple, taken: false }
            }
            Method::Basic(Basic::Cancel(cancel)) => Event::Cancelled(cancel.consumer_tag.to_owned()),
            Method::Connection(Connection::Blocked(blocked)) => Event::Blocked(blocked.reason.to_owned()),
            Method::Connection(Connection::Unblocked(_)) => Event::Unblocked,
            Method::Connection(Connection::Close(close)) => {
                connection::CloseOk {}.encode(0, &mut self.out);
                bail!("the connection is closed: {} {}", close.reply_code, close.reply_text);
            }
            Method::Channel(Channel::Close(close)) => {
                channel::CloseOk {}.encode(at, &mut self.out);
                bail!("channel {at} is closed: {} {}", close.reply_code, close.reply_text);
            }
            _ => return Ok(Some(Incoming::Reply(at, Bytes::copy_from_slice(payload)))),
        };
        Ok(Some(Incoming::Event(event)))
    }

    fn begin(
        &mut self,
        channel: u16,
        is_answer: bool,
        tag: u64,
        redelivered: bool,
        consumer: &str,
    ) -> anyhow::Result<Option<Incoming>> {
        let (consumer, properties, body) = (consumer.to_owned(), Bytes::new(), Bytes::new());
        let delivery = Delivery { channel, consumer, tag, redelivered, properties, body };
        self.assembler(channel).begin(Head { is_answer, delivery }).context("content within content")?;
        Ok(None)
    }

    fn assembler(&mut self, channel: u16) -> &mut Assembler<Head> {
        self.contents.entry(channel).or_insert_with(|| Assembler::new(BODY_OCTETS_MAX))
    }
}

/// What it can take that AMQP 0-9-1 does not have: without these a broker is silent about them.
fn properties() -> Vec<u8> {
    let names = ["connection.blocked", "basic.nack", "publisher_confirms", "consumer_cancel_notify"];
    let able: FieldTable = names.into_iter().map(|name| (name.to_owned(), FieldValue::Bool(true))).collect();
    let mut all = FieldTable::new();
    all.set("product", FieldValue::text("weft-tests"));
    all.set("capabilities", FieldValue::Table(able));
    encode_table(&all)
}

fn whole(content: Content<'_, Head>) -> Incoming {
    let Head { is_answer, delivery } = content.method;
    let properties = Bytes::copy_from_slice(content.properties);
    let body = Bytes::copy_from_slice(content.body.as_slice());
    let delivery = Delivery { properties, body, ..delivery };
    if is_answer { Incoming::Got(delivery) } else { Incoming::Event(Event::Delivery(delivery)) }
}
