//! The thread that owns one virtual host: its connections, its state, its hand on the log. Everything here happens on
//! that thread, one thing at a time; others send commands.
//!
//! ```text
//!  front ──Connection──┐                           ┌─▶ connection tasks (read, write)
//!  log ────Completed───┼─▶ commands ─▶ Host.vhost ─┼─▶ groups ─▶ log thread
//!  reader ─Loaded──────┤                           └─▶ loads ──▶ reader thread
//!  management ─Call────┘
//!  Shared ─────Standing (watched)
//! ```

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::mpsc::{SyncSender, TrySendError},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};

use super::{
    clock::now_ms, connection, limits::CheckpointPolicy, reader::Read, shared::Standing, watermarks::Alarms,
};
use crate::{
    log::{
        identity::LogId,
        writer::thread::{Completion, Job},
    },
    vhost::{Blocked, Loaded, Scanned, SessionId, SessionInfo, Vhost, Want},
};

mod answers;
mod fuse;
mod goodbye;

pub(super) use fuse::run;

/// Commands that wait for the thread.
pub(super) const COMMANDS_MAX: usize = 1024;
/// Read buffers that wait to be used again.
const BUFFERS_KEPT: usize = 64;
/// What a read buffer holds: a frame of the usual size, and a bit.
pub(super) const BUFFER_BYTES: usize = 128 * 1024 + 1024;

/// Something that is done with the virtual host on its thread.
pub type Call = Box<dyn FnOnce(&mut Vhost) + Send>;

/// What others ask of the thread.
pub(super) enum Command {
    /// A connection has logged in and enters.
    Connection(Box<Arrival>),
    /// The log has done something.
    Completed(Completion),
    /// Messages were read.
    Loaded(Want, Vec<Loaded>),
    /// A piece of a segment was read, to be compacted.
    Scanned(Scanned),
    /// These segments are read no more: they may be removed.
    Closed(Vec<u32>),
    /// Something to be done with the state.
    Call(Call),
    /// End in order.
    Stop,
}

/// A connection that enters.
pub(super) struct Arrival {
    pub(super) socket: std::net::TcpStream,
    /// Bytes that were read already.
    pub(super) buffer: BytesMut,
    pub(super) info: SessionInfo,
    /// Counts the connection until it is dropped.
    pub(super) counted: super::counts::Counted,
    /// Its place among those that the broker holds at most; held for as long as the socket.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What the thread's tasks share.
pub(super) struct Host {
    vhost: RefCell<Vhost>,
    wakers: RefCell<HashMap<SessionId, Rc<Notify>>>,
    jobs: RefCell<Option<SyncSender<Job>>>,
    reads: RefCell<Option<SyncSender<Read>>>,
    /// What found the reader busy.
    waiting_reads: RefCell<VecDeque<Read>>,
    /// Something may be there for the log.
    log_work: Notify,
    /// The next deadline may have changed.
    retimed: Notify,
    armed_ms: Cell<u64>,
    /// Which the state was told of.
    alarms: Cell<Alarms>,
    log: LogId,
    checkpoints: RefCell<CheckpointPolicy>,
    buffers: RefCell<Vec<BytesMut>>,
    left: Notify,
    sealed: Notify,
    /// A task has panicked: who waits for it, and whether it did.
    broken: Notify,
    is_broken: Cell<bool>,
    /// What the log's thread has no room for yet.
    waiting_jobs: RefCell<VecDeque<Job>>,
}

/// How a virtual host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// As it was told to.
    InOrder,
    /// By a panic; what its log holds is whole.
    Broken,
}

/// Serves a virtual host on this thread until it is told to stop.
fn serve(
    runtime: &tokio::runtime::Runtime,
    host: &Rc<Host>,
    mut orders: mpsc::Receiver<Command>,
    mut standing: watch::Receiver<Standing>,
) -> Ended {
    tokio::task::LocalSet::new().block_on(runtime, async {
        host.spawn(Rc::clone(host).write());
        host.spawn(Rc::clone(host).tick());
        let now = standing.borrow_and_update().clone();
        host.hear(now);
        // What a full disk kept from being done before it was left is done now, whether or not anybody publishes.
        host.vhost().tick(now_ms());
        host.end_turn();
        let ended = host.obey(&mut orders, &mut standing).await;
        if ended == Ended::InOrder {
            host.stop(&mut orders).await;
        }
        ended
    })
}

impl Host {
    pub(super) fn new(vhost: Vhost, log: LogId, jobs: SyncSender<Job>, reads: SyncSender<Read>) -> Rc<Self> {
        Rc::new(Self {
            vhost: RefCell::new(vhost),
            wakers: RefCell::default(),
            jobs: RefCell::new(Some(jobs)),
            reads: RefCell::new(Some(reads)),
            waiting_reads: RefCell::default(),
            log_work: Notify::new(),
            retimed: Notify::new(),
            armed_ms: Cell::new(u64::MAX),
            alarms: Cell::default(),
            log,
            checkpoints: RefCell::new(CheckpointPolicy::new(Instant::now())),
            buffers: RefCell::default(),
            left: Notify::new(),
            sealed: Notify::new(),
            broken: Notify::new(),
            is_broken: Cell::new(false),
            waiting_jobs: RefCell::default(),
        })
    }

