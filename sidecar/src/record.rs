//! One access record a request or connection. A guard holds it while the call is under way and hands it over
//! when it is dropped, so that a cancelled call has one too; a thread of its own formats and writes. When its
//! queue is full records are dropped and counted: the data path never waits for a disk.

mod choices;
mod desk;
mod filter;
mod format;
mod kept;
mod recorder;
mod ring;
mod select;
mod span;
mod story;
mod taps;
mod writer;

use std::{
    ops::{Deref, DerefMut},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::{HeaderMap, HeaderValue, Method, request::Parts};
use http_body::Body;
use smallvec::SmallVec;
use weft_model::error_code::ErrorCode;

pub(crate) use self::{
    desk::Observed,
    filter::{Filter, pairs},
    recorder::{RecordQueue, Recorder},
    span::resource,
    story::{Limited, Story, Terms, Try, Why},
    taps::SUBSCRIBERS_MAX,
};
use crate::{
    body::Meter,
    clock,
    concurrency::Place,
    data::caller::Caller,
    fields::{Field, Fields},
    forward::REQUEST_ID,
    idle::Watch,
    limits::Limits,
    metrics::{self, Direction, OwnMetrics, RouteMetrics, ServiceMetrics},
    trace::{self, Inherited, OpenTrace, Span},
    unread::CallerBody,
};

/// One call, as it is written.
#[derive(Debug)]
struct AccessRecord {
    /// When it ended, on the process's clock.
    ended: u64,
    direction: Direction,
    service: Arc<str>,
    endpoint: Option<Arc<str>>,
    line: Option<Line>,
    status: u16,
    error: Option<ErrorCode>,
    cancelled: bool,
    attempts: u32,
    received_bytes: u64,
    sent_bytes: u64,
    nanos: u64,
    /// Of the rule that counted.
    route: Option<Arc<str>>,
    story: Story,
}

/// The request's own part of a record, known when it arrives.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) method: Method,
    /// Copies: what shares the bytes of a head keeps the whole buffer that it was read into.
    pub(crate) path: SmallVec<[u8; 48]>,
    /// Empty = none.
    pub(crate) request_id: SmallVec<[u8; 36]>,
    /// What names its trace, in whichever form.
    pub(crate) trace: Option<HeaderValue>,
}

/// A call under way. Its end, however it comes, is counted and recorded once. On the heap, since it moves from
/// the call to the body of its answer.
#[derive(Debug)]
pub(crate) struct RecordGuard(Box<Open>);

/// What is known of a call so far.
#[derive(Debug)]
pub(crate) struct Open {
    recorder: Rc<Recorder>,
    /// Counted by this thread alone, so that a call counts no reference that threads share.
    metrics: Rc<OwnMetrics>,
    /// None for a connection, and where no records are written.
    pub(crate) line: Option<Line>,
    started: u64,
    /// 0 = it is under way.
    ended: u64,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) status: u16,
    error: Option<ErrorCode>,
    is_complete: bool,
    is_broken_off: bool,
    pub(crate) attempts: u32,
    pub(crate) received: Meter,
    sent: u64,
    /// Held by inbound calls: a draining sidecar waits for them.
    pub(crate) active: Option<crate::data::thread::ActiveGuard>,
    /// The connection that it came on; held until the end, so that one that has changed protocols keeps its place.
    caller: Option<Rc<Caller>>,
    /// Sidecars that the call will have passed with this one; 0 = it is told to nobody.
    pub(crate) hops: u32,
    /// The rule that counts, where there are rules.
    pub(crate) route: Option<Arc<RouteMetrics>>,
    /// For who asks later.
    pub(crate) story: Story,
    /// What else is held until the call has ended; most calls hold nothing.
    holds: Option<Box<Holds>>,
}

/// What a call holds until it has ended.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// Below a limit on calls under way.
    pub(crate) place: Option<Place>,
    /// For the calls that the application makes for an inbound one.
    pub(crate) trace: Option<OpenTrace>,
    /// From the inbound call that an outbound one is made for.
    pub(crate) inherited: Option<Inherited>,
    /// Where its bodies may not stand still for long.
    pub(crate) idle: Option<Rc<Watch>>,
}

impl RecordGuard {
    pub(crate) fn begin(recorder: &Rc<Recorder>, metrics: &Rc<OwnMetrics>, line: Option<Line>) -> Self {
        Self(Box::new(Open {
            recorder: Rc::clone(recorder),
            metrics: Rc::clone(metrics),
            line,
            started: clock::now(),
            ended: 0,
            endpoint: None,
            status: 0,
            error: None,
            is_complete: false,
            is_broken_off: false,
            attempts: 0,
            received: Meter::default(),
            sent: 0,
            active: None,
            caller: None,
            hops: 0,
            route: None,
            story: Story::default(),
            holds: None,
        }))
    }

    /// The service is found: from here on it counts there.
    pub(crate) fn belongs_to(&mut self, metrics: &Rc<OwnMetrics>) {
        self.metrics = Rc::clone(metrics);
    }

    /// It came on this connection; what is known of its body by now is looked at.
    pub(crate) fn came_on(&mut self, caller: Rc<Caller>, body: &CallerBody, limits: &Limits) {
        if !body.is_end_stream() {
            self.received = Meter::new(limits.body_bytes_max);
        }
        caller.begin_call((!self.received.is_whole()).then(|| self.received.clone()));
        self.caller = Some(caller);
    }

    /// When it began.
    pub(crate) fn began(&self) -> u64 {
        self.started
    }

