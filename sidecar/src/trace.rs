//! What a call that comes in says to the calls that the application makes for it. The application is between them
//! and forwards one thing, its trace (W3C's or B3's, see [`context`]), so that is how they are found: while a
//! call is under way here, its trace id leads to its deadline, its attempt and its request id, and back from the
//! calls made for it comes how many retries they cost. Where the application forwards no trace, nothing is
//! inherited.
//!
//! ```text
//!  inbound call with a traceparent ──open──▶ [trace id -> deadline, attempt, hops, request id; retries]
//!            │ response has ended                     │ inherited by          ▲ retries are noted
//!            ▼                                        ▼                       │
//!          closed                             outbound call with the same trace id
//! ```
//! Shared by data threads: an application's call may come to another thread than the call that it is made for.
//! Only calls with a trace come here, each takes the lock of one shard for as long as a map is looked into.

mod context;
mod export;
mod span;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use smallvec::SmallVec;

pub use self::export::SpanMetrics;
pub(crate) use self::{
    context::{carrier, id, id_text},
    export::{Exporter, SPANS_MAX},
    span::{Span, Tracer},
};
use crate::clock;

/// Locks that the traces are spread over.
const SHARDS: usize = 16;
/// Traces that one shard remembers, at most; one more inherits nothing.
const SHARD_TRACES_MAX: usize = 4_096;
/// Calls of one trace that are under way here at once and are told apart, at most.
const CALLS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// How many calls are open: with none, no header is looked for.
    open: AtomicUsize,
    /// Tells the calls of one trace apart.
    next: AtomicU64,
    shards: [Mutex<HashMap<u128, Trace, foldhash::fast::RandomState>>; SHARDS],
}

#[derive(Debug, Default)]
struct Trace {
    calls: SmallVec<[(u64, Bequest); 1]>,
    retries: Arc<AtomicU32>,
}

/// What a call leaves to those that are made for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bequest {
    /// On the process's clock; `None` = none.
    pub(crate) deadline: Option<u64>,
    /// Which try it is; 1 = the first.
    pub(crate) attempt: u32,
    /// Sidecars that it has passed from one service to the next.
    pub(crate) hops: u32,
    pub(crate) request_id: Option<HeaderValue>,
}

/// What an outbound call has inherited.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) from: Bequest,
    retries: Arc<AtomicU32>,
}

/// A call that is remembered until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenTrace {
    traces: Arc<Traces>,
    trace: u128,
    number: u64,
    retries: Arc<AtomicU32>,
}

impl Traces {
    /// Remembers an inbound call of this trace, if there is room.
    pub(crate) fn open(self: &Arc<Self>, id: u128, bequest: impl FnOnce() -> Bequest) -> Option<OpenTrace> {
        let mut traces = self.shard(id).lock();
        let is_full = traces.len() >= SHARD_TRACES_MAX && !traces.contains_key(&id);
        let trace = if is_full { return None } else { traces.entry(id).or_default() };
        if trace.calls.len() >= CALLS_MAX {
            return None;
        }
        let number = self.next.fetch_add(1, Relaxed);
        trace.calls.push((number, bequest()));
        let retries = Arc::clone(&trace.retries);
        self.open.fetch_add(1, Relaxed);
        Some(OpenTrace { traces: Arc::clone(self), trace: id, number, retries })
    }

    /// What an outbound call inherits, if the call that it is made for is known.
    pub(crate) fn inherit(&self, headers: &HeaderMap) -> Option<Inherited> {
        if self.open.load(Relaxed) == 0 {
            return None;
        }
        let id = carrier(headers).and_then(id)?;
        let traces = self.shard(id).lock();
        let trace = traces.get(&id)?;
        let mut calls = trace.calls.iter().map(|(_, bequest)| bequest);
        let first = calls.next()?.clone();
        let from = calls.fold(first, Bequest::or);
        Some(Inherited { from, retries: Arc::clone(&trace.retries) })
    }

    fn shard(&self, trace: u128) -> &Mutex<HashMap<u128, Trace, foldhash::fast::RandomState>> {
        // Random by its definition, in its last half at least.
        let place = usize::try_from(trace % 16).unwrap_or(0) % SHARDS;
        self.shards.get(place).unwrap_or(&self.shards[0])
    }
}

