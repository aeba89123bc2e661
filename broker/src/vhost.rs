//! A virtual host as one pure state: bytes and times of connections in, bytes for connections, groups for the log and
//! reads of it out. One thread owns it; it knows no socket, no disk and no clock.
//!
//! ```text
//!  receive, enter, leave, loaded, completed, tick ─▶ Vhost ─▶ outbox of each connection
//!                                                     │
//!                                                     └─▶ end_turn: who has something new, groups, loads
//! ```

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use crate::{
    access::Access,
    exchange::{QueueId, message::RouteResult, topology::Topology},
    log::{
        group::{Completed, Group},
        position::Position,
        segments::GARBAGE_BYTES_MIN,
    },
    message::Message,
    policy::{PolicySet, queue_settings::QueueSettings},
    queue::{Address, Memory, QueueStats, Seq},
};

mod admin;
mod blocked;
mod carbon;
mod channel;
mod close;
mod compaction;
mod confirming;
mod confirms;
mod dead;
mod death;
mod delayed;
mod dispatch;
mod due;
mod durable;
mod effects;
mod expiration;
mod headers;
mod holding;
mod input;
mod loads;
mod methods;
mod outbox;
mod place;
mod publish;
mod queues;
mod records;
mod recover;
mod refuse;
mod reply_to;
mod seen;
mod session;
mod sessions;
mod store;
mod streams;
mod tend;
#[cfg(test)]
mod tests;
mod timers;
mod turn;
mod tx;
mod unacked;
mod user_channels;
pub mod views;
mod visit;
mod wire;

pub use blocked::{Blocked, Reasons};
pub use compaction::Scanned;
pub use dead::PARKED_QUEUE;
pub use loads::{Load, Loaded, Missing};
pub use outbox::Outbox;
pub use records::{DeclaredQueue, declared_queues};
pub use recover::RecoverError;
pub use session::{SessionId, SessionInfo};
pub use turn::{Purpose, Want};
pub use user_channels::UserChannels;
pub use visit::{Outcome, VISIT_CHANNEL, VisitPublish};

use dead::Dead;
use timers::TimerKey;

/// Bytes that a connection has published and that are not durable, at most: beyond it, it is not read from.
pub const UNSYNCED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of waiting messages that a virtual host keeps in memory by default.
pub const WARM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Octets of a message: RabbitMQ 4's `max_message_size`.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a delivery may wait for its acknowledgement, where nobody says: RabbitMQ's `consumer_timeout`.
pub const CONSUMER_TIMEOUT_MS: u64 = 30 * 60 * 1000;
/// How often that is looked at.
const CONSUMER_TIMEOUT_LOOK_MS: u64 = 5_000;

/// What a virtual host may use.
#[derive(Debug, Clone, Copy)]
pub struct VhostLimits {
    /// Bytes of waiting messages in memory.
    pub warm_bytes_max: usize,
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Milliseconds that a delivery may wait for its acknowledgement; 0 is for ever.
    pub consumer_timeout_ms: u64,
    /// Bytes of the log without a live message before sparse segments are compacted.
    pub garbage_bytes_min: u64,
}

impl Default for VhostLimits {
    fn default() -> Self {
        Self {
            warm_bytes_max: WARM_BYTES_MAX,
            message_bytes_max: MESSAGE_BYTES_MAX,
            consumer_timeout_ms: CONSUMER_TIMEOUT_MS,
            garbage_bytes_min: GARBAGE_BYTES_MIN,
        }
    }
}

/// What happened since it was opened.
#[derive(Debug, Default, Clone, Copy)]
pub struct VhostStats {
    /// Messages that came in.
    pub published: u64,
    /// Those of them that publishers asked to have confirmed.
    pub published_confirming: u64,
    /// Messages that no queue took.
    pub unroutable: u64,
    /// Messages that went back to their publishers.
    pub returned: u64,
    /// Messages that were confirmed.
    pub confirmed: u64,
    /// What happened to queues that are gone.
    pub of_gone_queues: QueueStats,
    /// Arguments and policy keys of queues that were taken and that nothing follows from.
    pub not_acted_on: u64,
    /// Queues that were made.
    pub queues_created: u64,
    /// Queues that are gone.
    pub queues_deleted: u64,
    /// Connections that came.
    pub connections_opened: u64,
    /// Connections that went.
    pub connections_closed: u64,
    /// Channels that were opened.
    pub channels_opened: u64,
    /// Channels that were closed.
    pub channels_closed: u64,
}

