//! The server's side of a beginning connection: bytes in; events and bytes out. It asks the caller who may in and which
//! virtual host may be opened, and fails as RabbitMQ does: without a word before the login, with a close after it. Before the
//! login a peer can have a frame of 8 KiB and its properties kept, no more.
//!
//! ```text
//!  header ─▶ starting ─▶ deciding ─accept─▶ tuning ─▶ opening ─▶ admitting ─admit─▶ open
//!                         │    ▲                                    │
//!                challenge▼    │secure-ok                           │refuse
//!                        securing                                   ▼
//!        any state ── the peer's close, or an error ──────────▶ closing ─close-ok─▶ closed
//! ```

use std::sync::Arc;

use crate::amqp::{
    frame::{FRAME_MAX_INITIAL, FrameKind, RawFrame, scan},
    handshake::{
        PROTOCOL_HEADER, PROTOCOL_HEADER_0_9, Peer, Tuning,
        sasl::{Login, Mechanism},
    },
    method::{Connection, Method, connection},
    reply::{Refusal, ReplyCode},
    table::{RawTable, encode_table},
    value::FieldTable,
};

/// What a server says to everyone; made once.
#[derive(Debug)]
pub struct ServerConfig {
    properties: Vec<u8>,
    mechanisms: Vec<Mechanism>,
    mechanism_names: String,
    offer: Tuning,
}

impl ServerConfig {
    /// With these properties (see [`server_properties`](super::server_properties)), mechanisms and limits.
    pub fn new(properties: &FieldTable, mechanisms: &[Mechanism], offer: Tuning) -> Self {
        let names: Vec<_> = mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        Self {
            properties: encode_table(properties),
            mechanisms: mechanisms.to_vec(),
            mechanism_names: names.join(" "),
            offer,
        }
    }
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent<'a> {
    /// Say whether this is so: [`accept`](ServerHandshake::accept), [`challenge`](ServerHandshake::challenge) or
    /// [`deny`](ServerHandshake::deny).
    Authenticate(Login<'a>),
    /// Say whether it may be opened: [`admit`](ServerHandshake::admit) or [`refuse`](ServerHandshake::refuse).
    Open {
        /// The name of the virtual host.
        virtual_host: &'a str,
    },
    /// Write what there is to write and close the socket: the peer speaks something else, and was told what we speak.
    WrongProtocol([u8; 8]),
    /// It is over, for this reason.
    Failed {
        /// Why, for the log.
        refusal: Refusal,
        /// Whether the peer was told.
        farewell: Farewell,
    },
    /// Write what there is to write and close the socket: both sides have said that it is over.
    Closed,
}

/// How a failed connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// A close was written: go on reading until [`ServerEvent::Closed`], for some seconds at most.
    Told,
    /// Nothing was written: close the socket after [`SILENT_CLOSE_DELAY_MS`], so that guessing is slow.
    Silent,
}

/// Milliseconds between a failed login and the socket's end, as in RabbitMQ.
pub const SILENT_CLOSE_DELAY_MS: u64 = 3_000;

/// What some bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<E> {
    /// Octets that are done with. With neither these nor an event, more bytes are needed.
    pub consumed: usize,
    /// What the caller has to do.
    pub event: Option<E>,
}

impl<E> Step<E> {
    pub(super) const WAIT: Self = Self { consumed: 0, event: None };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Starting,
    Deciding(Mechanism),
    Securing(Mechanism),
    Tuning,
    Opening,
    Admitting,
    Open,
    Closing,
    Closed,
}

/// A connection until it is open.
#[derive(Debug)]
pub struct ServerHandshake {
    config: Arc<ServerConfig>,
    state: State,
    tuning: Tuning,
    peer: Peer,
}

