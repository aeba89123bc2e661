//! Hedging: where the first attempt has no answer after a while, a second one goes elsewhere, and the first answer
//! wins. Only idempotent requests whose body can be sent twice at once are hedged, and each hedge is paid for by
//! the retry budget, as it is load of the same kind.
//!
//! ```text
//!  attempt 1 ──────────delay──────────┬───────────────▶ answer 1: attempt 2 is cancelled
//!                                     └─ attempt 2 ───▶ answer 2: attempt 1 is cancelled
//! ```
//! Who is cancelled is not judged: its HTTP/2 stream is reset, its HTTP/1 connection closed.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};
use weft_model::{
    policy::HedgePolicy,
    retry::{self, Ended},
};

use super::{Tried, attempt, next_endpoint};
use crate::{
    answer::Reply, clock, data::thread::LocalEndpoint, exchange::Failure, outbound::call::Call, record::Why,
};

type Finished = (Rc<LocalEndpoint>, u32, Result<Reply, Failure>);
type Racing = FuturesUnordered<Pin<Box<dyn Future<Output = Finished>>>>;

/// The first answer, or the last failure.
pub(super) async fn race(
    call: &mut Call,
    policy: HedgePolicy,
    first: Rc<LocalEndpoint>,
    tried: &mut Tried,
) -> (Rc<LocalEndpoint>, Result<Reply, Failure>) {
    let mut racing = Racing::new();
    start(call, &racing, first, tried);
    let first = call.record.attempts;
    let mut started = 1;
    let mut due = Instant::now() + policy.delay;
    loop {
        tokio::select! {
            // An answer that is there needs no hedge.
            biased;
            Some((endpoint, number, result)) = racing.next() => {
                if racing.is_empty() || is_answer(call, &result) {
                    if number > first {
                        call.record.metrics().resilience.hedges_won.fetch_add(1, Relaxed);
                    }
                    call.record.endpoint = Some(Arc::clone(&endpoint.label));
                    // All that raced have been tried, but the caller counts the one that is returned.
                    tried.retain(|pool| !Rc::ptr_eq(pool, &endpoint.pool));
                    return (endpoint, result);
                }
                let outcome = call.outcome(&result);
                call.judge(&endpoint, outcome);
            }
            () = sleep_until(due), if started < policy.attempts_max => {
                due = Instant::now() + policy.delay;
                call.go_on_from(clock::now());
                if let Some(endpoint) = hedge(call, tried) {
                    call.record.note_try(Why::Hedged, (0, None));
                    call.record.metrics().resilience.hedges.fetch_add(1, Relaxed);
                    start(call, &racing, endpoint, tried);
                    started += 1;
                }
            }
        }
    }
}

/// Whether it ends the race while others are under way.
fn is_answer(call: &Call, result: &Result<Reply, Failure>) -> bool {
    let ended = call.outcome(result).ended();
    matches!(ended, Ended::Answered { .. } | Ended::Final) && !retry::is_wanted(&call.policy.retry, ended)
}

/// Another endpoint, where there is one that was not tried, and the budget pays.
fn hedge(call: &mut Call, tried: &Tried) -> Option<Rc<LocalEndpoint>> {
    if !call.source.can_share() {
        return None;
    }
    let endpoint = next_endpoint(call, tried).ok()?;
    let is_tried = tried.iter().any(|pool| Rc::ptr_eq(pool, &endpoint.pool));
    if is_tried || !call.service.withdraw_retry() {
        return None;
    }
    if let Some(inherited) = call.record.inherited() {
        inherited.note_retries(1);
    }
    Some(endpoint)
}

fn start(call: &mut Call, racing: &Racing, endpoint: Rc<LocalEndpoint>, tried: &mut Tried) {
    tried.push(Rc::clone(&endpoint.pool));
    let (terms, mut request) = (call.terms(), call.begin_attempt(&endpoint, true));
    let number = call.record.attempts;
    // A racer is polled when it is woken itself, and not when the call is.
    let wait = call.thread.waiting.begin(None);
    racing.push(Box::pin(async move {
        let mut attempt = pin!(attempt(&endpoint, terms, &mut request));
        let result = poll_fn(|cx| {
            let polled = attempt.as_mut().poll(cx);
            if polled.is_pending() {
                wait.is_over(cx);
            }
            polled
        });
        let result = result.await;
        (Rc::clone(&endpoint), number, result)
    }));
}