impl Bequest {
    /// Of two calls of one trace, nobody knows which one a call is made for: it must not fail by a deadline that
    /// is not its own, and must not get around the limit on hops.
    fn or(self, other: &Self) -> Self {
        let one = self.request_id == other.request_id;
        Self {
            deadline: self.deadline.zip(other.deadline).map(|(a, b)| a.max(b)),
            attempt: self.attempt.min(other.attempt),
            hops: self.hops.max(other.hops),
            request_id: self.request_id.filter(|_| one),
        }
    }
}

impl Inherited {
    /// Of its deadline; nothing is left when it is over.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let deadline = self.from.deadline?;
        Some(Duration::from_nanos(deadline.saturating_sub(clock::now())))
    }

    /// So many retries were spent on a call that has inherited.
    pub(crate) fn note_retries(&self, count: u32) {
        self.retries.fetch_add(count, Relaxed);
    }
}

impl OpenTrace {
    /// Retries that were spent under this trace.
    pub(crate) fn retries(&self) -> u32 {
        self.retries.load(Relaxed)
    }
}

impl Drop for OpenTrace {
    fn drop(&mut self) {
        self.traces.open.fetch_sub(1, Relaxed);
        let mut traces = self.traces.shard(self.trace).lock();
        if let Some(trace) = traces.get_mut(&self.trace) {
            trace.calls.retain(|(number, _)| *number != self.number);
            if trace.calls.is_empty() {
                traces.remove(&self.trace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn headers(trace: u128) -> HeaderMap {
        let text = format!("00-{trace:032x}-00f067aa0ba902b7-01");
        let value = HeaderValue::try_from(text).unwrap();
        [(http::HeaderName::from_static("traceparent"), value)].into_iter().collect()
    }

    fn bequest(deadline: Option<u64>, hops: u32) -> Bequest {
        Bequest { deadline, attempt: 1, hops, request_id: None }
    }

    #[test]
    fn a_call_is_inherited_from_while_it_is_open_and_hears_of_retries() {
        let traces = Arc::new(Traces::default());
        assert!(traces.inherit(&headers(TRACE)).is_none());
        let open = traces.open(TRACE, || bequest(Some(7), 2)).unwrap();
        // Another span of the same trace, in the other form.
        let child = HeaderValue::from_static("4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-0");
        let child = [(http::HeaderName::from_static("b3"), child)].into_iter().collect();
        let inherited = traces.inherit(&child).unwrap();
        assert_eq!((inherited.from.deadline, inherited.from.hops), (Some(7), 2));
        inherited.note_retries(2);
        assert_eq!(open.retries(), 2);
        assert!(traces.inherit(&headers(1)).is_none());
        drop(open);
        assert!(traces.inherit(&headers(TRACE)).is_none());
        assert!(traces.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn of_two_calls_of_one_trace_the_later_deadline_and_the_longer_way_count() {
        let traces = Arc::new(Traces::default());
        let first = traces.open(TRACE, || bequest(Some(7), 3)).unwrap();
        let _second = traces.open(TRACE, || bequest(Some(9), 1)).unwrap();
        let from = traces.inherit(&headers(TRACE)).unwrap().from;
        assert_eq!((from.deadline, from.hops), (Some(9), 3));
        drop(first);
        let third = traces.open(TRACE, || bequest(None, 1)).unwrap();
        let from = traces.inherit(&headers(TRACE)).unwrap().from;
        assert_eq!((from.deadline, from.hops), (None, 1));
        drop(third);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let traces = Arc::new(Traces::default());
        let same: Vec<_> = (0..100).filter_map(|_| traces.open(TRACE, Bequest::default)).collect();
        assert_eq!(same.len(), CALLS_MAX);
        let one_shard = (1..6_000).map(|number| number * SHARDS as u128);
        let many: Vec<_> = one_shard.filter_map(|id| traces.open(id, Bequest::default)).collect();
        assert_eq!(many.len(), SHARD_TRACES_MAX);
    }
}
