//! One connection on the thread of its virtual host: bytes from the socket to the state, bytes from its outbox to the
//! socket, heartbeats. It is read from only while it has credit.
//!
//! ```text
//!          ┌─ we say goodbye ────▶ refused ─ close-ok, or CLOSE_TIMEOUT ─▶ gone
//!   open ──┤
//!          └─ client says goodbye ▶ left ─ all is read, or CLOSE_TIMEOUT ─▶ lingers ─▶ gone
//! ```

use std::{
    io::{self, IoSlice},
    rc::Rc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::Interest,
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::{
    clock::now_ms,
    host::{Arrival, Host},
    limits::CLOSE_TIMEOUT,
};
use crate::{
    amqp::{
        frame,
        heartbeat::{Beat, Heartbeat},
    },
    vhost::SessionId,
};

/// Slices of one vectored write.
const SLICES: usize = 64;

/// Why it ended.
enum End {
    /// Both sides said so, or the client left.
    Closed,
    /// One side said so, and the client did not do its part in time.
    Overdue,
    /// The client was silent for too long.
    Silent,
    /// The socket broke.
    Broken(io::Error),
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Both talk.
    Open,
    /// We have said goodbye: it ends then at the latest, whether the client answers or not.
    Refused(Instant),
    /// The client has said goodbye: it may read what is left until then.
    Left(Instant),
}

impl Phase {
    /// After a look at what the virtual host says of it. Its time counts from the first goodbye.
    fn seen(self, closing: bool, closed: bool) -> Self {
        match (self, closing, closed) {
            (Self::Open, true, _) => Self::Refused(Instant::now() + CLOSE_TIMEOUT),
            (Self::Open, false, true) => Self::Left(Instant::now() + CLOSE_TIMEOUT),
            (phase, ..) => phase,
        }
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Open => None,
            Self::Refused(until) | Self::Left(until) => Some(until),
        }
    }
}

struct Connection {
    host: Rc<Host>,
    id: SessionId,
    socket: TcpStream,
    buffer: BytesMut,
    waker: Rc<Notify>,
    /// On a clock that nobody sets: milliseconds since `began`.
    heartbeat: Heartbeat,
    began: Instant,
    /// Something that has come waits in the buffer until the client may be listened to.
    stopped: bool,
    phase: Phase,
}

/// Serves a connection until it ends. It has entered when this returns, so that what is done to all connections next is
/// done to it as well.
pub(super) fn serve(host: Rc<Host>, arrival: Arrival) -> impl Future<Output = ()> {
    let Arrival { permit, socket, buffer, info, counted } = arrival;
    let (name, heartbeat) = (info.name(), Heartbeat::new(info.heartbeat, 0));
    let (id, waker) = host.enter(info);
    async move {
        match TcpStream::from_std(socket) {
            Ok(socket) => talk(&host, (id, waker), (socket, buffer), (&name, heartbeat)).await,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken over");
                host.leave(id);
            }
        }
        // They outlive the socket.
        drop((counted, permit));
    }
}

async fn talk(
    host: &Rc<Host>,
    (id, waker): (SessionId, Rc<Notify>),
    (socket, buffer): (TcpStream, BytesMut),
    (name, heartbeat): (&str, Heartbeat),
) {
    let began = Instant::now();
    let mut connection = Connection {
        host: Rc::clone(host),
        id,
        socket,
        buffer,
        waker,
        heartbeat,
        stopped: false,
        began,
        phase: Phase::Open,
    };
    let end = connection.run().await;
    match &end {
        End::Closed => tracing::debug!(connection = name, "closed"),
        End::Overdue => {
            tracing::debug!(connection = name, "closed, the client took too long for its goodbye");
        }
        End::Silent => tracing::warn!(connection = name, "missed heartbeats from client, connection closed"),
        End::Broken(error) => tracing::debug!(connection = name, %error, "broken"),
    }
    host.leave(id);
    if matches!((end, connection.phase), (End::Closed, Phase::Left(_))) {
        connection.linger().await;
    }
}

