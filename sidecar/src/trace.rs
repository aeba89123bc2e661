//! What a call that comes in says to the calls that the application makes for it. The application is between them
//! and forwards one thing, its trace (`traceparent`, W3C Trace Context), so that is how they are found: while a
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

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::clock;

/// Locks that the traces are spread over.
const SHARDS: usize = 16;
/// Traces that one shard remembers, at most; one more inherits nothing.
const SHARD_TRACES_MAX: usize = 4_096;
/// Calls of one trace that are under way here at once and are told apart, at most.
const CALLS_MAX: usize = 64;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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
    /// Remembers an inbound call, if it has a trace and there is room.
    pub(crate) fn open(
        self: &Arc<Self>,
        headers: &HeaderMap,
        bequest: impl FnOnce() -> Bequest,
    ) -> Option<OpenTrace> {
        let id = trace_id(headers)?;
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
        let id = trace_id(headers)?;
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

/// `00-<32 hex digits>-<16 hex digits>-<flags>`; later versions begin alike. All zeros is no id.
fn trace_id(headers: &HeaderMap) -> Option<u128> {
    let digits = id_text(headers.get(&TRACEPARENT)?.as_bytes())?;
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The digits of the trace id in the header's value.
pub(crate) fn id_text(text: &[u8]) -> Option<&[u8]> {
    let (version, rest) = text.split_at_checked(2)?;
    let (id, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
    let is_hex = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex(version) || version == b"ff" || !is_hex(id) || rest.first() != Some(&b'-') {
        return None;
    }
    id.iter().any(|digit| *digit != b'0').then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(traceparent: &str) -> HeaderMap {
        let value = HeaderValue::from_str(traceparent);
        value.map(|value| [(TRACEPARENT, value)].into_iter().collect()).unwrap_or_default()
    }

    fn bequest(deadline: Option<u64>, hops: u32) -> Bequest {
        Bequest { deadline, attempt: 1, hops, request_id: None }
    }

    #[test]
    fn a_call_is_inherited_from_while_it_is_open_and_hears_of_retries() {
        let traces = Arc::new(Traces::default());
        assert!(traces.inherit(&headers(TRACE)).is_none());
        let open = traces.open(&headers(TRACE), || bequest(Some(7), 2)).unwrap();
        // Another span of the same trace.
        let child = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-00";
        let inherited = traces.inherit(&headers(child)).unwrap();
        assert_eq!((inherited.from.deadline, inherited.from.hops), (Some(7), 2));
        inherited.note_retries(2);
        assert_eq!(open.retries(), 2);
        assert!(
            traces.inherit(&headers("00-00000000000000000000000000000001-00f067aa0ba902b7-01")).is_none()
        );
        drop(open);
        assert!(traces.inherit(&headers(TRACE)).is_none());
        assert!(traces.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn of_two_calls_of_one_trace_the_later_deadline_and_the_longer_way_count() {
        let traces = Arc::new(Traces::default());
        let first = traces.open(&headers(TRACE), || bequest(Some(7), 3)).unwrap();
        let _second = traces.open(&headers(TRACE), || bequest(Some(9), 1)).unwrap();
        let from = traces.inherit(&headers(TRACE)).unwrap().from;
        assert_eq!((from.deadline, from.hops), (Some(9), 3));
        drop(first);
        let third = traces.open(&headers(TRACE), || bequest(None, 1)).unwrap();
        let from = traces.inherit(&headers(TRACE)).unwrap().from;
        assert_eq!((from.deadline, from.hops), (None, 1));
        drop(third);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let traces = Arc::new(Traces::default());
        let same: Vec<_> = (0..100).filter_map(|_| traces.open(&headers(TRACE), Bequest::default)).collect();
        assert_eq!(same.len(), CALLS_MAX);
        let id = |number: usize| headers(&format!("00-{:032x}-00f067aa0ba902b7-01", number * SHARDS));
        let many: Vec<_> = (1..6_000).filter_map(|n| traces.open(&id(n), Bequest::default)).collect();
        assert_eq!(many.len(), SHARD_TRACES_MAX);
    }

    #[test]
    fn what_is_no_trace_is_passed_over() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(&headers(text)), None, "{text}");
        }
        assert!(
            trace_id(&headers("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"))
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_panics(text in "[0-9a-f-]{0,60}") {
            let _ = trace_id(&headers(&text));
        }
    }
}