    /// The state. Never held across an await.
    pub(super) fn vhost(&self) -> RefMut<'_, Vhost> {
        self.vhost.borrow_mut()
    }

    /// A connection enters; what wakes its task.
    pub(super) fn enter(&self, info: SessionInfo) -> (SessionId, Rc<Notify>) {
        let id = self.vhost().enter(info, now_ms());
        let waker = Rc::new(Notify::new());
        self.wakers.borrow_mut().insert(id, Rc::clone(&waker));
        (id, waker)
    }

    /// A connection is gone.
    pub(super) fn leave(&self, id: SessionId) {
        self.wakers.borrow_mut().remove(&id);
        self.vhost().leave(id, now_ms());
        self.end_turn();
        self.left.notify_waiters();
    }

    /// After anything was done with the state: wakes who has something, and hands on what is to be read and written.
    pub(super) fn end_turn(&self) {
        let (end, deadline) = {
            let mut vhost = self.vhost();
            let end = vhost.end_turn();
            (end, vhost.next_deadline())
        };
        let wakers = self.wakers.borrow();
        for id in end.dirty {
            if let Some(waker) = wakers.get(&id) {
                waker.notify_one();
            }
        }
        self.waiting_reads.borrow_mut().extend(end.loads.into_iter().map(Read::Load));
        self.send_reads();
        self.log_work.notify_one();
        if deadline.is_some_and(|deadline| deadline < self.armed_ms.get()) {
            self.retimed.notify_one();
        }
    }

    fn send_reads(&self) {
        send_waiting(&self.reads, &self.waiting_reads);
    }

    /// Hands groups to the log's thread, whenever it has none.
    pub(super) async fn write(self: Rc<Self>) {
        loop {
            self.log_work.notified().await;
            let group = self.vhost().take_group(now_ms());
            if let Some(group) = group {
                self.job(Job::Group(group));
            }
        }
    }

    /// Hands the log's thread something to do; where it has no room, when it has done something else. Nothing where a
    /// panic has left the state half changed.
    fn job(&self, job: Job) {
        if !self.is_broken.get() {
            self.waiting_jobs.borrow_mut().push_back(job);
            self.send_jobs();
        }
    }

    fn send_jobs(&self) {
        send_waiting(&self.jobs, &self.waiting_jobs);
    }

    /// Wakes the state when something is due.
    pub(super) async fn tick(self: Rc<Self>) {
        loop {
            let deadline = self.vhost().next_deadline().unwrap_or(u64::MAX);
            self.armed_ms.set(deadline);
            let wait = Duration::from_millis(deadline.saturating_sub(now_ms()).min(60_000));
            tokio::select! {
                // A new deadline first: it may be earlier.
                biased;
                () = self.retimed.notified() => continue,
                () = tokio::time::sleep(wait) => {}
            }
            self.vhost().tick(now_ms());
            self.maybe_checkpoint();
            self.end_turn();
        }
    }

    /// Does what others ask until they ask to stop, or something breaks.
    pub(super) async fn obey(
        self: &Rc<Self>,
        commands: &mut mpsc::Receiver<Command>,
        standing: &mut watch::Receiver<Standing>,
    ) -> Ended {
        loop {
            tokio::select! {
                // What is broken does nothing more, and what was said to all before a command holds for it.
                biased;
                () = self.broken.notified() => return Ended::Broken,
                Ok(()) = standing.changed() => {
                    let now = standing.borrow_and_update().clone();
                    self.hear(now);
                }
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => return Ended::InOrder,
                    Some(command) => self.command(command),
                },
            }
        }
    }

    fn command(self: &Rc<Self>, command: Command) {
        match command {
            Command::Connection(arrival) => {
                self.spawn(connection::serve(Rc::clone(self), *arrival));
            }
            Command::Completed(completion) => self.completed(completion),
            Command::Loaded(want, loaded) => {
                self.vhost().loaded(&want, loaded, now_ms());
                self.end_turn();
            }
            Command::Scanned(scanned) => {
                self.vhost().scanned(&scanned, now_ms());
                self.end_turn();
            }
            Command::Closed(segments) => {
                self.job(Job::Remove(segments));
                self.send_reads();
            }
            Command::Call(call) => {
                call(&mut self.vhost());
                self.end_turn();
            }
            Command::Stop => {}
        }
    }

    /// Takes in what holds for all virtual hosts now.
    fn hear(&self, standing: Standing) {
        let Standing { access, alarms } = standing;
        let before = self.alarms.replace(alarms);
        {
            let mut vhost = self.vhost();
            vhost.set_access(access);
            if alarms.memory != before.memory {
                vhost.set_blocked(Blocked::Memory, alarms.memory);
            }
            if alarms.disk != before.disk {
                vhost.set_blocked(Blocked::Disk, alarms.disk);
            }
        }
        self.end_turn();
    }

    /// A read buffer with room.
    pub(super) fn lend_buffer(&self) -> BytesMut {
        let mut buffer = self.buffers.borrow_mut().pop().unwrap_or_default();
        buffer.reserve(BUFFER_BYTES);
        buffer
    }

    /// An empty read buffer that somebody else may use.
    pub(super) fn give_back_buffer(&self, buffer: BytesMut) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < BUFFERS_KEPT {
            buffers.push(buffer);
        }
    }
}

/// Hands a thread what waits for it, as far as it has room; nothing where it was let go of.
fn send_waiting<T>(thread: &RefCell<Option<SyncSender<T>>>, waiting: &RefCell<VecDeque<T>>) {
    let thread = thread.borrow();
    let Some(thread) = thread.as_ref() else { return };
    let mut waiting = waiting.borrow_mut();
    while let Some(next) = waiting.pop_front() {
        if let Err(TrySendError::Full(next) | TrySendError::Disconnected(next)) = thread.try_send(next) {
            waiting.push_front(next);
            return;
        }
    }
}
