//! A limit on requests under way, counted over all data threads, and a bounded, timed queue before it. It knows
//! neither whose requests they are nor how a limit is found out: that is `weft_model::gradient`'s business. A
//! service without a limit never comes here.
//!
//! ```text
//!            a place is free, nobody waits
//!  request ─┬────────────────────────────────▶ Place, until the response has ended ─▶ wakes the first that waits
//!           │ none, or somebody waits                ▲
//!           ├──────────────▶ queue, in order ────────┘
//!           │ queue full          │ its time is over
//!           ▼                     ▼
//!       overloaded            overloaded
//! ```

mod adaptive;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU32,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};
use weft_model::{
    gradient::Bounds,
    policy::{Concurrency, LimitPolicy},
};

use self::adaptive::Adaptive;
use crate::{clock, metrics::ResilienceMetrics};

/// What threads share of one limit. Places and waiting requests are compared with each other, so they are
/// counted in one order for all threads.
#[derive(Debug, Default)]
pub struct Limiter {
    under_way: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
    adaptive: OnceLock<Box<Adaptive>>,
}

/// Leave to be under way; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limiter: Arc<Limiter>,
    concurrency: Concurrency,
    /// When the attempt that is under way began, where its time is a sample; 0 = nothing is measured.
    began: u64,
}

/// There is no place, and none came free in time.
#[derive(Debug)]
pub(crate) struct Full;

/// One that waits, until it is dropped.
struct Waiting<'a> {
    limiter: &'a Limiter,
    metrics: &'a ResilienceMetrics,
    since: u64,
}

impl Limiter {
    /// A place, after waiting for one where that is allowed; `None` where the policy has no limit.
    pub(crate) async fn enter(
        limiter: &Arc<Self>,
        policy: &LimitPolicy,
        metrics: &ResilienceMetrics,
    ) -> Result<Option<Place>, Full> {
        let Some(limit) = limiter.limit(policy.concurrency) else { return Ok(None) };
        metrics.concurrency_limit.store(u64::from(limit), Relaxed);
        // Who comes while others wait goes behind them.
        let is_free = limiter.waiting.load(SeqCst) == 0 && limiter.take(limit);
        if !is_free {
            Box::pin(limiter.queue(policy, metrics)).await?;
        }
        Ok(Some(Place { limiter: Arc::clone(limiter), concurrency: policy.concurrency, began: 0 }))
    }

    /// What holds now; `None` = no limit.
    fn limit(&self, concurrency: Concurrency) -> Option<u32> {
        match concurrency {
            Concurrency::Unlimited => None,
            Concurrency::Fixed(limit) => Some(limit),
            Concurrency::Adaptive { min, max } => Some(self.adaptive(Bounds { min, max }).limit()),
        }
    }

    fn adaptive(&self, bounds: Bounds) -> &Adaptive {
        self.adaptive.get_or_init(|| Box::new(Adaptive::new(bounds, clock::now())))
    }

    fn take(&self, limit: u32) -> bool {
        let one_more = |under_way| (under_way < limit).then_some(under_way + 1);
        self.under_way.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    async fn queue(&self, policy: &LimitPolicy, metrics: &ResilienceMetrics) -> Result<(), Full> {
        let one_more = |waiting| (waiting < policy.queue.length_max).then_some(waiting + 1);
        let Ok(before) = self.waiting.fetch_update(SeqCst, SeqCst, one_more) else {
            metrics.queue_overflows.fetch_add(1, Relaxed);
            return Err(Full);
        };
        let waiting = Waiting::begin(self, metrics);
        let taken = timeout(policy.queue.timeout, self.wait(policy.concurrency, before == 0)).await;
        drop(waiting);
        if taken.is_err() {
            metrics.queue_timeouts.fetch_add(1, Relaxed);
            return Err(Full);
        }
        // More than one place may have come free since the last one was woken, or the limit has grown.
        self.wake(policy.concurrency);
        Ok(())
    }

    /// Waits for its turn. The first in the queue looks for itself before it sleeps: who freed a place before it
    /// was counted has woken nobody. All others are woken by who leaves, or by the one before them.
    async fn wait(&self, concurrency: Concurrency, mut may_take: bool) {
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            // From here on a ring is not missed.
            freed.as_mut().enable();
            if may_take && self.limit(concurrency).is_none_or(|limit| self.take(limit)) {
                return;
            }
            freed.await;
            may_take = true;
        }
    }

    fn wake(&self, concurrency: Concurrency) {
        let has_room = || {
            let under_way = self.under_way.load(SeqCst);
            self.limit(concurrency).is_none_or(|limit| under_way < limit)
        };
        if self.waiting.load(SeqCst) > 0 && has_room() {
            self.freed.notify_one();
        }
    }
}

impl Place {
    /// An attempt begins: its time to the response head is a sample, where the limit is found out from such.
    pub(crate) fn begin(&mut self) {
        if matches!(self.concurrency, Concurrency::Adaptive { .. }) {
            self.began = clock::now();
        }
    }

    /// The response head is here.
    pub(crate) fn answered(&mut self) {
        self.observe(|_, _| true);
    }

    /// The attempt failed in a way that says nothing about load.
    pub(crate) fn failed(&mut self) {
        self.began = 0;
    }

    fn observe(&mut self, counts: impl Fn(&Adaptive, Duration) -> bool) {
        let (began, now) = (std::mem::take(&mut self.began), clock::now());
        let Concurrency::Adaptive { min, max } = self.concurrency else { return };
        let bounds = Bounds { min, max };
        let adaptive = self.limiter.adaptive(bounds);
        let took = Duration::from_nanos(now.saturating_sub(began));
        if began != 0 && counts(adaptive, took) {
            adaptive.observe(began, took, self.limiter.under_way.load(Relaxed), bounds, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.began != 0 {
            // Given up without an answer: of how long it would have taken, it is known that it is longer.
            self.observe(Adaptive::is_slow);
        }
        self.limiter.under_way.fetch_sub(1, SeqCst);
        self.limiter.wake(self.concurrency);
    }
}

impl<'a> Waiting<'a> {
    fn begin(limiter: &'a Limiter, metrics: &'a ResilienceMetrics) -> Self {
        metrics.queued.fetch_add(1, Relaxed);
        Self { limiter, metrics, since: clock::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.limiter.waiting.fetch_sub(1, SeqCst);
        self.metrics.dequeued.fetch_add(1, Relaxed);
        self.metrics.queued_nanos.fetch_add(clock::now().saturating_sub(self.since), Relaxed);
    }
}

#[cfg(test)]
mod tests;
