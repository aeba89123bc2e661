//! The connections of one data thread to one target: an endpoint's sidecar, a bare endpoint, or the
//! application. HTTP/1 connections are lent whole and the one used last is lent first; HTTP/2 connections are
//! shared, and one more is made when the streams of all are taken.
//!
//! ```text
//!            lend                send, read to the end
//!   idle ───────────▶ lent ───────────────────────────▶ idle
//!    │                  │
//!    │ closed, old      │ dropped before the end, closed by the peer, or too old to be lent again
//!    ▼                  ▼
//!   gone ◀──────────── gone
//! ```
//! A shared connection that is too old gets no new stream, and ends when its streams have.

mod age;
mod connect;
mod early_answer;
mod streams;

use std::{
    cell::{Cell, RefCell},
    mem,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use weft_model::{endpoint::Protocol, error_code::ErrorCode, policy::Policy};

use self::streams::{Slot, StreamedBody};
pub(crate) use self::{
    age::Age,
    connect::{ConnectError, Dial, HopBase, OpaqueStream, Target},
    early_answer::EarlyAnswer,
    streams::Streams,
};
use crate::{body::RequestBody, clock, load::InFlight, metrics::ConnectionMetrics};

/// An idle connection is closed after this time: less than the 90 s after which our own listeners close one,
/// so that the side that would send closes first.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(60);
/// Idle HTTP/1 connections kept for one target, at most.
const IDLE_COUNT_MAX: usize = 256;
/// Streams that we open on one HTTP/2 connection, at most, whatever the peer allows: beyond this a second
/// connection spreads better.
const STREAMS_MAX: usize = 1_000;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Http1,
    Http2,
    Opaque,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    dial: Dial,
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<Shared>>,
    is_connecting: Cell<bool>,
    /// Shared connections that could not be made, so far.
    connect_failures: Cell<u64>,
    connected: Notify,
    /// The epoch of the endpoint's cell that this thread has acted on: it changes when discovery says that the endpoint
    /// turned critical, and who waits for it is woken to look at it.
    pub(crate) critical_epoch: Cell<u32>,
    connections: Arc<ConnectionMetrics>,
    /// Connections that are older carry no new request.
    age_max: Cell<Option<Duration>>,
    /// Where the connections to the target are limited.
    places: Option<Places>,
}

/// So many connections, and no more.
#[derive(Debug)]
struct Places {
    /// HTTP/1 connections that may be lent: each carries one request.
    free: Arc<Semaphore>,
    max: usize,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: u64,
    age: Age,
}

#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<StreamedBody>,
    streams: Rc<Streams>,
    /// What the peer allows at the moment.
    streams_max: Rc<Cell<usize>>,
    age: Age,
}

/// A connection, or a share of one, for one request.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Sender,
    is_reused: bool,
    taken_at: u64,
}

#[derive(Debug)]
enum Sender {
    Http1 { sender: http1::SendRequest<RequestBody>, age: Age, place: Option<OwnedSemaphorePermit> },
    Http2 { sender: http2::SendRequest<StreamedBody>, slot: Slot },
}

/// Why there is no response head.
#[derive(Debug)]
pub(crate) struct SendError {
    /// The request, where none of it was sent.
    pub(crate) unsent: Option<Request<RequestBody>>,
    pub(crate) error: hyper::Error,
}

/// What holds a response's connection while its body is read.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) pool: Rc<Pool>,
    pub(crate) lease: Lease,
    pub(crate) in_flight: Option<InFlight>,
}

impl Wire {
    /// HTTP/1 stays HTTP/1, HTTP/2 stays HTTP/2.
    pub(crate) fn of(version: http::Version) -> Self {
        if version == http::Version::HTTP_2 { Self::Http2 } else { Self::Http1 }
    }

    /// Whether a service that says it speaks `protocol` understands this: nothing but HTTP/2 where that is all
    /// it speaks. Nothing is translated.
    pub(crate) fn is_spoken_at(self, protocol: Protocol) -> bool {
        self == Self::Http2 || !matches!(protocol, Protocol::Http2 | Protocol::Grpc)
    }
}

impl Pool {
    pub(crate) fn new(dial: Dial, critical_epoch: u32, connections: Arc<ConnectionMetrics>) -> Self {
        Self {
            dial,
            idle: RefCell::default(),
            shared: RefCell::default(),
            is_connecting: Cell::new(false),
            connect_failures: Cell::new(0),
            connected: Notify::new(),
            critical_epoch: Cell::new(critical_epoch),
            connections,
            places: None,
            age_max: Cell::new(None),
        }
    }

