//! The raw client: it plays a script, answers nothing by itself but SETTINGS, and keeps what comes until the
//! expectation is met, the connection ends, or its patience does.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, timeout_at},
};

use super::{
    Expect, Step,
    frame::{self, Frame, write},
    hpack::{self, Decoder},
};
use crate::hostile::Part;

/// The last PING of each script: its answer says that all before it was read.
const LAST_PING: &[u8; 8] = b"weftping";
/// What is read at once.
const READ_SIZE: usize = 16 * 1_024;

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Streams, by number.
    pub streams: BTreeMap<u32, Stream>,
    /// The code of a GOAWAY, the worst of several.
    pub goaway: Option<u32>,
    /// The last PING was answered.
    pub is_alive: bool,
    /// The connection ended.
    pub closed: bool,
    /// A frame or block that no server may send.
    pub ambiguity: Option<String>,
}

/// What came back on one stream.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The final status.
    pub status: Option<u16>,
    /// The body.
    pub body: Vec<u8>,
    /// END_STREAM came.
    pub is_ended: bool,
    /// The code of a RST_STREAM.
    pub reset: Option<u32>,
}

/// Plays `script` and listens.
///
/// # Errors
/// When there is no connection.
pub async fn play(
    address: SocketAddr,
    script: &[Step],
    expect: Expect,
    patience: Duration,
) -> anyhow::Result<Heard> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not accept"))?;
    let (read, write) = stream.into_split();
    let deadline = Instant::now() + patience;
    let mut client =
        Client { read, write, bytes: Vec::new(), decoder: Decoder::default(), heard: Heard::default() };
    for step in script {
        if !client.step(*step, deadline).await {
            break;
        }
    }
    client.send(&write_ping()).await;
    while !client.heard.closed && !expect.is_settled(&client.heard) && Instant::now() < deadline {
        client.listen(deadline).await;
    }
    Ok(client.heard)
}

fn write_ping() -> Vec<u8> {
    write(frame::PING, 0, 0, LAST_PING)
}

struct Client {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    bytes: Vec<u8>,
    decoder: Decoder,
    heard: Heard,
}

impl Client {
    /// Whether the script may go on.
    async fn step(&mut self, step: Step, deadline: Instant) -> bool {
        match step {
            Step::Begin => {
                self.send(frame::PREFACE).await && self.send(&write(frame::SETTINGS, 0, 0, &[])).await
            }
            Step::Raw(bytes) => self.send(bytes).await,
            Step::Frame(kind, flags, stream, payload) => {
                self.send(&write(kind, flags, stream, payload)).await
            }
            Step::Claiming(length, kind, flags, stream, payload) => {
                self.send(&frame::write_claiming(length, kind, flags, stream, payload)).await
            }
            Step::Long(kind, flags, stream, parts) => {
                self.send(&write(kind, flags, stream, &Part::bytes(parts))).await
            }
            Step::Flood(times, kind, flags, stream, payload) => {
                self.flood(&write(kind, flags, stream, payload).repeat(times), deadline).await
            }
            Step::Head(flags, stream, fields) => {
                self.send(&write(frame::HEADERS, flags, stream, &hpack::encode(fields))).await
            }
            Step::Resets(from, count) => {
                let mut bytes = Vec::new();
                let block = hpack::encode(super::GET);
                for stream in (from..).step_by(2).take(usize::try_from(count).unwrap_or_default()) {
                    bytes.extend(write(frame::HEADERS, super::WHOLE, stream, &block));
                    bytes.extend(write(frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                }
                self.flood(&bytes, deadline).await
            }
            Step::Ended(stream) => {
                while !self.heard.is_over(stream) && Instant::now() < deadline {
                    self.listen(deadline).await;
                }
                !self.heard.closed
            }
        }
    }

    /// Whether the other side still takes bytes.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.write.write_all(bytes).await.is_ok()
    }

    /// Sends much, while it listens: the other side's answers must not stop it.
    async fn flood(&mut self, bytes: &[u8], deadline: Instant) -> bool {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            let mut buffer = [0; READ_SIZE];
            let (read, written) = tokio::select! {
                read = self.read.read(&mut buffer) => (Some(read), None),
                written = timeout_at(deadline, self.write.write(rest)) => (None, Some(written)),
            };
            match (read, written) {
                (_, Some(Ok(Ok(length)))) => sent += length,
                (Some(Ok(length @ 1..)), _) => {
                    self.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    self.take_frames().await;
                }
                (Some(_), _) => {
                    self.heard.closed = true;
                    return false;
                }
                _ => return false,
            }
        }
        true
    }

    async fn listen(&mut self, deadline: Instant) {
        self.bytes.reserve(READ_SIZE);
        match timeout_at(deadline, self.read.read_buf(&mut self.bytes)).await {
            Ok(Ok(1..)) => self.take_frames().await,
            Ok(_) => self.heard.closed = true,
            Err(_) => {}
        }
    }

    async fn take_frames(&mut self) {
        while let Some(frame) = Frame::take(&mut self.bytes) {
            if frame.kind == frame::SETTINGS && !frame.has(frame::ACK) {
                self.send(&write(frame::SETTINGS, frame::ACK, 0, &[])).await;
            }
            self.note(&frame);
        }
    }

    fn note(&mut self, frame: &Frame) {
        let stream = self.heard.streams.entry(frame.stream);
        match frame.kind {
            frame::HEADERS => {
                let stream = stream.or_default();
                match self.decoder.decode(frame.content()) {
                    Ok(fields) => {
                        let status = fields.iter().find(|(name, _)| name == b":status");
                        let status =
                            status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
                        stream.status = status.or(stream.status);
                    }
                    Err(why) => self.heard.ambiguity = Some(why),
                }
                stream.is_ended |= frame.has(frame::END_STREAM);
            }
            frame::DATA => {
                let stream = stream.or_default();
                stream.body.extend_from_slice(frame.content());
                stream.is_ended |= frame.has(frame::END_STREAM);
            }
            frame::RST_STREAM => stream.or_default().reset = Some(frame.number(0)),
            frame::GOAWAY => self.heard.goaway = self.heard.goaway.max(Some(frame.number(4))),
            frame::PING => self.heard.is_alive |= frame.has(frame::ACK) && frame.payload == LAST_PING,
            _ => {}
        }
    }
}

impl Heard {
    /// Nothing more comes on this stream.
    pub fn is_over(&self, stream: u32) -> bool {
        self.closed
            || self.streams.get(&stream).is_some_and(|stream| stream.is_ended || stream.reset.is_some())
    }
}
