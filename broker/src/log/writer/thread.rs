//! The thread around a writer: takes jobs from a bounded channel, says what became of them. Between groups it prepares
//! the next segment and writes checkpoints, a little at a time, so that no group waits long.
//!
//! ```text
//!  [idle] ──group──▶ [writing] ──▶ completion        full, short: [holding] ──every 100 ms──▶ the same group again
//! ```

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use super::{WriteError, Writer};
use crate::log::{
    checkpoint::CheckpointWriter,
    disk::{Disk, FileName},
    group::{Completed, Group},
    position::Position,
};

/// Jobs that wait for the thread; a sender that meets a full channel goes on collecting.
pub const JOBS_MAX: usize = 64;
/// A full disk is tried again after this.
const FULL_RETRY: Duration = Duration::from_millis(100);
/// So long no job came: then there is time for what waits.
const QUIET: Duration = Duration::from_millis(2);
/// Names of threads are cut at 15 bytes by Linux.
const THREAD_NAME: &str = "weft-log";

/// What the thread can do.
#[derive(Debug)]
pub enum Job {
    /// Write a group.
    Group(Group),
    /// Write a checkpoint; the groups up to its position were sent before.
    Checkpoint(Box<CheckpointWriter>),
    /// Delete these segments.
    Remove(Vec<u32>),
}

/// What became of it.
#[derive(Debug)]
pub enum Completion {
    /// A group is written.
    Group(Completed),
    /// The disk is full, or the system short of something: groups are held and tried again, nothing is lost. Said once,
    /// until [`Self::Room`].
    Full(WriteError),
    /// There is room again.
    Room,
    /// A checkpoint from which replay begins here is safe.
    Checkpoint(Position),
    /// No checkpoint this time; the earlier ones hold.
    CheckpointFailed(io::Error),
    /// Segments could not be deleted.
    RemoveFailed(io::Error),
    /// Nothing more will be written.
    Failed(WriteError),
}

/// Called on the thread for each completion.
pub type OnCompletion = Box<dyn FnMut(Completion) + Send>;

/// Starts the thread of a virtual host. It ends when the sender is dropped, after all jobs, or with the log's failure.
///
/// # Errors
/// If the system has no thread to give.
pub fn spawn<D: Disk + Send + 'static>(
    vhost: &str,
    writer: Writer<D>,
    on: OnCompletion,
) -> io::Result<(SyncSender<Job>, JoinHandle<()>)> {
    let (sender, jobs) = sync_channel(JOBS_MAX);
    let name: String = vhost.chars().filter(|char| char.is_alphanumeric()).collect();
    let thread = std::thread::Builder::new().name(format!("{THREAD_NAME}-{name}"));
    let mut shell = Shell { writer, on, held: VecDeque::new(), checkpoint: None, full: false, idle: false };
    let handle = thread.spawn(move || shell.run(&jobs))?;
    Ok((sender, handle))
}

struct Shell<D> {
    writer: Writer<D>,
    on: OnCompletion,
    /// Groups that the full disk did not take, in order.
    held: VecDeque<Group>,
    checkpoint: Option<Box<CheckpointWriter>>,
    full: bool,
    /// Nothing is left to do beside groups.
    idle: bool,
}

/// What the channel says.
enum Next {
    Job(Job),
    Nothing,
    End,
}

impl<D: Disk> Shell<D> {
    fn run(&mut self, jobs: &Receiver<Job>) {
        let mut open = true;
        while open || self.checkpoint.is_some() {
            let next = self.next(jobs);
            open &= !matches!(next, Next::End);
            let quiet = !matches!(next, Next::Job(_));
            let done = match next {
                Next::Job(job) => self.job(job),
                Next::Nothing | Next::End => self.groups(),
            };
            if let Err(error) = done.and_then(|()| self.aside(quiet)) {
                return (self.on)(Completion::Failed(error));
            }
        }
    }

    fn next(&self, jobs: &Receiver<Job>) -> Next {
        if !self.full && self.idle && self.checkpoint.is_none() {
            return jobs.recv().map_or(Next::End, Next::Job);
        }
        match jobs.recv_timeout(if self.full { FULL_RETRY } else { QUIET }) {
            Ok(job) => Next::Job(job),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn job(&mut self, job: Job) -> Result<(), WriteError> {
        match job {
            Job::Group(group) => self.held.push_back(group),
            Job::Checkpoint(checkpoint) => self.checkpoint = Some(checkpoint),
            Job::Remove(segments) => {
                if let Err(error) = self.writer.remove(&segments) {
                    (self.on)(Completion::RemoveFailed(error));
                }
            }
        }
        self.groups()
    }

    fn groups(&mut self) -> Result<(), WriteError> {
        while let Some(group) = self.held.front() {
            match self.writer.run(group) {
                Ok(completed) => {
                    self.held.pop_front();
                    self.idle = false;
                    (self.on)(Completion::Group(completed));
                }
                Err(error) if error.may_pass() => {
                    self.set_full(Some(error));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One step of what has time: when it is quiet, and of the next segment also when it falls behind.
    fn aside(&mut self, quiet: bool) -> Result<(), WriteError> {
        if quiet || self.full || self.writer.is_prepare_due() {
            self.prepare()?;
        }
        self.checkpoint_step()
    }

    fn prepare(&mut self) -> Result<(), WriteError> {
        match self.writer.prepare_step() {
            Ok(ready) => {
                self.idle = ready;
                if self.held.is_empty() {
                    self.set_full(None);
                }
            }
            Err(error) if error.may_pass() => self.set_full(Some(error)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn set_full(&mut self, why: Option<WriteError>) {
        if why.is_some() != self.full {
            self.full = why.is_some();
            (self.on)(why.map_or(Completion::Room, Completion::Full));
        }
    }

    fn checkpoint_step(&mut self) -> Result<(), WriteError> {
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(()) };
        match checkpoint.step(self.writer.disk()) {
            Ok(false) => self.checkpoint = Some(checkpoint),
            Ok(true) => return self.finish_checkpoint(*checkpoint),
            Err(error) => self.checkpoint_failed(error),
        }
        Ok(())
    }

    /// The earlier ones hold; what was written of this one only takes room.
    fn checkpoint_failed(&mut self, error: io::Error) {
        // Whoever begins the next one removes it, too.
        let _ = self.writer.disk().remove(FileName::CheckpointNew);
        (self.on)(Completion::CheckpointFailed(error));
    }

    /// What the checkpoint stands on is made safe before it counts.
    fn finish_checkpoint(&mut self, checkpoint: CheckpointWriter) -> Result<(), WriteError> {
        let replay_from = checkpoint.replay_from();
        match self.writer.sync() {
            Ok(durable) if durable >= replay_from => {}
            Ok(_) => {
                let early = "the log is not yet written up to the checkpoint's position";
                self.checkpoint_failed(io::Error::other(early));
                return Ok(());
            }
            Err(error) if error.may_pass() => {
                self.checkpoint_failed(io::Error::other(error));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        match checkpoint.finish(self.writer.disk()) {
            Ok(()) => (self.on)(Completion::Checkpoint(replay_from)),
            Err(error) => self.checkpoint_failed(error),
        }
        Ok(())
    }
}