impl Connection {
    async fn run(&mut self) -> End {
        // What came behind the login is here already.
        if !self.buffer.is_empty() {
            self.take_in();
        }
        loop {
            // Here, not where nothing else is ready: a socket that always has something would put it off for ever.
            if let Some(end) = self.beat() {
                return end;
            }
            let wants_to_write = match self.flush() {
                Ok(wants_to_write) => wants_to_write,
                Err(error) => return End::Broken(error),
            };
            let (closed, may_read) = self.look();
            if closed && !wants_to_write {
                return End::Closed;
            }
            if self.stopped && may_read && !closed {
                self.take_in();
                // Others have their turn between two pieces of what one has sent.
                tokio::task::yield_now().await;
                continue;
            }
            match self.wait(may_read && !closed, wants_to_write).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(error) => return End::Broken(error),
            }
        }
    }

    /// Whether all was said, and whether it is to be read from.
    fn look(&mut self) -> (bool, bool) {
        let vhost = self.host.vhost();
        let closed = vhost.is_closed(self.id);
        self.phase = self.phase.seen(vhost.is_closing(self.id), closed);
        (closed, vhost.may_read(self.id))
    }

    /// A client that said goodbye closes the socket itself, as with RabbitMQ; nothing that it says counts any more.
    async fn linger(self) {
        let mut sink = [0; 256];
        let drained = async {
            while self.socket.readable().await.is_ok() {
                match self.socket.try_read(&mut sink) {
                    Ok(0) => return,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                    Ok(_) | Err(_) => {}
                }
            }
        };
        // Whether it does so in time makes no difference.
        let _in_time = timeout(CLOSE_TIMEOUT, drained).await;
    }

    /// Waits for whatever is next, and takes it in.
    async fn wait(&mut self, reads: bool, writes: bool) -> io::Result<Option<End>> {
        let interest = match (reads, writes) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        if !reads && !self.host.vhost().is_flooded(self.id) {
            // Who is not listened to cannot be heard; but who does not read is seen by what is written.
            self.heartbeat.heard(self.passed_ms());
        }
        let beat_at = self.next_beat();
        let ready = async {
            match interest {
                Some(interest) => self.socket.ready(interest).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What is there to send goes first: it frees memory, and others wait for it.
            biased;
            () = self.waker.notified() => {}
            ready = ready => {
                let ready = ready?;
                if reads && (ready.is_readable() || ready.is_read_closed()) {
                    return self.read().await;
                }
            }
            () = sleep_until(beat_at) => {}
        }
        Ok(None)
    }

    /// Reads once, and lets others have their turn.
    async fn read(&mut self) -> io::Result<Option<End>> {
        if self.buffer.is_empty() && self.buffer.capacity() < super::host::BUFFER_BYTES / 2 {
            self.buffer = self.host.lend_buffer();
        } else if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(super::host::BUFFER_BYTES);
        }
        match self.socket.try_read_buf(&mut self.buffer) {
            Ok(0) => return Ok(Some(End::Closed)),
            Ok(_) => {
                self.heartbeat.heard(self.passed_ms());
                self.take_in();
                tokio::task::yield_now().await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.buffer.is_empty() {
            self.host.give_back_buffer(std::mem::take(&mut self.buffer));
        }
        Ok(None)
    }

    /// Whether something lies in the socket, unread.
    fn hears_more(&mut self) -> bool {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(super::host::BUFFER_BYTES);
        }
        let heard = self.socket.try_read_buf(&mut self.buffer).is_ok_and(|read| read > 0);
        if heard {
            self.heartbeat.heard(self.passed_ms());
            self.take_in();
        }
        heard
    }

    fn take_in(&mut self) {
        self.stopped = self.host.vhost().receive(self.id, &mut self.buffer, now_ms());
        self.host.end_turn();
    }

    /// Writes what waits, as far as the socket takes it; whether something is left.
    fn flush(&mut self) -> io::Result<bool> {
        let mut resumed = false;
        let left = loop {
            let mut vhost = self.host.vhost();
            let Some(outbox) = vhost.outbox(self.id).filter(|outbox| !outbox.is_empty()) else { break false };
            let mut slices = [IoSlice::new(&[]); SLICES];
            let is_flooded = outbox.is_flooded();
            let filled = outbox.slices(&mut slices);
            match self.socket.try_write_vectored(slices.get(..filled).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    vhost.written(self.id, written);
                    let now_ms = self.passed_ms();
                    self.heartbeat.sent(now_ms);
                    if is_flooded {
                        self.heartbeat.heard(now_ms);
                    }
                    resumed = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) => return Err(error),
            }
        };
        if resumed {
            self.host.end_turn();
        }
        Ok(left)
    }

    fn next_beat(&self) -> Instant {
        if let Some(until) = self.phase.deadline() {
            return until;
        }
        let wait = self.heartbeat.next_ms().map_or(3_600_000, |at| at.saturating_sub(self.passed_ms()));
        Instant::now() + Duration::from_millis(wait)
    }

    fn passed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Does what is due by the clock.
    fn beat(&mut self) -> Option<End> {
        if let Some(until) = self.phase.deadline() {
            return (Instant::now() >= until).then_some(End::Overdue);
        }
        match self.heartbeat.due(self.passed_ms()) {
            Beat::Quiet => None,
            // After a long stand still what it said may lie in the socket.
            Beat::Dead if self.hears_more() => None,
            Beat::Dead => Some(End::Silent),
            Beat::Send => {
                if let Some(outbox) = self.host.vhost().outbox(self.id).filter(|outbox| outbox.is_empty()) {
                    outbox.buffer().extend_from_slice(&frame::HEARTBEAT);
                }
                self.heartbeat.sent(self.passed_ms());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
