//! Drain is a value: tasks hold a [`Watch`], and whoever stops holds the [`Drain`] and waits for them.
//!
//! ```text
//!            begin(), or the Drain is dropped          the last Watch is dropped
//!   open ───────────────────────────────▶ draining ───────────────────────────▶ drained
//! ```
//!
//! It knows nothing of what a task does to come to its end.

use std::time::Duration;

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// The end that orders the drain and waits. Dropped, it begins the drain: no task outlives its owner unaware.
#[derive(Debug, Default)]
pub struct Drain {
    token: CancellationToken,
    tasks: TaskTracker,
}

/// Held by every task: tells when to end, and that the task has not ended yet.
#[derive(Debug, Clone)]
pub struct Watch {
    token: CancellationToken,
    /// Counts this watch until it is dropped.
    _held: TaskTrackerToken,
}

/// Tasks were left when the time was over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{left} tasks have not ended in {limit:?}")]
pub struct DrainTimeout {
    /// So many watches are held still.
    pub left: usize,
    /// What was waited.
    pub limit: Duration,
}

impl Drain {
    /// Open.
    pub fn new() -> Self {
        Self::default()
    }

    /// For one more task.
    pub fn watch(&self) -> Watch {
        Watch { token: self.token.clone(), _held: self.tasks.token() }
    }

    /// Tells every task to come to its end. Again is no harm.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Begins, and waits until every watch is dropped.
    ///
    /// # Errors
    /// When some are held after `limit`.
    pub async fn finish(&self, limit: Duration) -> Result<(), DrainTimeout> {
        self.begin();
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait())
            .await
            .map_err(|_| DrainTimeout { left: self.tasks.len(), limit })
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.begin();
    }
}

impl Watch {
    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends when the drain begins. Safe to drop and call again.
    pub async fn draining(&self) {
        self.token.cancelled().await;
    }

    /// For `spawn`: runs `work` until it ends or the drain begins, holding the watch.
    pub async fn while_open(self, work: impl Future<Output = ()>) {
        self.unless_draining(work).await;
    }

    /// Runs `work` until it ends or the drain begins, whichever is first; `None` = the drain was.
    pub async fn unless_draining<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            // The drain first: a task that always has work must still see it.
            biased;
            () = self.draining() => None,
            output = work => Some(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_is_over_when_the_last_watch_is_dropped() {
        let drain = Drain::new();
        let watch = drain.watch();
        let task = tokio::spawn(async move { watch.draining().await });
        drain.finish(Duration::from_secs(1)).await.unwrap();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_has_not_ended_in_time_is_counted() {
        let drain = Drain::new();
        let (first, second) = (drain.watch(), drain.watch());
        let error = drain.finish(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.left, 2);
        assert!(first.is_draining() && second.is_draining());
    }

    #[tokio::test]
    async fn dropping_the_drain_begins_it() {
        let watch = Drain::new().watch();
        assert_eq!(watch.unless_draining(std::future::pending::<()>()).await, None);
    }
}
