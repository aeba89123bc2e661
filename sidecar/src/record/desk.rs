//! What becomes of the records of a batch, on the thread that writes: they are kept for `weft explain`, offered to
//! who listens, exported as spans where they are traced, and, those that are wanted, written.
//!
//! ```text
//!          ┌─▶ rings   (/explain)
//!          ├─▶ taps    (/tap)
//!  batch ──┼─▶ spans ─▶ bounded queue ─▶ exporter
//!          └─▶ select ─▶ format ─▶ access log
//! ```

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{AccessRecord, choices::Counter, format, ring::Rings, select, span, taps::Taps, writer::Writer};
use crate::{
    clock,
    config::{RecordFormat, RecordPolicy},
    metrics::DataMetrics,
    table::Directory,
    trace::{SPANS_MAX, SpanMetrics},
};

/// Where the exporter takes its spans.
pub(crate) type Spans = mpsc::Receiver<span::Wire>;

/// What others may ask of the records.
#[derive(Debug)]
pub(crate) struct Observed {
    rings: Option<Mutex<Rings>>,
    /// Who listens.
    pub(crate) taps: Taps,
    /// Until they are taken by the exporter.
    spans: Mutex<Option<Spans>>,
}

/// See the module.
pub(super) struct Desk {
    out: Option<Writer>,
    policy: RecordPolicy,
    directory: Directory,
    observed: Arc<Observed>,
    spans: Option<mpsc::Sender<span::Wire>>,
    counts: Arc<SpanMetrics>,
    line: Vec<u8>,
    stamps: format::Stamps,
}

impl Observed {
    fn new(policy: &RecordPolicy, spans: Option<Spans>) -> Self {
        let rings = (policy.kept > 0).then(|| Mutex::new(Rings::new(policy.kept)));
        Self { rings, taps: Taps::default(), spans: Mutex::new(spans) }
    }

    /// The spans, for whom asks first; `None` = nothing is traced.
    pub(crate) fn take_spans(&self) -> Option<Spans> {
        self.spans.lock().take()
    }

    /// What is known of a request id or trace id; `None` = nothing is kept.
    pub(crate) fn explain(&self, id: &str) -> Option<Vec<Value>> {
        self.rings.as_ref().map(|rings| rings.lock().tell(id))
    }
}

impl Desk {
    /// With what others may ask of it.
    pub(super) fn new(
        out: Option<Writer>,
        policy: &RecordPolicy,
        directory: &Directory,
        metrics: &DataMetrics,
    ) -> (Self, Arc<Observed>) {
        let (spans, queue) = policy.tracing.as_ref().map(|_| mpsc::channel(SPANS_MAX)).unzip();
        let observed = Arc::new(Observed::new(policy, queue));
        let desk = Self {
            out,
            policy: policy.clone(),
            directory: directory.clone(),
            observed: Arc::clone(&observed),
            spans,
            counts: Arc::clone(&metrics.spans),
            line: Vec::new(),
            stamps: format::Stamps::default(),
        };
        (desk, observed)
    }

    /// Whether anybody wants records at all.
    pub(super) const fn is_wanted(&self) -> bool {
        self.out.is_some() || self.policy.kept > 0 || self.spans.is_some()
    }

    /// The time of day is looked up once a batch; the records' own times are counted from it.
    pub(super) fn take(&mut self, batch: &[AccessRecord]) -> io::Result<()> {
        let (wall, now) = (SystemTime::now(), clock::now());
        let ended = |record: &AccessRecord| {
            let age = Duration::from_nanos(now.saturating_sub(record.ended));
            wall.checked_sub(age).unwrap_or(wall)
        };
        if let Some(rings) = &self.observed.rings {
            Rings::keep(rings, batch, (wall, now), Counter::new(self.directory.load(), now));
        }
        let taps = &self.observed.taps;
        if taps.is_listened_to() {
            for record in batch {
                taps.offer(record, || json_line(record, ended(record)));
            }
        }
        if let Some(spans) = &self.spans {
            let traced = batch.iter().filter_map(|record| Some((record, record.story.span.as_deref()?)));
            for (record, traced) in traced {
                let full = spans.try_send(span::proto(record, traced, ended(record))).is_err();
                self.counts.overflowed.fetch_add(full.into(), Relaxed);
            }
        }
        let Some(out) = &mut self.out else { return Ok(()) };
        for record in batch.iter().filter(|record| select::wants(&self.policy, record)) {
            self.line.clear();
            match self.policy.format {
                RecordFormat::Json => format::json(record, ended(record), &mut self.stamps, &mut self.line),
                RecordFormat::Text => format::text(record, ended(record), &mut self.stamps, &mut self.line),
            }
            self.line.push(b'\n');
            out.write(&self.line)?;
        }
        Ok(())
    }

    /// What was written, to the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Writer::flush)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.observed.taps.close();
    }
}

fn json_line(record: &AccessRecord, ended: SystemTime) -> Bytes {
    let mut line = Vec::new();
    format::json(record, ended, &mut format::Stamps::default(), &mut line);
    line.push(b'\n');
    line.into()
}