/// What a turn leaves for its shell to do.
#[derive(Debug, Default)]
pub struct TurnEnd {
    /// Connections with something new: bytes, an end, or leave to read on.
    pub dirty: Vec<SessionId>,
    /// Messages to read.
    pub loads: Vec<Load>,
}

/// The virtual host.
#[derive(Debug)]
pub struct Vhost {
    name: Rc<str>,
    topology: Topology,
    queues: queues::Queues,
    sessions: sessions::Sessions,
    store: store::Store,
    policies: PolicySet,
    access: Arc<Access>,
    timers: timers::Timers,
    delayed: delayed::Delayed,
    /// What deduplicating exchanges have seen.
    windows: seen::Windows,
    turn: turn::Turn,
    routed: RouteResult,
    /// The queues of the message at hand; kept for its room.
    targets: Vec<QueueId>,
    replies: HashMap<Rc<str>, Address>,
    /// Dead messages whose text is being read.
    limbo: HashMap<(u32, Seq), Dead>,
    /// Channels whose confirms wait.
    unconfirmed: confirming::Unconfirmed,
    /// Commits that wait for the log.
    commits: VecDeque<(Position, Address)>,
    /// Who waits for the log.
    waiters: durable::Waiters,
    /// What each connection has published up to where.
    unsynced: VecDeque<(Position, SessionId, usize)>,
    /// Streams whose last messages are not durable: readers wait for those.
    growing: Vec<QueueId>,
    /// Queues with more to bury than can be at once.
    crowd: Vec<QueueId>,
    /// What is to be read and not written yet.
    unwritten: Vec<Want>,
    /// What could not be read, and will be asked for again.
    unread: Vec<Want>,
    blocked: blocked::State,
    compaction: compaction::State,
    limits: VhostLimits,
    warm_bytes: usize,
    /// Queues with so much in memory that it is worth looking at whenever something was written.
    fat: Vec<QueueId>,
    stats: VhostStats,
    now_ms: u64,
}

impl Vhost {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn set_time(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.store.now_ms = self.now_ms;
    }

    /// The bytes for a connection.
    pub fn outbox(&mut self, id: SessionId) -> Option<&mut Outbox> {
        self.sessions.one_mut(id).map(|session| &mut session.outbox)
    }

    /// Whether a connection has said goodbye: what is in its outbox is the last.
    pub fn is_closed(&self, id: SessionId) -> bool {
        self.sessions.one(id).is_none_or(|session| session.state == session::SessionState::Closed)
    }

    /// Whether so much waits for a connection that it is not listened to.
    pub fn is_flooded(&self, id: SessionId) -> bool {
        self.sessions.one(id).is_some_and(|session| session.outbox.is_flooded())
    }

    /// Whether a connection is to be read from now.
    pub fn may_read(&self, id: SessionId) -> bool {
        let Some(session) = self.sessions.one(id) else { return false };
        let over = session.unsynced_bytes > UNSYNCED_BYTES_MAX;
        let closing = session.state != session::SessionState::Open;
        closing || (self.may_take(id) && !(over || (session.publishes && self.blocked.is_any())))
    }

    /// So many bytes of a connection were written: who was paused may get deliveries again.
    pub fn written(&mut self, id: SessionId, bytes: usize) {
        let Some(session) = self.sessions.one_mut(id) else { return };
        session.outbox.advance(bytes);
        session.sent_bytes += bytes as u64;
        if session.stalled && session.outbox.len() <= outbox::DELIVERIES_RESUME_BYTES {
            session.stalled = false;
            let channels: Vec<u16> = session.channel_numbers().collect();
            for channel in channels {
                self.wake_starved(Address { session: id, channel });
            }
            self.tend_all();
        }
    }

    /// Ends a turn: what it leaves to do.
    pub fn end_turn(&mut self) -> TurnEnd {
        self.tend_all();
        self.tell_confirms();
        let dirty = std::mem::take(&mut self.turn.dirty);
        for id in &dirty {
            if let Some(session) = self.sessions.one_mut(*id) {
                session.dirty = false;
            }
        }
        TurnEnd { dirty, loads: self.take_loads() }
    }

    /// The next group for the log, unless one is being written.
    pub fn take_group(&mut self, now_ms: u64) -> Option<Group> {
        self.set_time(now_ms);
        self.store.take_group()
    }

