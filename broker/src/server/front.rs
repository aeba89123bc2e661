//! Where AMQP clients arrive: accepted, logged in, and handed to the thread of the virtual host that they open. What a
//! client costs before that is its socket and one small buffer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    clock::now_ms,
    handle::VhostHandle,
    host::{Arrival, Command},
    limits::HANDSHAKE_TIMEOUT,
    shared::Shared,
};
use crate::{
    access::UserRef,
    amqp::{
        handshake::{
            Tuning,
            sasl::Login,
            server::{Farewell, SILENT_CLOSE_DELAY_MS, ServerConfig, ServerEvent, ServerHandshake},
        },
        reply::{Refusal, ReplyCode},
        table::decode_table,
    },
    vhost::SessionInfo,
};

/// Bytes that a client may have sent before it is logged in.
const BUFFER_BYTES: usize = 16 * 1024;
/// After an accept that failed for want of descriptors, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is dropped: `most` connections at a time, those that log in and those that have.
pub(super) async fn accept(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
    most: usize,
) {
    let room = Arc::new(Semaphore::new(most));
    let mut full = false;
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an AMQP connection is not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            if !std::mem::replace(&mut full, true) {
                tracing::warn!(%peer, most, "too many connections, more are refused until one ends");
            }
            continue;
        };
        full = false;
        let (config, shared) = (Arc::clone(&config), Arc::clone(&shared));
        tokio::spawn(async move {
            let entering = Entering::new(socket, peer, config, shared, permit);
            match timeout(HANDSHAKE_TIMEOUT, entering.run()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a client left while it logged in"),
                Err(_) => tracing::warn!(%peer, "handshake timeout"),
            }
        });
    }
}

/// A client that logs in.
struct Entering {
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
    handshake: ServerHandshake,
    buffer: BytesMut,
    out: Vec<u8>,
    user: Option<UserRef>,
    mechanism: String,
}

/// What comes of an event.
enum Next {
    /// More bytes.
    On,
    /// It is over; the client was told, or gets silence for a while, so that guessing costs time.
    Over(Farewell),
    /// It is in.
    In(VhostHandle),
}

