//! What becomes of the records of a batch, on the thread that writes: they are kept for `weft explain`, offered to
//! who listens, and, those that are wanted, written.
//!
//! ```text
//!          ┌─▶ rings   (/explain)
//!  batch ──┼─▶ taps    (/tap)
//!          └─▶ select ─▶ format ─▶ access log
//! ```

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::{AccessRecord, choices::Counter, format, ring::Rings, select, taps::Taps, writer::Writer};
use crate::{
    clock,
    config::{RecordFormat, RecordPolicy},
    table::Directory,
};

/// What others may ask of the records.
#[derive(Debug)]
pub(crate) struct Observed {
    rings: Option<Mutex<Rings>>,
    /// Who listens.
    pub(crate) taps: Taps,
}

/// See the module.
pub(super) struct Desk {
    out: Option<Writer>,
    policy: RecordPolicy,
    directory: Directory,
    observed: Arc<Observed>,
    line: Vec<u8>,
}

impl Observed {
    pub(super) fn new(policy: &RecordPolicy) -> Self {
        let rings = (policy.kept > 0).then(|| Mutex::new(Rings::new(policy.kept)));
        Self { rings, taps: Taps::default() }
    }

    /// What is known of a request id or trace id; `None` = nothing is kept.
    pub(crate) fn explain(&self, id: &str) -> Option<Vec<Value>> {
        self.rings.as_ref().map(|rings| rings.lock().tell(id))
    }
}

impl Desk {
    pub(super) fn new(
        out: Option<Writer>,
        policy: RecordPolicy,
        directory: Directory,
        observed: Arc<Observed>,
    ) -> Self {
        Self { out, policy, directory, observed, line: Vec::new() }
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
        let Some(out) = &mut self.out else { return Ok(()) };
        for record in batch.iter().filter(|record| select::wants(&self.policy, record)) {
            self.line.clear();
            match self.policy.format {
                RecordFormat::Json => format::json(record, ended(record), &mut self.line),
                RecordFormat::Text => format::text(record, ended(record), &mut self.line),
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
    format::json(record, ended, &mut line);
    line.push(b'\n');
    line.into()
}
