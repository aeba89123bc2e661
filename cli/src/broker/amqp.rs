//! A small AMQP client on the codec of `weft-broker`: it gets messages, publishes with confirms and settles. Bytes go
//! out while answers are waited for, so that neither side waits for the other. It knows no queue's purpose.
//!
//! ```text
//!  connect ─▶ Amqp ── send, publish, settle ──▶ out ──▶ socket
//!               └──── next ◀── Event ◀── frames ◀── input ◀─┘
//! ```

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_broker::amqp::{
    content::{Assembler, BODY_OCTETS_ABSURD},
    frame::{FrameKind, HEARTBEAT, RawFrame, scan, write_body},
    heartbeat::{Beat, Heartbeat},
    method::{
        Basic, Channel, Confirm, Connection, Exchange, Method, Queue, basic, channel, connection,
        delivery::write_header,
    },
};

mod event;
mod login;

use event::Carrier;
pub use event::{Event, Message};
pub use login::{Address, Credentials};

/// For the answer to a method that asks for one.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that the buffer for what comes begins with.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes that a read has room for at least.
const READ_BYTES_MIN: usize = 16 * 1024;
/// Between two looks at the heartbeat at least, in milliseconds.
const HEARTBEAT_LOOK_MS_MIN: u64 = 100;
/// The same at most, where there is no heartbeat.
const HEARTBEAT_LOOK_MS_MAX: u64 = 60_000;

/// Why the broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// Nobody listens.
    #[error(
        "no message broker answers at {address}: {reason}; check --amqp and WEFT_AMQP_ADDR, or start one with `weft-sidecar run --queue-host --data-dir DIR`"
    )]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// From the system.
        reason: String,
    },
    /// Wrong user or password.
    #[error("{address} refuses user {user}: {reason}; check --user and WEFT_BROKER_PASSWORD")]
    Login {
        /// Who.
        address: Address,
        /// The user.
        user: String,
        /// Its words.
        reason: String,
    },
    /// It ended the connection.
    #[error("{address} ends the connection: {code} {text}")]
    Ended {
        /// Who.
        address: Address,
        /// The reply code.
        code: u16,
        /// Its words.
        text: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// Who.
        address: Address,
        /// How.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{address} has not answered within {limit:?}: look at the log of the message broker")]
    Silent {
        /// Who.
        address: Address,
        /// How long was waited.
        limit: Duration,
    },
    /// It speaks otherwise.
    #[error("{address} does not speak AMQP 0-9-1 as it should: {reason}")]
    Protocol {
        /// Who.
        address: Address,
        /// What is wrong.
        reason: String,
    },
}

/// An open connection.
#[derive(Debug)]
pub struct Amqp {
    address: Address,
    stream: TcpStream,
    input: BytesMut,
    out: BytesMut,
    frame_max: u32,
    heartbeat: Heartbeat,
    began: Instant,
    contents: HashMap<u16, Assembler<Carrier>>,
    /// What came while a call waited for its answer.
    early: VecDeque<Event>,
}

impl Amqp {
    /// Who it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Puts a method on its way.
    pub fn send(&mut self, channel: u16, method: &Method<'_>) {
        self.encode(|out| method.encode(channel, out));
    }

