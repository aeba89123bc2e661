//! What is routed, and where routing collects: reused from message to message, so that routing allocates nothing once
//! its vectors have grown.

use super::{
    Destination, ExchangeId, QueueId,
    bucket::Bucket,
    header::{HeaderView, NoHeaders},
    topic::Walk,
};

/// What routing sees of a message.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The routing key, and after it those of the headers `CC` and `BCC`.
    pub keys: &'a [&'a str],
    /// Its headers.
    pub headers: &'a dyn HeaderView,
    /// What deduplicating exchanges know of it.
    pub seen: &'a dyn Seen,
}

/// What deduplicating exchanges have seen.
pub trait Seen {
    /// Whether this exchange has had the message before.
    fn has_passed(&self, exchange: ExchangeId) -> bool;
}

/// Nothing was.
#[derive(Debug, Clone, Copy)]
pub struct NeverSeen;

impl Seen for NeverSeen {
    fn has_passed(&self, _: ExchangeId) -> bool {
        false
    }
}

impl<'a> Message<'a> {
    /// A message without headers.
    pub fn bare(keys: &'a [&'a str]) -> Self {
        Self::new(keys, &NoHeaders)
    }

    /// A message that nobody has seen.
    pub fn new(keys: &'a [&'a str], headers: &'a dyn HeaderView) -> Self {
        Self { keys, headers, seen: &NeverSeen }
    }
}

/// A message must be held at that exchange, and routed from there once it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// The delayed exchange.
    pub exchange: ExchangeId,
    /// How long, milliseconds; never 0.
    pub delay_ms: u64,
}

/// Where one message goes. Keep it and hand it in again.
#[derive(Debug, Default)]
pub struct RouteResult {
    pub(super) sink: Sink,
    pub(super) delays: Vec<Delay>,
    pub(super) passed: Vec<ExchangeId>,
    pub(super) repeated: Vec<ExchangeId>,
}

impl RouteResult {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The queues, each once, in no order that means anything.
    pub fn queues(&self) -> &[QueueId] {
        &self.sink.queues
    }

    /// Where the message is held.
    pub fn delays(&self) -> &[Delay] {
        &self.delays
    }

    /// Deduplicating exchanges that it passed for the first time.
    pub fn passed(&self) -> &[ExchangeId] {
        &self.passed
    }

    /// It does not count as passed anywhere.
    pub fn forget_passed(&mut self) {
        self.passed.clear();
    }

    /// Deduplicating exchanges that had it before, and went no further.
    pub fn repeated(&self) -> &[ExchangeId] {
        &self.repeated
    }

    /// Whether no queue takes it, no exchange holds it and none had it before: dropped, or returned if mandatory.
    pub fn is_unroutable(&self) -> bool {
        self.sink.queues.is_empty() && self.delays.is_empty() && self.repeated.is_empty()
    }

    /// Nowhere.
    pub fn clear(&mut self) {
        self.begin();
    }

    pub(super) fn begin(&mut self) {
        self.delays.clear();
        self.passed.clear();
        self.repeated.clear();
        self.sink.begin();
    }
}

/// Collects destinations, each once, and the exchanges still to be asked.
#[derive(Debug, Default)]
pub(super) struct Sink {
    queues: Vec<QueueId>,
    pending: Vec<ExchangeId>,
    /// Whether the exchange that is asked now has led anywhere.
    found: bool,
    pub(super) generation: u32,
    queue_marks: Vec<u32>,
    exchange_marks: Vec<u32>,
    pub(super) walk: Walk,
}

impl Sink {
    fn begin(&mut self) {
        self.queues.clear();
        self.pending.clear();
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.queue_marks.fill(0);
            self.exchange_marks.fill(0);
            self.generation = 1;
        }
    }

    /// The next exchange to ask.
    pub(super) fn next_exchange(&mut self) -> Option<ExchangeId> {
        self.found = false;
        self.pending.pop()
    }

    pub(super) fn has_found(&self) -> bool {
        self.found
    }

    pub(super) fn add(&mut self, destination: Destination) {
        self.found = true;
        match destination {
            Destination::Queue(id) => self.add_queue(id),
            Destination::Exchange(id) => self.add_exchange(id),
        }
    }

    pub(super) fn add_all(&mut self, bucket: &Bucket) {
        bucket.iter().for_each(|entry| self.add(entry.destination));
    }

    pub(super) fn add_queue(&mut self, id: QueueId) {
        if mark(&mut self.queue_marks, id.0, self.generation) {
            self.queues.push(id);
        }
    }

    /// Asks that exchange as well, unless it was already: cycles end here.
    pub(super) fn add_exchange(&mut self, id: ExchangeId) {
        if mark(&mut self.exchange_marks, id.0, self.generation) {
            self.pending.push(id);
        }
    }
}

/// Marks `at` with this generation; true if it was not yet.
pub(super) fn mark(marks: &mut Vec<u32>, at: u32, generation: u32) -> bool {
    let at = at as usize;
    if at >= marks.len() {
        marks.resize(at + 1, 0);
    }
    marks.get_mut(at).is_some_and(|mark| std::mem::replace(mark, generation) != generation)
}