    /// With at most so many connections.
    pub(crate) fn limited(self, connections_max: Option<u32>) -> Self {
        let max =
            connections_max.map(|max| usize::try_from(max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS));
        Self { places: max.map(|max| Places { free: Arc::new(Semaphore::new(max)), max }), ..self }
    }

    /// Does from now on as the service's policy says, with the connections that it has.
    pub(crate) fn follow(&self, policy: &Policy) {
        self.dial.timeout.set(policy.timeouts.connect);
        self.age_max.set(policy.balance.connection_age_max);
    }

    /// A connection that was idle for at most `idle_max`, else a new one. It is `now`.
    pub(crate) async fn acquire(
        &self,
        wire: Wire,
        idle_max: Duration,
        now: u64,
    ) -> Result<Lease, ConnectError> {
        if wire == Wire::Http2 {
            return match self.free_stream(idle_max, now) {
                Some(lease) => Ok(lease),
                // Boxed, as connecting below: it is rare, and a call should not be as large as all that may
                // become of it.
                None => Box::pin(self.share(idle_max)).await,
            };
        }
        let (place, now) = match &self.places {
            None => (None, now),
            // The wait for a place is no part of the peer's time.
            Some(places) => (Some(Box::pin(self.place(places)).await?), clock::now()),
        };
        if let Some(Idle { sender, age, .. }) = self.newest_idle(idle_max, now) {
            return Ok(Lease {
                sender: Sender::Http1 { sender, age, place },
                is_reused: true,
                taken_at: now,
            });
        }
        if let Some(places) = &self.places {
            // What is idle for too long counts as well: the oldest one makes room.
            let mut idle = self.idle.borrow_mut();
            if idle.len() + places.max - places.free.available_permits() > places.max {
                drop(idle.remove(0));
            }
        }
        let sender = Box::pin(connect::http1(&self.dial, &self.connections)).await?;
        let now = clock::now();
        let sender = Sender::Http1 { sender, age: Age::new(now), place };
        Ok(Lease { sender, is_reused: false, taken_at: now })
    }

    /// Waits until fewer connections are lent than there may be, as long as it may take to make one.
    async fn place(&self, places: &Places) -> Result<OwnedSemaphorePermit, ConnectError> {
        let free = Arc::clone(&places.free).acquire_owned();
        match tokio::time::timeout(self.dial.timeout.get(), free).await {
            Ok(Ok(place)) => Ok(place),
            // Nobody closes it, so its time is over.
            _ => Err(ConnectError::Refused(ErrorCode::Overloaded)),
        }
    }

    /// A raw connection for bytes, which never comes back.
    pub(crate) async fn connect_opaque(&self) -> Result<OpaqueStream, ConnectError> {
        connect::opaque(&self.dial, &self.connections).await
    }

    /// Closes what has been idle for too long.
    pub(crate) fn sweep(&self) {
        let (now, age_max) = (clock::now(), self.age_max.get());
        self.idle.borrow_mut().retain(|idle| {
            !idle.sender.is_closed() && within(idle.since, now, IDLE_MAX) && !idle.age.is_over(age_max, now)
        });
        self.shared.borrow_mut().retain(|shared| {
            let is_used = !shared.streams.is_idle() || within(shared.streams.used_at(), now, IDLE_MAX);
            !shared.sender.is_closed() && is_used && !shared.age.is_over(age_max, now)
        });
    }

    fn newest_idle(&self, idle_max: Duration, now: u64) -> Option<Idle> {
        let age_max = self.age_max.get();
        let mut idle = self.idle.borrow_mut();
        let mut place = idle.len();
        while let Some(candidate) = place.checked_sub(1).and_then(|at| idle.get(at)) {
            place -= 1;
            let is_over = !within(candidate.since, now, IDLE_MAX) || candidate.age.is_over(age_max, now);
            if candidate.sender.is_closed() || is_over {
                drop(idle.remove(place));
            } else if !within(candidate.since, now, idle_max) {
                // All below are older.
                return None;
            } else if candidate.sender.is_ready() {
                return Some(idle.remove(place));
            }
        }
        None
    }

