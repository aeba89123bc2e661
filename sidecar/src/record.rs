//! One access record a request or connection. A guard holds it while the call is under way and hands it over
//! when it is dropped, so that a cancelled call has one too; a thread of its own formats and writes. When its
//! queue is full a record is dropped and counted: the data path never waits for a disk.

mod writer;

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Method, Uri};
use serde::{Serialize, Serializer};
use weft_model::error_code::ErrorCode;

use self::writer::Writer;
use crate::{
    clock,
    config::AccessLog,
    metrics::{Direction, ServiceMetrics},
};

/// Records waiting to be written, at most: a second of heavy traffic.
const QUEUE_LENGTH_MAX: usize = 16_384;

/// Where a thread hands its records.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    queue: Option<SyncSender<AccessRecord>>,
    dropped: Arc<AtomicU64>,
}

/// One call, as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct AccessRecord {
    #[serde(serialize_with = "rfc3339")]
    time: SystemTime,
    #[serde(serialize_with = "direction")]
    direction: Direction,
    service: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "method")]
    method: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "path")]
    path: Option<Uri>,
    status: u16,
    #[serde(rename = "weft-error", skip_serializing_if = "Option::is_none", serialize_with = "code")]
    error: Option<ErrorCode>,
    #[serde(skip_serializing_if = "is_false")]
    cancelled: bool,
    attempts: u32,
    received_bytes: u64,
    sent_bytes: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "header")]
    request_id: Option<HeaderValue>,
}

/// The request's own part of a record, known when it arrives.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) request_id: Option<HeaderValue>,
}

/// A call under way. Its end, however it comes, is counted and recorded once.
#[derive(Debug)]
pub(crate) struct RecordGuard {
    recorder: Rc<Recorder>,
    metrics: Arc<ServiceMetrics>,
    /// None for a connection, and where no records are written.
    pub(crate) line: Option<Box<Line>>,
    started: u64,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) status: u16,
    error: Option<ErrorCode>,
    is_complete: bool,
    is_broken_off: bool,
    pub(crate) attempts: u32,
    pub(crate) received: crate::body::Meter,
    sent: u64,
    /// Held by inbound calls: a draining sidecar waits for them.
    pub(crate) active: Option<crate::data::thread::ActiveGuard>,
}

impl Recorder {
    /// Starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub(crate) fn spawn(log: &AccessLog, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        let Some(out) = Writer::open(log)? else { return Ok(Self { queue: None, dropped }) };
        let (queue, records) = sync_channel(QUEUE_LENGTH_MAX);
        thread::Builder::new().name("weft-access-log".into()).spawn(move || write_all(&records, out))?;
        Ok(Self { queue: Some(queue), dropped })
    }

    /// Whether records are written at all.
    pub(crate) fn is_on(&self) -> bool {
        self.queue.is_some()
    }
}

impl RecordGuard {
    pub(crate) fn begin(recorder: &Rc<Recorder>, metrics: &Arc<ServiceMetrics>, line: Option<Line>) -> Self {
        Self {
            recorder: Rc::clone(recorder),
            metrics: Arc::clone(metrics),
            line: line.map(Box::new),
            started: clock::now(),
            endpoint: None,
            status: 0,
            error: None,
            is_complete: false,
            is_broken_off: false,
            attempts: 0,
            received: crate::body::Meter::default(),
            sent: 0,
            active: None,
        }
    }

    /// The service is found: from here on it counts there.
    pub(crate) fn belongs_to(&mut self, metrics: &Arc<ServiceMetrics>) {
        self.metrics = Arc::clone(metrics);
    }

    pub(crate) fn metrics(&self) -> &ServiceMetrics {
        &self.metrics
    }

    pub(crate) fn add_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// It ended with a failure that has a name.
    pub(crate) fn fail(&mut self, code: ErrorCode) {
        self.error = Some(code);
        self.is_complete = true;
    }

    /// The caller's own body ended early: whatever is answered, nobody may be there to read it.
    pub(crate) fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    /// It ended as it should.
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for RecordGuard {
    fn drop(&mut self) {
        let nanos = clock::now() - self.started;
        self.metrics.observe(self.status, self.error, nanos);
        self.metrics.received.fetch_add(self.received.get(), Relaxed);
        self.metrics.sent.fetch_add(self.sent, Relaxed);
        let is_cancelled = self.is_broken_off || !self.is_complete;
        if is_cancelled {
            self.metrics.cancelled.fetch_add(1, Relaxed);
        }
        let Some(queue) = &self.recorder.queue else { return };
        let duration = Duration::from_nanos(nanos);
        let (method, path, request_id) = match self.line.take() {
            Some(line) => (Some(line.method), Some(line.uri), line.request_id),
            None => (None, None, None),
        };
        let record = AccessRecord {
            time: SystemTime::now(),
            direction: self.metrics.direction,
            service: Arc::clone(&self.metrics.service),
            endpoint: self.endpoint.take(),
            method,
            path,
            status: self.status,
            error: self.error,
            cancelled: is_cancelled,
            attempts: self.attempts,
            received_bytes: self.received.get(),
            sent_bytes: self.sent,
            duration_ms: duration.as_secs_f64() * 1e3,
            request_id,
        };
        if queue.try_send(record).is_err() {
            self.recorder.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Writes until every sender is gone.
fn write_all(records: &Receiver<AccessRecord>, mut out: Writer) {
    let mut is_broken = false;
    while let Ok(record) = records.recv() {
        let mut result = out.write(&record);
        while let Ok(record) = records.try_recv() {
            result = result.and_then(|()| out.write(&record));
        }
        let result = result.and_then(|()| out.flush());
        // Said once: a full disk must not fill the log as well.
        if let (Err(error), false) = (&result, is_broken) {
            tracing::error!(%error, "access records cannot be written");
        }
        is_broken = result.is_err();
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_micros(*time))
}

fn direction<S: Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(direction.as_str())
}

fn method<S: Serializer>(method: &Option<Method>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_ref().map_or("", Method::as_str))
}

fn path<S: Serializer>(uri: &Option<Uri>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(uri.as_ref().map_or("", Uri::path))
}

fn code<S: Serializer>(code: &Option<ErrorCode>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.map_or("", ErrorCode::as_str))
}

fn header<S: Serializer>(value: &Option<HeaderValue>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
    serializer.serialize_str(text.as_deref().unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
