//! What the log's threads say, and what follows from it: groups that are written, space to be freed, checkpoints.

use std::time::Instant;

use super::Host;
use crate::{
    log::{
        checkpoint::CheckpointWriter,
        writer::thread::{Completion, Job},
    },
    server::{clock::now_ms, limits::CheckpointNeed, reader::Read},
    vhost::Blocked,
};

impl Host {
    pub(super) fn completed(&self, completion: Completion) {
        self.send_jobs();
        match completion {
            Completion::Group(completed) => {
                self.vhost().completed(completed, now_ms());
                self.reclaim();
                self.maybe_checkpoint();
                self.sealed.notify_one();
            }
            Completion::Full(error) => {
                tracing::warn!(%error, "the log takes nothing more for now: publishers wait");
                self.vhost().set_blocked(Blocked::DiskFull, true);
                self.vhost().tick(now_ms());
                self.maybe_checkpoint();
            }
            Completion::Room => {
                tracing::info!("the log has room again");
                self.vhost().set_blocked(Blocked::DiskFull, false);
            }
            Completion::Checkpoint(position) => {
                self.checkpoints.borrow_mut().done(Instant::now());
                self.vhost().checkpointed(position);
                self.reclaim();
            }
            Completion::CheckpointFailed(error) => {
                self.checkpoints.borrow_mut().failed(Instant::now());
                tracing::warn!(%error, "no checkpoint this time: a start will read more of the log");
            }
            Completion::RemoveFailed(error) => tracing::warn!(%error, "segments cannot be removed"),
            Completion::Failed(error) => {
                tracing::error!(%error, "the message log failed: nothing more is confirmed until a restart");
                self.vhost().set_blocked(Blocked::LogFailed, true);
                self.sealed.notify_one();
            }
        }
        self.end_turn();
    }

    /// The reader closes them first, behind all that it was to read: a file that is open takes its space still.
    fn reclaim(&self) {
        let dead = self.vhost().take_reclaimable();
        if !dead.is_empty() {
            self.waiting_reads.borrow_mut().push_back(Read::Close(dead));
            self.send_reads();
        }
    }

    pub(super) fn maybe_checkpoint(&self) {
        let need = {
            let vhost = self.vhost();
            CheckpointNeed {
                bytes: vhost.bytes_since_checkpoint(),
                segments_wait: vhost.wants_checkpoint(),
                is_short_of_space: vhost.is_short_of_space(),
            }
        };
        if self.checkpoints.borrow().is_due(need, Instant::now()) {
            self.checkpoint();
        }
    }

    pub(super) fn checkpoint(&self) {
        let (checkpoint, group) = {
            let mut vhost = self.vhost();
            (vhost.checkpoint(), vhost.take_group(now_ms()))
        };
        // What the checkpoint stands on is written before it.
        if let Some(group) = group {
            self.job(Job::Group(group));
        }
        if let Some(checkpoint) = checkpoint {
            self.checkpoints.borrow_mut().begun();
            self.job(Job::Checkpoint(Box::new(CheckpointWriter::new(self.log, checkpoint))));
        }
    }
}