    /// Puts a message on its way.
    pub fn publish(&mut self, channel: u16, publish: &basic::Publish<'_>, properties: &[u8], body: &[u8]) {
        let frame_max = self.frame_max;
        self.encode(|out| {
            publish.encode(channel, out);
            write_header(channel, properties, body.len(), out);
            write_body(channel, body, frame_max, out);
        });
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// When the broker does not.
    pub async fn open_channel(&mut self, channel: u16) -> Result<(), AmqpError> {
        let open = Method::Channel(Channel::Open(channel::Open {}));
        match self.call(channel, &open).await? {
            Event::ChannelClosed { code, text, .. } => Err(self.ended(code, &text)),
            _ => Ok(()),
        }
    }

    /// Sends a method and waits for its answer on that channel, be it that the channel is closed. What else comes is
    /// kept for [`next`](Self::next).
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn call(&mut self, channel: u16, method: &Method<'_>) -> Result<Event, AmqpError> {
        self.send(channel, method);
        let answer = async {
            loop {
                let event = self.arrival().await?;
                let is_answer = match &event {
                    Event::Queue { .. } | Event::Closed => true,
                    Event::Done(of) | Event::ChannelClosed { channel: of, .. } => *of == channel,
                    _ => false,
                };
                if is_answer {
                    return Ok(event);
                }
                self.early.push_back(event);
            }
        };
        match tokio::time::timeout(CALL_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(AmqpError::Silent { address: self.address.clone(), limit: CALL_TIMEOUT }),
        }
    }

    /// The next event. Nothing is lost when it is dropped before it is there.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn next(&mut self) -> Result<Event, AmqpError> {
        match self.early.pop_front() {
            Some(event) => Ok(event),
            None => self.arrival().await,
        }
    }

    /// Says goodbye and waits for the answer: all that was sent before has then been read.
    ///
    /// # Errors
    /// When there is none.
    pub async fn close(mut self) -> Result<(), AmqpError> {
        let close = connection::Close { reply_code: 200, reply_text: "done", class_id: 0, method_id: 0 };
        self.call(0, &Method::Connection(Connection::Close(close))).await.map(|_| ())
    }

