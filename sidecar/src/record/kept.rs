//! One request as it is kept for `weft explain`: a copy of its record that holds on to no buffer of a connection,
//! of bounded size, in a slot that is used again and again.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use weft_model::error_code::ErrorCode;

use super::{
    AccessRecord,
    choices::Choices,
    story::{Limited, Terms, Try},
};
use crate::metrics::Direction;

/// Kept of a path, an id or a method, at most, in bytes.
const TEXT_MAX: usize = 256;
/// Attempts kept of one call, at most; policies allow some ten.
const TRIES_MAX: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    ended: SystemTime,
    /// The end on the process's clock.
    clock: u64,
    direction: Direction,
    service: Arc<str>,
    endpoint: Option<Arc<str>>,
    route: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    method: Vec<u8>,
    path: Vec<u8>,
    request_id: Vec<u8>,
    trace_id: Vec<u8>,
    status: u16,
    error: Option<ErrorCode>,
    cancelled: bool,
    attempts: u32,
    received_bytes: u64,
    sent_bytes: u64,
    nanos: u64,
    terms: Option<Terms>,
    tries: Vec<Try>,
    last_began: u64,
    limit: Option<Limited>,
    is_budget_spent: bool,
    choices: Option<Choices>,
}

impl Kept {
    pub(super) fn new(record: &AccessRecord, ended: SystemTime, choices: Option<Choices>) -> Self {
        let mut kept = Self {
            ended,
            clock: 0,
            direction: record.direction,
            service: Arc::clone(&record.service),
            endpoint: None,
            route: None,
            backend: None,
            method: Vec::new(),
            path: Vec::new(),
            request_id: Vec::new(),
            trace_id: Vec::new(),
            status: 0,
            error: None,
            cancelled: false,
            attempts: 0,
            received_bytes: 0,
            sent_bytes: 0,
            nanos: 0,
            terms: None,
            tries: Vec::new(),
            last_began: 0,
            limit: None,
            is_budget_spent: false,
            choices: None,
        };
        kept.refill(record, ended, choices);
        kept
    }

    /// Takes another request over, in the memory of the one before.
    pub(super) fn refill(&mut self, record: &AccessRecord, ended: SystemTime, choices: Option<Choices>) {
        let AccessRecord { story, .. } = record;
        (self.ended, self.clock, self.choices) = (ended, record.ended, choices);
        self.direction = record.direction;
        if !Arc::ptr_eq(&self.service, &record.service) {
            self.service = Arc::clone(&record.service);
        }
        adopt(&mut self.endpoint, record.endpoint.as_ref());
        adopt(&mut self.route, record.route.as_ref());
        adopt(&mut self.backend, story.backend.as_ref());
        let line = record.line.as_ref();
        copy(&mut self.method, line.map(|line| line.method.as_str().as_bytes()));
        copy(&mut self.path, line.map(|line| &*line.path));
        copy(&mut self.request_id, record.request_id());
        copy(&mut self.trace_id, record.trace_id());
        (self.status, self.error, self.cancelled) = (record.status, record.error, record.cancelled);
        (self.attempts, self.nanos) = (record.attempts, record.nanos);
        (self.received_bytes, self.sent_bytes) = (record.received_bytes, record.sent_bytes);
        (self.terms, self.last_began) = (story.terms, story.last_began);
        (self.limit, self.is_budget_spent) = (story.limit, story.is_budget_spent);
        self.tries.clear();
        self.tries.extend(story.tries.iter().take(TRIES_MAX).cloned());
    }

    /// Whether it is meant by a request id or a trace id.
    pub(super) fn is(&self, id: &str) -> bool {
        !id.is_empty() && (self.request_id == clip(id.as_bytes()) || self.trace_id == id.as_bytes())
    }

