//! From the data threads to the one that writes: records are collected by the thread that made them and handed
//! over in batches, when one is full or a moment after its first record. A record costs the data path a push
//! then, and neither a lock nor the wake of another thread.
//!
//! ```text
//!  guard drops ─▶ batch ──full, or FLUSH_AFTER old──▶ bounded queue ─▶ weft-access-log ─▶ desk
//!                                                        └─ full: dropped, counted
//! ```

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    AccessRecord,
    desk::{Desk, Observed},
    writer::Writer,
};
use crate::{
    config::{AccessLog, RecordPolicy},
    metrics::DataMetrics,
    table::Directory,
};

/// Records handed over at once.
const BATCH_LENGTH: usize = 128;
/// Batches waiting to be written, at most: 16,384 records, a second of heavy traffic.
const BATCHES_MAX: usize = 128;
/// How long a record waits for its batch to fill.
const FLUSH_AFTER: Duration = Duration::from_millis(50);

type Batch = Vec<AccessRecord>;

/// The queue to the writer, to be taken along by data threads.
#[derive(Debug, Clone)]
pub(crate) struct RecordQueue {
    queue: Option<SyncSender<Batch>>,
    dropped: Arc<AtomicU64>,
}

/// Where one thread hands its records.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: RecordQueue,
    batch: RefCell<Batch>,
    /// Rings with the first record of a batch.
    begun: Notify,
}

impl RecordQueue {
    /// Starts the writer, where records are written, kept or exported. What may be asked of them is beside it.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub(crate) fn spawn(
        log: &AccessLog,
        policy: &RecordPolicy,
        directory: &Directory,
        metrics: &DataMetrics,
    ) -> io::Result<(Self, Arc<Observed>)> {
        let (desk, observed) = Desk::new(Writer::open(log)?, policy, directory, metrics);
        let dropped = Arc::clone(&metrics.records_dropped);
        if !desk.is_wanted() {
            return Ok((Self { queue: None, dropped }, observed));
        }
        let (queue, batches) = sync_channel(BATCHES_MAX);
        thread::Builder::new().name("weft-access-log".into()).spawn(move || write_all(&batches, desk))?;
        Ok((Self { queue: Some(queue), dropped }, observed))
    }
}

impl Recorder {
    pub(crate) fn new(queue: RecordQueue) -> Self {
        Self { queue, batch: RefCell::default(), begun: Notify::new() }
    }

    /// Whether records are written, kept or exported at all.
    pub(crate) fn is_on(&self) -> bool {
        self.queue.queue.is_some()
    }

    pub(super) fn push(&self, record: AccessRecord) {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            batch.reserve(BATCH_LENGTH);
            self.begun.notify_one();
        }
        batch.push(record);
        let is_full = batch.len() >= BATCH_LENGTH;
        drop(batch);
        if is_full {
            self.flush();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        let batch = self.batch.take();
        let Some(queue) = self.queue.queue.as_ref().filter(|_| !batch.is_empty()) else { return };
        let length = batch.len() as u64;
        if queue.try_send(batch).is_err() {
            self.queue.dropped.fetch_add(length, Relaxed);
        }
    }

    /// Sees to it that no record waits for long; runs as long as its thread.
    pub(crate) async fn flush_in_time(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(FLUSH_AFTER).await;
            self.flush();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes until every sender is gone.
fn write_all(batches: &Receiver<Batch>, mut desk: Desk) {
    let mut is_broken = false;
    while let Ok(batch) = batches.recv() {
        let mut result = desk.take(&batch);
        while let Ok(batch) = batches.try_recv() {
            result = desk.take(&batch).and(result);
        }
        let result = result.and_then(|()| desk.flush());
        // Said once: a full disk must not fill the log as well.
        if let (Err(error), false) = (&result, is_broken) {
            tracing::error!(%error, "access records cannot be written");
        }
        is_broken = result.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::tests::record;

    fn recorder(log: &AccessLog) -> Recorder {
        let (directory, _publisher, _demands) = crate::table::directory(crate::table::Home::default());
        let policy = RecordPolicy::default();
        let metrics = DataMetrics::default();
        Recorder::new(RecordQueue::spawn(log, &policy, &directory, &metrics).unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_waits_a_moment_for_others_and_no_longer() {
        let (queue, batches) = sync_channel(1);
        let queue = RecordQueue { queue: Some(queue), dropped: Arc::default() };
        let recorder = Rc::new(Recorder::new(queue));
        let flusher = Rc::clone(&recorder).flush_in_time();
        recorder.push(record());
        recorder.push(record());
        assert!(batches.try_recv().is_err());
        let _elapsed = tokio::time::timeout(FLUSH_AFTER * 2, flusher).await;
        assert_eq!(batches.try_recv().unwrap().len(), 2);
    }

    #[test]
    fn a_full_batch_goes_at_once_and_a_full_queue_drops_and_counts() {
        let (queue, batches) = sync_channel(1);
        let dropped = Arc::<AtomicU64>::default();
        let recorder = Recorder::new(RecordQueue { queue: Some(queue), dropped: Arc::clone(&dropped) });
        for _ in 0..3 * BATCH_LENGTH {
            recorder.push(record());
        }
        assert_eq!(batches.try_recv().unwrap().len(), BATCH_LENGTH);
        assert_eq!(dropped.load(Relaxed), 2 * BATCH_LENGTH as u64);
    }

    #[test]
    fn what_is_left_is_written_when_the_thread_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let recorder = recorder(&AccessLog::File(path.clone()));
        recorder.push(record());
        drop(recorder);
        let written = || std::fs::read_to_string(&path).unwrap_or_default().lines().count() == 1;
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !written() {
            assert!(std::time::Instant::now() < deadline, "nothing was written");
            thread::yield_now();
        }
    }
}