    fn encode(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.out.extend_from_slice(&bytes);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads and writes until there is an event.
    async fn arrival(&mut self) -> Result<Event, AmqpError> {
        loop {
            while let Some(frame) =
                scan(&self.input, self.frame_max).map_err(|error| self.protocol(&error))?
            {
                let bytes = self.input.split_to(frame.end).freeze();
                if let Some(event) = self.frame(&frame, &bytes)? {
                    return Ok(event);
                }
            }
            self.pump().await?;
        }
    }

    /// Moves bytes in either direction, whichever goes first; or lets the heart beat.
    async fn pump(&mut self) -> Result<(), AmqpError> {
        let pause = self.heartbeat.next_ms().map(|at| at.saturating_sub(self.now_ms()));
        let pause = pause.unwrap_or(HEARTBEAT_LOOK_MS_MAX).max(HEARTBEAT_LOOK_MS_MIN);
        self.input.reserve(READ_BYTES_MIN);
        let (mut reader, mut writer) = self.stream.split();
        tokio::select! {
            // What has come is taken first: it may be the reason why nothing can be sent any more.
            biased;
            read = reader.read_buf(&mut self.input) => match read {
                Ok(0) => return Err(self.broken(&"it was closed")),
                Ok(_) => self.heartbeat.heard(self.now_ms()),
                Err(error) => return Err(self.broken(&error)),
            },
            written = writer.write(&self.out), if !self.out.is_empty() => match written {
                Ok(count) => {
                    self.out.advance(count);
                    self.heartbeat.sent(self.now_ms());
                }
                Err(error) => return Err(self.broken(&error)),
            },
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
        match self.heartbeat.due(self.now_ms()) {
            Beat::Dead => Err(self.broken(&"nothing was heard for two heartbeats")),
            Beat::Send if self.out.is_empty() => {
                self.out.extend_from_slice(&HEARTBEAT);
                Ok(())
            }
            Beat::Send | Beat::Quiet => Ok(()),
        }
    }

    fn frame(&mut self, frame: &RawFrame, bytes: &Bytes) -> Result<Option<Event>, AmqpError> {
        let payload = frame.payload(bytes);
        match frame.kind {
            FrameKind::Heartbeat => Ok(None),
            FrameKind::Method => {
                let method = Method::decode(payload).map_err(|error| self.protocol(&error))?;
                self.method(frame.channel, &method)
            }
            FrameKind::Header | FrameKind::Body => {
                let event = event::content(self.assembler(frame.channel), frame.kind, payload);
                event.map_err(|error| self.protocol(&error))
            }
        }
    }

    fn method(&mut self, channel: u16, method: &Method<'_>) -> Result<Option<Event>, AmqpError> {
        Ok(match *method {
            Method::Connection(method) => return self.connection_method(&method),
            Method::Channel(Channel::Close(close)) => {
                self.send(channel, &Method::Channel(Channel::CloseOk(channel::CloseOk {})));
                self.contents.remove(&channel);
                let (code, text) = (close.reply_code, close.reply_text.to_owned());
                Some(Event::ChannelClosed { channel, code, text })
            }
            Method::Channel(Channel::Flow(channel::Flow { active })) => {
                self.send(channel, &Method::Channel(Channel::FlowOk(channel::FlowOk { active })));
                None
            }
            Method::Queue(Queue::DeclareOk(ok)) => Some(Event::Queue { messages: ok.message_count.into() }),
            Method::Channel(Channel::OpenOk(_) | Channel::CloseOk(_))
            | Method::Exchange(Exchange::DeclareOk(_) | Exchange::DeleteOk(_) | Exchange::BindOk(_))
            | Method::Queue(Queue::BindOk(_) | Queue::DeleteOk(_) | Queue::PurgeOk(_))
            | Method::Confirm(Confirm::SelectOk(_)) => Some(Event::Done(channel)),
            Method::Basic(method) => return self.basic_method(channel, &method),
            _ => None,
        })
    }

    fn connection_method(&mut self, method: &Connection<'_>) -> Result<Option<Event>, AmqpError> {
        Ok(match *method {
            Connection::Close(close) => return Err(self.ended(close.reply_code, close.reply_text)),
            Connection::CloseOk(_) => Some(Event::Closed),
            Connection::Blocked(connection::Blocked { reason }) => Some(Event::Blocked(reason.to_owned())),
            Connection::Unblocked(_) => Some(Event::Unblocked),
            _ => None,
        })
    }

    fn basic_method(&mut self, channel: u16, method: &Basic<'_>) -> Result<Option<Event>, AmqpError> {
        let own = |exchange: &str, key: &str| (exchange.to_owned(), key.to_owned());
        let carrier = match *method {
            Basic::GetOk(got) => {
                let (exchange, routing_key) = own(got.exchange, got.routing_key);
                Carrier::Got { tag: got.delivery_tag, exchange, routing_key }
            }
            Basic::Return(returned) => {
                let (exchange, routing_key) = own(returned.exchange, returned.routing_key);
                Carrier::Returned { exchange, routing_key }
            }
            Basic::GetEmpty(_) => return Ok(Some(Event::Empty)),
            Basic::Ack(basic::Ack { delivery_tag: tag, multiple }) => {
                return Ok(Some(Event::Settled { tag, multiple, taken: true }));
            }
            Basic::Nack(basic::Nack { delivery_tag: tag, multiple, .. }) => {
                return Ok(Some(Event::Settled { tag, multiple, taken: false }));
            }
            _ => return Ok(None),
        };
        self.assembler(channel).begin(carrier).map_err(|error| self.protocol(&error))?;
        Ok(None)
    }

    fn assembler(&mut self, channel: u16) -> &mut Assembler<Carrier> {
        self.contents.entry(channel).or_insert_with(|| Assembler::new(BODY_OCTETS_ABSURD))
    }

    fn ended(&self, code: u16, text: &str) -> AmqpError {
        AmqpError::Ended { address: self.address.clone(), code, text: text.to_owned() }
    }

    fn broken(&self, reason: &dyn fmt::Display) -> AmqpError {
        AmqpError::Broken { address: self.address.clone(), reason: reason.to_string() }
    }

    fn protocol(&self, error: &dyn std::error::Error) -> AmqpError {
        AmqpError::Protocol { address: self.address.clone(), reason: error.to_string() }
    }
}