impl Entering {
    fn new(
        socket: TcpStream,
        peer: SocketAddr,
        config: Arc<ServerConfig>,
        shared: Arc<Shared>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            socket,
            peer,
            shared,
            permit,
            handshake: ServerHandshake::new(config),
            buffer: BytesMut::with_capacity(BUFFER_BYTES),
            out: Vec::new(),
            user: None,
            mechanism: String::new(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        loop {
            let next = self.step();
            if !self.out.is_empty() {
                self.socket.write_all(&self.out).await?;
                self.out.clear();
            }
            match next {
                Some(Next::On) => {}
                Some(Next::Over(farewell)) => return self.farewell(farewell).await,
                Some(Next::In(vhost)) => return self.hand_over(&vhost).await,
                None => {
                    if self.buffer.len() >= BUFFER_BYTES || self.socket.read_buf(&mut self.buffer).await? == 0
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Takes in what is in the buffer; none where more is needed.
    fn step(&mut self) -> Option<Next> {
        let step = self.handshake.receive(&self.buffer, &mut self.out);
        let consumed = step.consumed;
        let next = match step.event {
            None if consumed == 0 => return None,
            None => Next::On,
            Some(ServerEvent::Authenticate(login)) => {
                self.user = authenticate(&self.shared, self.peer, &login);
                self.mechanism = match &login {
                    Login::Password { mechanism, .. } => mechanism.name().to_owned(),
                    Login::External { .. } => "EXTERNAL".to_owned(),
                };
                if self.user.is_some() {
                    self.handshake.accept(&mut self.out);
                    Next::On
                } else {
                    Next::Over(self.handshake.deny(&mut self.out))
                }
            }
            Some(ServerEvent::Open { virtual_host }) => {
                match open(&self.shared, self.user.as_ref(), virtual_host) {
                    Ok(vhost) => {
                        self.handshake.admit(&mut self.out);
                        Next::In(vhost)
                    }
                    Err(refusal) => {
                        tracing::warn!(peer = %self.peer, %refusal, "a connection is refused");
                        Next::Over(self.handshake.refuse(refusal, &mut self.out))
                    }
                }
            }
            Some(event) => Next::Over(failed(self.peer, &event)),
        };
        self.buffer.advance(consumed);
        Some(next)
    }

    /// Whoever was told may still answer; whoever was not waits before the socket closes.
    async fn farewell(mut self, farewell: Farewell) -> io::Result<()> {
        match farewell {
            Farewell::Silent => sleep(Duration::from_millis(SILENT_CLOSE_DELAY_MS)).await,
            Farewell::Told => {
                let mut sink = [0; 512];
                self.socket.shutdown().await?;
                let drained = async { while matches!(self.socket.read(&mut sink).await, Ok(1..)) {} };
                let _in_time = timeout(Duration::from_secs(1), drained).await;
            }
        }
        Ok(())
    }

    async fn hand_over(self, vhost: &VhostHandle) -> io::Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        self.socket.set_nodelay(true)?;
        let local = self.socket.local_addr()?;
        let Tuning { channel_max, frame_max, heartbeat_seconds } = self.handshake.tuning();
        let client_properties = decode_table(&self.handshake.peer().properties).unwrap_or_default();
        let counted = self.shared.counts.count(&user.name, vhost.name());
        let info = SessionInfo {
            user,
            user_channels: counted.channels.clone(),
            peer: self.peer,
            local,
            frame_max: if frame_max == 0 { crate::amqp::frame::FRAME_MAX_UNLIMITED } else { frame_max },
            channel_max,
            heartbeat: heartbeat_seconds,
            mechanism: self.mechanism,
            client_properties,
            connected_at_ms: now_ms(),
        };
        let socket = self.socket.into_std()?;
        let arrival = Arrival { socket, buffer: self.buffer, info, counted, permit: self.permit };
        if vhost.commands.send(Command::Connection(Box::new(arrival))).await.is_err() {
            tracing::warn!(vhost = vhost.name(), "the virtual host is ending, a connection is dropped");
        }
        Ok(())
    }
}

/// Why a login ended, for the log; how its client is left.
fn failed(peer: SocketAddr, event: &ServerEvent<'_>) -> Farewell {
    match event {
        ServerEvent::WrongProtocol(header) => {
            tracing::warn!(%peer, ?header, "a client speaks another protocol");
            Farewell::Told
        }
        ServerEvent::Failed { refusal, farewell } => {
            tracing::warn!(%peer, %refusal, "a login failed");
            *farewell
        }
        _ => Farewell::Told,
    }
}

fn authenticate(shared: &Shared, peer: SocketAddr, login: &Login<'_>) -> Option<UserRef> {
    let is_loopback = peer.ip().to_canonical().is_loopback();
    let access = shared.access();
    let user = match login {
        Login::Password { user, password, .. } => {
            let password = String::from_utf8_lossy(password);
            access.authenticate(user, &password, is_loopback)
        }
        // Without certificates nobody has proved who they are.
        Login::External { .. } => return None,
    };
    match user {
        Ok(user) => Some(user),
        Err(refused) => {
            tracing::warn!(%peer, %refused, "a login is refused");
            None
        }
    }
}

fn open(shared: &Shared, user: Option<&UserRef>, name: &str) -> Result<VhostHandle, Refusal> {
    let user = user.map_or("", |user| &user.name);
    let opened = shared.access().open_connection(user, name, shared.counts.open(user, name));
    opened.map_err(|refused| {
        Refusal::new(ReplyCode::of(refused.reply_code()).unwrap_or(ReplyCode::NotAllowed), refused)
    })?;
    let down = || Refusal::new(ReplyCode::InternalError, format!("vhost '{name}' is down"));
    shared.vhost(name).ok_or_else(down)
}
