//! A client of AMQP, a frame at a time.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::amqp::{
    frame::{FRAME_MAX_UNLIMITED, FrameKind, scan},
    handshake::{
        Tuning,
        client::{ClientConfig, ClientEvent, ClientHandshake},
        sasl::plain_response,
    },
    method::Method,
    table::encode_table,
    value::{FieldTable, FieldValue},
};

/// Until something that must come has come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that has logged in.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// Logs in as `guest`.
    pub(super) async fn open(at: SocketAddr) -> Self {
        Self::try_open(at, "/", 0).await.expect("the broker lets it in")
    }

    /// Logs in as `guest`; none where the broker closes the socket.
    pub(super) async fn try_open(at: SocketAddr, vhost: &str, heartbeat_seconds: u16) -> Option<Self> {
        let socket = TcpStream::connect(at).await.expect("the broker listens");
        let mut client = Self { socket, read: Vec::new() };
        let mut out = Vec::new();
        let mut handshake = ClientHandshake::begin(config(vhost, heartbeat_seconds), &mut out);
        loop {
            client.socket.write_all(&out).await.ok()?;
            out.clear();
            let step = handshake.receive(&client.read, &mut out);
            let (consumed, is_open) = (step.consumed, matches!(step.event, Some(ClientEvent::Opened)));
            assert!(is_open || step.event.is_none(), "{:?}", step.event);
            client.read.drain(..consumed);
            if is_open {
                return Some(client);
            }
            if consumed == 0 && !client.more().await {
                return None;
            }
        }
    }

    pub(super) async fn say(&mut self, channel: u16, method: &Method<'_>) {
        let mut out = Vec::new();
        method.encode(channel, &mut out);
        self.socket.write_all(&out).await.expect("the broker reads");
    }

    /// The next frame: its kind, and of a method its class and number. None where the broker has closed.
    pub(super) async fn hear(&mut self) -> Option<(FrameKind, (u16, u16))> {
        loop {
            if let Some(frame) = scan(&self.read, FRAME_MAX_UNLIMITED).expect("frames") {
                let ids = match frame.kind {
                    FrameKind::Method => Method::decode(frame.payload(&self.read)).expect("a method").ids(),
                    _ => (0, 0),
                };
                let heard = (frame.kind, ids);
                self.read.drain(..frame.end);
                return Some(heard);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.read)).await;
        matches!(read.expect("the broker says something"), Ok(1..))
    }
}

fn config(virtual_host: &str, heartbeat_seconds: u16) -> ClientConfig {
    let mut properties = FieldTable::new();
    let capabilities = [("connection.blocked".to_owned(), FieldValue::Bool(true))].into_iter().collect();
    properties.push("capabilities".to_owned(), FieldValue::Table(capabilities));
    ClientConfig {
        properties: encode_table(&properties),
        mechanism: "PLAIN".to_owned(),
        response: plain_response("guest", b"guest"),
        virtual_host: virtual_host.to_owned(),
        wish: Tuning { heartbeat_seconds, ..Tuning::default() },
    }
}