    async fn share(&self, idle_max: Duration) -> Result<Lease, ConnectError> {
        loop {
            if let Some(lease) = self.free_stream(idle_max, clock::now()) {
                return Ok(lease);
            }
            if !self.is_connecting.get() {
                break;
            }
            let failures = self.connect_failures.get();
            // Made before the wait, so that a ring in between is not missed: all of this is one thread.
            self.connected.notified().await;
            if self.connect_failures.get() != failures {
                // What failed for one failed for all who waited: one after the other, they would wait for the
                // sum of their timeouts.
                return Err(ConnectError::Shared);
            }
        }
        self.make_room()?;
        let connecting = Connecting::begin(self);
        let made = connect::http2(&self.dial, &self.connections).await;
        let (sender, streams_max) = made.inspect_err(|_| {
            self.connect_failures.set(self.connect_failures.get().wrapping_add(1));
        })?;
        let (streams, now) = (Rc::default(), clock::now());
        let slot = Slot::take(&streams, now);
        let shared = Shared { sender: sender.clone(), streams, streams_max, age: Age::new(now) };
        self.shared.borrow_mut().push(shared);
        drop(connecting);
        Ok(Lease { sender: Sender::Http2 { sender, slot }, is_reused: false, taken_at: now })
    }

    /// Where shared connections are limited, one that nobody uses makes room for another.
    fn make_room(&self) -> Result<(), ConnectError> {
        let Some(places) = &self.places else { return Ok(()) };
        let mut shared = self.shared.borrow_mut();
        if shared.len() < places.max {
            return Ok(());
        }
        let idle = shared.iter().position(|shared| shared.streams.is_idle());
        let idle = idle.ok_or(ConnectError::Refused(ErrorCode::Overloaded))?;
        drop(shared.remove(idle));
        Ok(())
    }

    fn free_stream(&self, idle_max: Duration, now: u64) -> Option<Lease> {
        let age_max = self.age_max.get();
        let mut connections = self.shared.borrow_mut();
        // One that is too old ends by itself once those who have streams on it let go of it.
        connections.retain(|shared| !shared.sender.is_closed() && !shared.age.is_over(age_max, now));
        let free = connections.iter_mut().find(|shared| {
            let limit = shared.streams_max.get().min(STREAMS_MAX);
            let streams = &shared.streams;
            streams.open() < limit && (!streams.is_idle() || within(streams.used_at(), now, idle_max))
        })?;
        let slot = Slot::take(&free.streams, now);
        let sender = Sender::Http2 { sender: free.sender.clone(), slot };
        Some(Lease { sender, is_reused: true, taken_at: now })
    }
}

/// Says that a shared connection is being made, until it is dropped; then those that wait look again.
struct Connecting<'a>(&'a Pool);

impl<'a> Connecting<'a> {
    fn begin(pool: &'a Pool) -> Self {
        pool.is_connecting.set(true);
        Self(pool)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.is_connecting.set(false);
        self.0.connected.notify_waiters();
    }
}

impl Lease {
    /// Whether the connection has carried a request before: it may have been closed meanwhile.
    pub(crate) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// When it was lent: from here on the peer answers, and nothing waits for a connection.
    pub(crate) fn taken_at(&self) -> u64 {
        self.taken_at
    }

    /// Sends what it takes out of `request`, and waits for the response head. The error holds the request when none of
    /// it was sent.
    pub(crate) async fn send(
        &mut self,
        request: &mut Request<RequestBody>,
    ) -> Result<Response<Incoming>, Box<SendError>> {
        match &mut self.sender {
            Sender::Http1 { sender, .. } => sender
                .try_send_request(mem::take(request))
                .await
                .map_err(|error| SendError::new(error, |body| body)),
            Sender::Http2 { sender, slot } => {
                let sent = sender.try_send_request(mem::take(request).map(|body| slot.share_with(body)));
                sent.await.map_err(|error| SendError::new(error, StreamedBody::into_inner))
            }
        }
    }
}

impl SendError {
    fn new<B>(mut error: TrySendError<Request<B>>, inner: impl FnOnce(B) -> RequestBody) -> Box<Self> {
        let unsent = error.take_message().map(|request| request.map(inner));
        Box::new(Self { unsent, error: error.into_error() })
    }
}

impl Carrier {
    /// The response was read to its end; it is `now`.
    pub(crate) fn give_back(self, now: u64) {
        let Self { pool, lease, in_flight } = self;
        drop(in_flight);
        let Sender::Http1 { sender, age, place } = lease.sender else { return };
        let mut idle = pool.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < IDLE_COUNT_MAX {
            idle.push(Idle { sender, since: now, age });
        }
        drop(idle);
        // Who waits for it finds the connection idle.
        drop(place);
    }
}

fn within(since: u64, now: u64, time: Duration) -> bool {
    Duration::from_nanos(now.saturating_sub(since)) <= time
}