    /// A group is written.
    pub fn completed(&mut self, completed: Completed, now_ms: u64) {
        self.set_time(now_ms);
        self.store.completed(completed);
        let (durable, written) = (self.store.durable(), self.store.written());
        while let Some((_, id, bytes)) = self.unsynced.front().filter(|(end, ..)| *end <= written).copied() {
            self.unsynced.pop_front();
            if let Some(session) = self.sessions.one_mut(id) {
                let was_over = session.unsynced_bytes > UNSYNCED_BYTES_MAX;
                session.unsynced_bytes = session.unsynced_bytes.saturating_sub(bytes);
                if was_over && session.unsynced_bytes <= UNSYNCED_BYTES_MAX {
                    self.turn.has_bytes(id, session);
                }
            }
        }
        self.answer_commits();
        self.waiters.tell(durable);
        self.reveal_streams();
        self.ask_for_written();
        self.evict_all();
        self.go_on_compacting();
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: u64) {
        self.set_time(now_ms);
        while let Some(key) = self.timers.pop_due(now_ms) {
            match key {
                TimerKey::Head(id) => self.touch(id),
                TimerKey::Unused(id) => self.expire_queue(id),
                TimerKey::Delayed(number) => self.release_due(number),
                TimerKey::Reads => self.ask_again(),
                TimerKey::ConsumerTimeouts => self.look_at_timeouts(),
            }
        }
        self.look_for_compaction();
        self.tend_all();
    }

    /// When [`Self::tick`] is due, or a group must be written; milliseconds since 1970.
    pub fn next_deadline(&self) -> Option<u64> {
        let sync = self.store.sync_due().filter(|_| !self.store.is_writing());
        self.timers.next_at().into_iter().chain(sync).min()
    }

    /// Who may do what has changed.
    pub fn set_access(&mut self, access: Arc<Access>) {
        self.access = access;
    }

    /// All connections.
    pub fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.ids()
    }

    /// Whether a connection is being closed by us.
    pub fn is_closing(&self, id: SessionId) -> bool {
        self.sessions.one(id).is_some_and(|session| session.state == session::SessionState::Closing)
    }

    /// Bytes of the log since the last checkpoint.
    pub fn bytes_since_checkpoint(&self) -> u64 {
        self.store.since_checkpoint
    }

    /// Whether segments wait for a checkpoint to be let go.
    pub fn wants_checkpoint(&self) -> bool {
        self.store.segments.waits_for_checkpoint(self.store.end().segment())
    }

    /// A checkpoint is safe.
    pub fn checkpointed(&mut self, replay_from: Position) {
        self.store.segments.checkpointed(replay_from);
        self.begin_compaction();
    }

    /// Segments that nobody needs any more: forgotten here, to be deleted.
    pub fn take_reclaimable(&mut self) -> Vec<u32> {
        let (settled_at, durable) = (self.store.settled_at(), self.store.durable());
        self.store.segments.take_reclaimable(settled_at, durable)
    }

    /// Closes the log in order; what it still has to write comes as groups.
    pub fn seal(&mut self) {
        self.tend_all();
        self.store.seal();
    }

    /// Whether all is written, or can't be.
    pub fn is_sealed(&self) -> bool {
        let is_written = self.store.pending_bytes() == 0 && !self.store.is_writing();
        self.is_poisoned() || (is_written && self.store.is_sealed())
    }

    fn memory(&self) -> Memory {
        if self.warm_bytes > self.limits.warm_bytes_max { Memory::Short } else { Memory::Ample }
    }

    fn channel_mut(&mut self, at: Address) -> Option<&mut channel::Channel> {
        self.sessions.one_mut(at.session)?.channel_mut(at.channel)
    }

    /// Writes a method for a channel of a connection that is there.
    fn answer(&mut self, at: Address, encode: impl FnOnce(u16, &mut Vec<u8>)) {
        let Some(session) = self.sessions.one_mut(at.session) else { return };
        encode(at.channel, session.outbox.buffer());
        self.turn.has_bytes(at.session, session);
    }
}

/// When a message that was read expires: by what the log says, and by what the queue's settings are now.
fn expiry_of(settings: &QueueSettings, message: &Message, stored_ms: u64) -> u64 {
    let by_queue = settings.message_ttl_ms.map(|ttl| message.published_at_ms().saturating_add(ttl).max(1));
    match (stored_ms, by_queue) {
        (0, by_queue) => by_queue.unwrap_or(0),
        (stored, None) => stored,
        (stored, Some(by_queue)) => stored.min(by_queue),
    }
}
