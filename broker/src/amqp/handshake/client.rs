//! The client's side of a beginning connection: bytes in; events and bytes out. For whoever carries a connection on to
//! another broker, and for tests of the server. Knows no socket and no clock.
//!
//! ```text
//!  starting ─start─▶ authenticating ─tune─▶ opening ─open-ok─▶ open
//!                     │  ▲
//!               secure▼  │answer
//!                    challenged
//! ```

use crate::amqp::{
    frame::{FRAME_MAX_DEFAULT, FrameKind, RawFrame, scan},
    handshake::{PROTOCOL_HEADER, Peer, Tuning, server::Step},
    method::{Connection, Method, connection},
    reply::{Refusal, ReplyCode},
    table::RawTable,
};

/// What a client says and wants.
#[derive(Clone)]
pub struct ClientConfig {
    /// Its properties: a table's bytes (see [`encode_table`](crate::amqp::table::encode_table)), or those of another
    /// client whose connection is carried on.
    pub properties: Vec<u8>,
    /// The mechanism's name.
    pub mechanism: String,
    /// The mechanism's first response.
    pub response: Vec<u8>,
    /// The virtual host.
    pub virtual_host: String,
    /// The limits it would like; the lower of both sides counts.
    pub wish: Tuning,
}

/// Without the response, which holds a password.
impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig")
            .field("mechanism", &self.mechanism)
            .field("virtual_host", &self.virtual_host)
            .field("wish", &self.wish)
            .finish_non_exhaustive()
    }
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// Give the mechanism's [`answer`](ClientHandshake::answer).
    Challenge(&'a [u8]),
    /// The connection is open: its frames are no longer this one's.
    Opened,
    /// The server has closed, with the reason; the answer is written.
    Refused {
        /// See [`ReplyCode`].
        code: u16,
        /// `CODE_NAME - explanation`.
        text: &'a str,
        /// The method that failed.
        ids: (u16, u16),
    },
    /// The server speaks something else.
    WrongProtocol([u8; 8]),
    /// The server's frames make no sense: close the socket.
    Failed(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Authenticating,
    Challenged,
    Opening,
    Open,
    Closed,
}

/// A connection until it is open.
#[derive(Debug)]
pub struct ClientHandshake {
    config: ClientConfig,
    state: State,
    tuning: Tuning,
    peer: Peer,
}

impl ClientHandshake {
    /// One that has sent the protocol header.
    pub fn begin(config: ClientConfig, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&PROTOCOL_HEADER);
        // A server's first frame has its properties and comes before any agreement.
        let tuning = Tuning { frame_max: FRAME_MAX_DEFAULT, ..config.wish };
        Self { config, state: State::Starting, tuning, peer: Peer::default() }
    }

    /// Takes the first frame of `buf`. To be called until it waits.
    pub fn receive<'a>(&mut self, buf: &'a [u8], out: &mut Vec<u8>) -> Step<ClientEvent<'a>> {
        match self.state {
            State::Starting if buf.first() == PROTOCOL_HEADER.first() => {
                return buf.first_chunk::<8>().map_or(Step::WAIT, |&header| {
                    self.state = State::Closed;
                    Step { consumed: header.len(), event: Some(ClientEvent::WrongProtocol(header)) }
                });
            }
            State::Challenged | State::Open | State::Closed => return Step::WAIT,
            State::Starting | State::Authenticating | State::Opening => {}
        }
        match scan(buf, self.tuning.frame_max) {
            Ok(None) => Step::WAIT,
            Ok(Some(frame)) => {
                let event = self.frame(&frame, buf.get(frame.payload.clone()).unwrap_or_default(), out);
                Step { consumed: frame.end, event }
            }
            Err(error) => Step { consumed: buf.len(), event: self.fail(error.into()) },
        }
    }

    /// The answer to a challenge.
    pub fn answer(&mut self, response: &[u8], out: &mut Vec<u8>) {
        if self.state == State::Challenged {
            connection::SecureOk { response }.encode(0, out);
            self.state = State::Authenticating;
        }
    }

    /// What counts from here on.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Whether the connection is open.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the login is under way: a server that closes the socket now has refused it.
    pub fn is_authenticating(&self) -> bool {
        matches!(self.state, State::Authenticating | State::Challenged)
    }

    /// The server, known from its first method on.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    fn frame<'a>(
        &mut self,
        frame: &RawFrame,
        payload: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Option<ClientEvent<'a>> {
        match (frame.kind, frame.channel) {
            (FrameKind::Heartbeat, _) => None,
            (FrameKind::Method, 0) => match Method::decode(payload) {
                Ok(Method::Connection(method)) => self.method(&method, out),
                Ok(method) => self.unexpected(method.ids()),
                Err(error) => self.fail(Refusal::undecodable(error, payload)),
            },
            (kind, _) => self.fail(Refusal::unexpected_frame(kind, payload)),
        }
    }

    fn method<'a>(&mut self, method: &Connection<'a>, out: &mut Vec<u8>) -> Option<ClientEvent<'a>> {
        match (self.state, *method) {
            (State::Starting, Connection::Start(start)) => {
                self.start(start.server_properties, out);
                None
            }
            (State::Authenticating, Connection::Secure(connection::Secure { challenge })) => {
                self.state = State::Challenged;
                Some(ClientEvent::Challenge(challenge))
            }
            (State::Authenticating, Connection::Tune(tune)) => {
                self.tune(tune, out);
                None
            }
            (State::Opening, Connection::OpenOk(_)) => {
                self.state = State::Open;
                Some(ClientEvent::Opened)
            }
            (_, Connection::Close(close)) => {
                connection::CloseOk {}.encode(0, out);
                self.state = State::Closed;
                let ids = (close.class_id, close.method_id);
                Some(ClientEvent::Refused { code: close.reply_code, text: close.reply_text, ids })
            }
            (_, method) => self.unexpected((connection::CLASS, method.id())),
        }
    }

    fn start(&mut self, server_properties: RawTable<'_>, out: &mut Vec<u8>) {
        self.peer = Peer::of(server_properties);
        let start_ok = connection::StartOk {
            client_properties: RawTable::new(&self.config.properties),
            mechanism: &self.config.mechanism,
            response: &self.config.response,
            locale: "en_US",
        };
        start_ok.encode(0, out);
        self.state = State::Authenticating;
    }

    fn tune(&mut self, tune: connection::Tune, out: &mut Vec<u8>) {
        let connection::Tune { channel_max, frame_max, heartbeat: heartbeat_seconds } = tune;
        self.tuning = self.config.wish.answer(Tuning { channel_max, frame_max, heartbeat_seconds });
        let Tuning { channel_max, frame_max, heartbeat_seconds: heartbeat } = self.tuning;
        connection::TuneOk { channel_max, frame_max, heartbeat }.encode(0, out);
        connection::Open { virtual_host: &self.config.virtual_host }.encode(0, out);
        self.state = State::Opening;
    }

    fn unexpected<'a>(&mut self, ids: (u16, u16)) -> Option<ClientEvent<'a>> {
        self.fail(Refusal::new(ReplyCode::CommandInvalid, "unexpected method").by(ids))
    }

    fn fail<'a>(&mut self, refusal: Refusal) -> Option<ClientEvent<'a>> {
        self.state = State::Closed;
        Some(ClientEvent::Failed(refusal))
    }
}
