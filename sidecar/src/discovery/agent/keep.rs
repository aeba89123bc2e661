//! When the snapshot is written: at most once a second, one write at a time, on a thread that may block.
//! A disk that refuses is told of once, and tried again with each change.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::super::keeper::{self, KeepError, Kept};

/// Between two writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file and what is under way.
#[derive(Debug)]
pub(super) struct Keep {
    path: Arc<PathBuf>,
    dirty: bool,
    written: Option<Instant>,
    writing: Option<JoinHandle<Result<(), KeepError>>>,
    /// The disk refused, and people know.
    failing: bool,
}

impl Keep {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), dirty: false, written: None, writing: None, failing: false }
    }

    /// What is on disk; a damaged snapshot is none, and said so.
    pub(super) fn load(&self) -> Option<Kept> {
        keeper::load(&self.path).unwrap_or_else(|error| {
            tracing::warn!(%error, "snapshot ignored: starting without what was known");
            None
        })
    }

    /// Something changed.
    pub(super) fn dirty(&mut self) {
        self.dirty = true;
    }

    /// What is on disk is what is known.
    pub(super) fn clean(&mut self) {
        self.dirty = false;
    }

    /// Whether a write is to begin now.
    pub(super) fn is_due(&self) -> bool {
        self.dirty && self.writing.is_none() && self.written.is_none_or(|at| at.elapsed() >= INTERVAL)
    }

    /// Begins a write.
    pub(super) fn begin(&mut self, kept: impl FnOnce() -> Kept + Send + 'static) {
        let path = Arc::clone(&self.path);
        (self.dirty, self.written) = (false, Some(Instant::now()));
        self.writing = Some(tokio::task::spawn_blocking(move || keeper::write(&path, &kept())));
    }

    /// Ends when there is something to look at: a write has ended, or may begin. Dropped before, nothing is
    /// lost.
    pub(super) async fn progress(&mut self) {
        match (&mut self.writing, self.written) {
            (Some(writing), _) => {
                let ended = writing.await;
                self.writing = None;
                self.note(ended.unwrap_or(Ok(())));
            }
            (None, Some(at)) if self.dirty => tokio::time::sleep_until(at + INTERVAL).await,
            (None, _) => std::future::pending().await,
        }
    }

    /// Writes what is not written yet.
    pub(super) async fn finish(&mut self, kept: impl FnOnce() -> Kept + Send + 'static) {
        if self.writing.is_some() {
            self.progress().await;
        }
        if self.dirty {
            self.begin(kept);
            self.progress().await;
        }
    }

    fn note(&mut self, ended: Result<(), KeepError>) {
        match ended {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "snapshot not written: a restart would begin with an older one");
                }
                (self.failing, self.dirty) = (true, true);
            }
        }
    }
}