    /// The same end of the same call: a failure is kept twice.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.clock == other.clock && self.nanos == other.nanos && self.request_id == other.request_id
    }

    /// What is told of it.
    pub(super) fn json(&self) -> Value {
        let began = self.clock.saturating_sub(self.nanos);
        let time = |time: SystemTime| humantime::format_rfc3339_micros(time).to_string();
        json!({
            "began": time(self.ended.checked_sub(Duration::from_nanos(self.nanos)).unwrap_or(self.ended)),
            "ended": time(self.ended),
            "direction": self.direction.as_str(),
            "service": *self.service,
            "route": self.route.as_deref(),
            "backend": self.backend.as_deref(),
            "endpoint": self.endpoint.as_deref(),
            "method": said(&self.method),
            "path": said(&self.path),
            "status": self.status,
            "weft-error": self.error.map(ErrorCode::as_str),
            "cancelled": self.cancelled,
            "duration_ms": millis(self.nanos),
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "request_id": said(&self.request_id),
            "trace_id": said(&self.trace_id),
            "attempts": self.attempts,
            "tries": self.tries(began),
            "limit": self.limit.map(|limit| json!({ "most": limit.most, "waited_ms": millis(limit.waited) })),
            "retry_budget_exhausted": self.is_budget_spent,
            "policy": self.terms.as_ref().map(terms),
            "endpoints": self.choices.map(|choices| choices.json(self.terms.map(|terms| terms.table_version))),
        })
    }

    /// Each attempt with when it began, in milliseconds after the call did; the last is the record's own.
    fn tries(&self, began: u64) -> Vec<Value> {
        let mut tries: Vec<_> = self
            .tries
            .iter()
            .map(|tried| {
                json!({
                    "endpoint": tried.endpoint.as_deref(),
                    "after_ms": millis(tried.began.saturating_sub(began)),
                    "duration_ms": millis(tried.ended.saturating_sub(tried.began)),
                    "status": tried.status,
                    "weft-error": tried.error.map(ErrorCode::as_str),
                    "then": tried.why.as_str(),
                })
            })
            .collect();
        if self.endpoint.is_some() {
            let last = self.last_began.max(began);
            tries.push(json!({
                "endpoint": self.endpoint.as_deref(),
                "after_ms": millis(last - began),
                "duration_ms": millis(self.clock.saturating_sub(last)),
                "status": self.status,
                "weft-error": self.error.map(ErrorCode::as_str),
            }));
        }
        tries
    }
}

fn terms(terms: &Terms) -> Value {
    let time = |time: Option<Duration>| time.map(|time| time.as_millis());
    json!({
        "timeout_ms": time(terms.timeout),
        "is_deadline": terms.is_deadline,
        "per_try_timeout_ms": time(terms.per_try),
        "retries_max": terms.retries_max,
        "idempotent": terms.idempotent,
    })
}

/// Milliseconds with three places.
fn millis(nanos: u64) -> f64 {
    let micros = nanos / 1_000;
    let whole = u32::try_from(micros / 1_000).unwrap_or(u32::MAX);
    let rest = u32::try_from(micros % 1_000).unwrap_or_default();
    // The nearest number to the one with three places, which is then written with them.
    (f64::from(whole) * 1_000.0 + f64::from(rest)) / 1_000.0
}

fn said(text: &[u8]) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then(|| String::from_utf8_lossy(text))
}

/// Most slots are taken over by another call of the same kind: then no reference is counted.
fn adopt(to: &mut Option<Arc<str>>, from: Option<&Arc<str>>) {
    let is_same = match (&*to, from) {
        (Some(to), Some(from)) => Arc::ptr_eq(to, from),
        (to, from) => to.is_none() && from.is_none(),
    };
    if !is_same {
        *to = from.cloned();
    }
}

fn copy(to: &mut Vec<u8>, from: Option<&[u8]>) {
    to.clear();
    to.extend_from_slice(clip(from.unwrap_or_default()));
}

/// A text as it is kept.
fn clip(text: &[u8]) -> &[u8] {
    text.get(..TEXT_MAX).unwrap_or(text)
}