impl ServerHandshake {
    /// One that waits for the protocol header.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        let tuning = Tuning { frame_max: FRAME_MAX_INITIAL, ..config.offer };
        Self { config, state: State::Header, tuning, peer: Peer::default() }
    }

    /// Takes the first frame of `buf`, or the protocol header. To be called until it waits; while an event's question is
    /// open it waits too.
    pub fn receive<'a>(&mut self, buf: &'a [u8], out: &mut Vec<u8>) -> Step<ServerEvent<'a>> {
        match self.state {
            State::Header => return self.protocol(buf, out),
            State::Deciding(_) | State::Admitting | State::Open | State::Closed => return Step::WAIT,
            State::Starting | State::Securing(_) | State::Tuning | State::Opening | State::Closing => {}
        }
        match scan(buf, self.tuning.frame_max) {
            Ok(None) => Step::WAIT,
            Ok(Some(frame)) => {
                let event = self.frame(&frame, buf.get(frame.payload.clone()).unwrap_or_default(), out);
                Step { consumed: frame.end, event }
            }
            // Nothing after this makes sense.
            Err(error) => Step { consumed: buf.len(), event: self.fail(error.into(), out) },
        }
    }

    /// The login is right: the server's limits follow.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        if let State::Deciding(_) = self.state {
            let Tuning { channel_max, frame_max, heartbeat_seconds: heartbeat } = self.config.offer;
            connection::Tune { channel_max, frame_max, heartbeat }.encode(0, out);
            self.state = State::Tuning;
        }
    }

    /// The mechanism needs one more answer.
    pub fn challenge(&mut self, challenge: &[u8], out: &mut Vec<u8>) {
        if let State::Deciding(mechanism) = self.state {
            connection::Secure { challenge }.encode(0, out);
            self.state = State::Securing(mechanism);
        }
    }

    /// The login is wrong. The peer is told if it wants to be, in words that do not say what was wrong.
    pub fn deny(&mut self, out: &mut Vec<u8>) -> Farewell {
        let State::Deciding(mechanism) = self.state else { return Farewell::Silent };
        if !self.peer.capabilities.authentication_failure_close {
            self.state = State::Closed;
            return Farewell::Silent;
        }
        let text = format!(
            "Login was refused using authentication mechanism {}. For details see the broker logfile.",
            mechanism.name()
        );
        self.close(&Refusal::new(ReplyCode::AccessRefused, text), out)
    }

    /// The virtual host is open: the connection begins.
    pub fn admit(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Admitting {
            connection::OpenOk::default().encode(0, out);
            self.state = State::Open;
        }
    }

    /// The virtual host stays shut to this user: 530 mostly.
    pub fn refuse(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Farewell {
        self.close(&refusal.or_by(connection::Open::IDS), out)
    }

    /// What counts from here on; the initial limits until the client has agreed.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Whether the connection is open: its frames are no longer this one's.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The client, known from its first method on.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The client, to keep.
    pub fn into_peer(self) -> Peer {
        self.peer
    }

    fn protocol(&mut self, buf: &[u8], out: &mut Vec<u8>) -> Step<ServerEvent<'static>> {
        let Some(&header) = buf.first_chunk::<8>() else { return Step::WAIT };
        let consumed = header.len();
        if !matches!(header, PROTOCOL_HEADER | PROTOCOL_HEADER_0_9) {
            out.extend_from_slice(&PROTOCOL_HEADER);
            self.state = State::Closed;
            return Step { consumed, event: Some(ServerEvent::WrongProtocol(header)) };
        }
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: RawTable::new(&self.config.properties),
            mechanisms: self.config.mechanism_names.as_bytes(),
            locales: b"en_US",
        };
        start.encode(0, out);
        self.state = State::Starting;
        Step { consumed, event: None }
    }

    fn frame<'a>(
        &mut self,
        frame: &RawFrame,
        payload: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Option<ServerEvent<'a>> {
        match (frame.kind, frame.channel) {
            (FrameKind::Heartbeat, _) => None,
            (FrameKind::Method, 0) => match Method::decode(payload) {
                Ok(Method::Connection(method)) => self.method(method, out),
                Ok(method) => self.unexpected(method.ids(), out),
                Err(error) => self.fail(Refusal::undecodable(error, payload), out),
            },
            (kind, _) => self.fail(Refusal::unexpected_frame(kind, payload), out),
        }
    }

    fn method<'a>(&mut self, method: Connection<'a>, out: &mut Vec<u8>) -> Option<ServerEvent<'a>> {
        match (self.state, method) {
            (State::Starting, Connection::StartOk(start_ok)) => self.start_ok(&start_ok, out),
            (State::Securing(mechanism), Connection::SecureOk(secure_ok)) => {
                self.response(mechanism, secure_ok.response, connection::SecureOk::IDS, out)
            }
            (State::Tuning, Connection::TuneOk(tune_ok)) => self.tune_ok(tune_ok, out),
            (State::Opening, Connection::Open(connection::Open { virtual_host })) => {
                self.state = State::Admitting;
                Some(ServerEvent::Open { virtual_host })
            }
            (State::Closing, Connection::Close(_)) => {
                connection::CloseOk {}.encode(0, out);
                self.state = State::Closed;
                Some(ServerEvent::Closed)
            }
            (State::Closing, Connection::CloseOk(_)) => {
                self.state = State::Closed;
                Some(ServerEvent::Closed)
            }
            (_, method) => self.unexpected((connection::CLASS, method.id()), out),
        }
    }

    fn start_ok<'a>(
        &mut self,
        start_ok: &connection::StartOk<'a>,
        out: &mut Vec<u8>,
    ) -> Option<ServerEvent<'a>> {
        let (name, ids) = (start_ok.mechanism, connection::StartOk::IDS);
        let invalid = |what: &str| {
            Refusal::new(ReplyCode::CommandInvalid, format_args!("{what} authentication mechanism '{name}'"))
                .by(ids)
        };
        let mechanism = match Mechanism::of(name) {
            None => return self.fail(invalid("unknown"), out),
            Some(mechanism) if !self.config.mechanisms.contains(&mechanism) => {
                return self.fail(invalid("invalid"), out);
            }
            Some(mechanism) => mechanism,
        };
        self.peer = Peer::of(start_ok.client_properties);
        self.response(mechanism, start_ok.response, ids, out)
    }

    fn response<'a>(
        &mut self,
        mechanism: Mechanism,
        response: &'a [u8],
        ids: (u16, u16),
        out: &mut Vec<u8>,
    ) -> Option<ServerEvent<'a>> {
        match mechanism.login(response) {
            Ok(login) => {
                self.state = State::Deciding(mechanism);
                Some(ServerEvent::Authenticate(login))
            }
            Err(error) => self.fail(Refusal::new(ReplyCode::SyntaxError, error).by(ids), out),
        }
    }

    fn tune_ok<'a>(&mut self, answer: connection::TuneOk, out: &mut Vec<u8>) -> Option<ServerEvent<'a>> {
        let connection::TuneOk { channel_max, frame_max, heartbeat: heartbeat_seconds } = answer;
        match self.config.offer.judge(Tuning { channel_max, frame_max, heartbeat_seconds }) {
            Ok(tuning) => {
                self.tuning = tuning;
                self.state = State::Opening;
                None
            }
            Err(refusal) => self.fail(refusal, out),
        }
    }

    fn unexpected<'a>(&mut self, ids: (u16, u16), out: &mut Vec<u8>) -> Option<ServerEvent<'a>> {
        let state = match self.state {
            State::Starting => "starting",
            State::Securing(_) => "securing",
            State::Tuning => "tuning",
            _ => "opening",
        };
        let text = format_args!("unexpected method in connection state {state}");
        self.fail(Refusal::new(ReplyCode::ChannelError, text).by(ids), out)
    }

    /// Fails as RabbitMQ does in each state: who is not logged in is told nothing, and may wait. While closing, all but
    /// the close's answer is passed over.
    fn fail<'a>(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Option<ServerEvent<'a>> {
        let farewell = match self.state {
            State::Closing => return None,
            State::Opening => self.close(&refusal, out),
            State::Tuning if refusal.code() == ReplyCode::NotAllowed => self.close(&refusal, out),
            _ => {
                self.state = State::Closed;
                Farewell::Silent
            }
        };
        Some(ServerEvent::Failed { refusal, farewell })
    }

    fn close(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Farewell {
        refusal.connection_close().encode(0, out);
        self.state = State::Closing;
        Farewell::Told
    }
}