    pub(crate) fn metrics(&self) -> &ServiceMetrics {
        &self.0.metrics
    }

    pub(crate) fn holds(&mut self) -> &mut Holds {
        self.holds.get_or_insert_default()
    }

    /// The place that it has, where calls are limited.
    pub(crate) fn place(&mut self) -> Option<&mut Place> {
        self.holds.as_mut()?.place.as_mut()
    }

    /// The watch over its bodies, where there is one.
    pub(crate) fn idle(&self) -> Option<&Watch> {
        self.holds.as_ref()?.idle.as_deref()
    }

    /// The trace that a call with these headers is part of.
    pub(crate) fn trace_id(&self, headers: &HeaderMap) -> Option<u128> {
        match &self.line {
            Some(line) => line.trace.as_ref().and_then(trace::id),
            None => trace::carrier(headers).and_then(trace::id),
        }
    }

    /// What it leaves to the calls that are made for it.
    pub(crate) fn trace(&self) -> Option<&OpenTrace> {
        self.holds.as_ref()?.trace.as_ref()
    }

    /// What it was told by the call that it is made for.
    pub(crate) fn inherited(&self) -> Option<&Inherited> {
        self.holds.as_ref()?.inherited.as_ref()
    }

    /// So many bytes came, of what was no body.
    pub(crate) fn add_received(&mut self, bytes: usize) {
        if self.received.is_nothing() {
            self.received = Meter::new(None);
        }
        self.received.add(bytes);
    }

    pub(crate) fn add_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// A limit on requests under way has let it in, or has not.
    pub(crate) fn was_limited(&mut self) {
        let most = self.metrics.resilience.concurrency_limit.load(Relaxed);
        self.story.limit = Some(Limited { most, waited: clock::now().saturating_sub(self.started) });
    }

    /// It is part of a trace that is recorded.
    pub(crate) fn is_traced(&mut self, span: Option<Box<Span>>) {
        self.story.span = span;
    }

    /// One more attempt begins.
    pub(crate) fn begin_attempt(&mut self, endpoint: &Arc<str>) {
        self.attempts += 1;
        self.endpoint = Some(Arc::clone(endpoint));
        if self.attempts > 1 {
            self.story.last_began = clock::now();
        }
    }

    /// The attempt under way is not the last; `came_to` is its status (0 = none) and its failure's name.
    pub(crate) fn note_try(&mut self, why: Why, (status, error): (u16, Option<ErrorCode>)) {
        if !self.recorder.is_on() {
            return;
        }
        let began = self.story.last_began.max(self.started);
        let endpoint = self.endpoint.clone();
        self.story.tries.push(Try { endpoint, began, ended: clock::now(), status, error, why });
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

    /// It ended as it should, `now`.
    pub(crate) fn complete(&mut self, now: u64) {
        self.ended = now;
        self.is_complete = true;
    }
}

impl Line {
    pub(crate) fn of(head: &Parts, fields: Fields) -> Self {
        let id = head.headers.get(&REQUEST_ID).map(HeaderValue::as_bytes);
        Self {
            method: head.method.clone(),
            path: SmallVec::from_slice(head.uri.path().as_bytes()),
            request_id: id.map(SmallVec::from_slice).unwrap_or_default(),
            trace: if fields.has(Field::TRACE) { trace::carrier(&head.headers).cloned() } else { None },
        }
    }
}

impl AccessRecord {
    /// By a failure of the mesh, or by the application's own word.
    fn has_failed(&self) -> bool {
        self.error.is_some() || self.status >= 500
    }

    /// Whether somebody may ask about it.
    fn is_notable(&self) -> bool {
        self.has_failed() || self.cancelled || self.attempts > 1
    }

    fn request_id(&self) -> Option<&[u8]> {
        let id = &*self.line.as_ref()?.request_id;
        (!id.is_empty()).then_some(id)
    }

    /// In hexadecimal digits, where the request came with a trace.
    fn trace_id(&self) -> Option<&[u8]> {
        trace::id_text(self.line.as_ref()?.trace.as_ref()?.as_bytes())
    }
}

impl Deref for RecordGuard {
    type Target = Open;

    fn deref(&self) -> &Open {
        &self.0
    }
}

impl DerefMut for RecordGuard {
    fn deref_mut(&mut self) -> &mut Open {
        &mut self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(caller) = &self.caller {
            caller.end_call();
        }
        let ended = if self.ended == 0 { clock::now() } else { self.ended };
        let nanos = ended.saturating_sub(self.started);
        self.metrics.observe(self.status, self.error, nanos);
        if let Some(rule) = &self.route {
            rule.outcomes.observe(self.status, self.error, nanos);
        }
        metrics::count(&self.metrics.received, self.received.get());
        metrics::count(&self.metrics.sent, self.sent);
        let cancelled = self.is_broken_off || !self.is_complete;
        if cancelled {
            self.metrics.cancelled.fetch_add(1, Relaxed);
        }
        if !self.recorder.is_on() {
            return;
        }
        self.recorder.push(AccessRecord {
            ended,
            direction: self.metrics.direction,
            service: Arc::clone(&self.metrics.service),
            endpoint: self.endpoint.take(),
            line: self.line.take(),
            status: self.status,
            error: self.error,
            cancelled,
            attempts: self.attempts,
            received_bytes: self.received.get(),
            sent_bytes: self.sent,
            nanos,
            route: self.route.as_ref().map(|rule| Arc::clone(&rule.route)),
            story: std::mem::take(&mut self.story),
        });
    }
}
