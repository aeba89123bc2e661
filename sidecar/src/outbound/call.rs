//! One call whose service is found, to its response: faults and the total timeout around the attempts, and what is
//! answered in the end. How it began is [`begin`](super::begin)'s affair.

use std::{
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::Poll,
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Response, header, request::Parts};
use weft_model::{error_code::ErrorCode, outlier, policy::Policy};

use super::{
    attempts::{self, Last},
    decide::{Decision, Limit, grpc_timeout},
    fault::Fault,
    hops,
    kept::KeptHeaders,
    mirror::Copies,
    source::Source,
    way::{self, Ruled},
};
use crate::{
    answer::{Asker, give_up, pass_on, refuse},
    body::{Meter, ResponseBody},
    clock,
    config::SidecarConfig,
    data::{
        thread::{LocalEndpoint, LocalService, Thread},
        waiting::{COARSE_MIN, Waiting},
    },
    fields::{Field, Fields},
    forward::{self, GRPC_TIMEOUT, WEFT_ATTEMPT, WEFT_DEADLINE, WEFT_ERROR, WEFT_HOPS, WEFT_RETRY},
    forwarded, load,
    record::RecordGuard,
    upgrade::Asked,
};

/// How often the policy's timeout looks whether a request's body still moves: it is at most so large a part too late.
const BODY_LOOKS: u32 = 8;

/// All that the attempts of one call share.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) thread: Rc<Thread>,
    /// Who is called: its policy says how it is balanced, ejected and limited, and its budget is spent.
    pub(super) service: Rc<LocalService>,
    /// Timeouts, retries and hedging: of the service that is addressed, and of its rule.
    pub(super) policy: Rc<Policy>,
    pub(super) decision: Decision,
    /// As it is sent, but for its version, which is the caller's.
    pub(super) head: Parts,
    /// What it has.
    pub(super) fields: Fields,
    /// Its headers, once the first attempt has taken them.
    pub(super) kept: Option<KeptHeaders>,
    pub(super) source: Source,
    pub(super) record: RecordGuard,
    pub(super) asked: Option<Asked>,
    /// Where the last attempt went.
    pub(super) current: Option<Rc<LocalEndpoint>>,
    /// When its next attempt begins, on the process's clock.
    pub(super) now: u64,
    /// When its time is over.
    pub(super) due: Option<u64>,
    /// The hash of what its service is balanced by, where it has that.
    pub(super) key: Option<u64>,
    pub(super) fault: Fault,
    pub(super) ruled: Option<Ruled>,
    /// For mirrors, as long as they are not sent.
    pub(super) copies: Copies,
}

/// Why a call ends without what its attempts came to.
#[derive(Debug)]
pub(super) enum Ended {
    TooLate,
    Aborted(u16),
}

/// How long an answer is waited for. While the request's body still moves, the policy's timeout waits: a slow upload
/// is no slow answer.
struct Patience<'a> {
    limit: Limit,
    meter: &'a Meter,
    /// Into so many steps the time is divided; it is over when in so many nothing has moved.
    steps: u32,
    still: u32,
    received: u64,
}

impl<'a> Patience<'a> {
    fn new(limit: Limit, meter: &'a Meter) -> Self {
        // One will do where nothing is to come, or nothing that comes would change it.
        let steps = if limit.is_deadline || meter.is_whole() { 1 } else { BODY_LOOKS };
        Self { limit, meter, steps, still: 0, received: meter.get() }
    }

    fn step(&self) -> Duration {
        self.limit.time / self.steps
    }

    /// Whether it is over, one step later.
    fn is_over(&mut self) -> bool {
        let before = mem::replace(&mut self.received, self.meter.get());
        let is_still = self.limit.is_deadline || self.received == before;
        self.still = if is_still { self.still + 1 } else { 0 };
        self.still >= self.steps
    }
}

/// What `work` came to, or `None` when the limit was over first.
pub(super) async fn in_time<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
    limit: Option<Limit>,
    waiting: &Rc<Waiting>,
    meter: &Meter,
) -> Option<T> {
    let mut patience = limit.map(|limit| Patience::new(limit, meter));
    if let Some(patience) = patience.take_if(|patience| patience.step() < COARSE_MIN) {
        // On the heap, as it is rare and a timer is large.
        return Box::pin(in_short_time(work, patience, waiting)).await;
    }
    let wait = waiting.begin(patience.as_ref().map(Patience::step));
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let (true, Some(patience)) = (wait.is_over(cx), &mut patience) else { return Poll::Pending };
        if patience.is_over() {
            return Poll::Ready(None);
        }
        wait.renew(patience.step());
        Poll::Pending
    })
    .await
}

async fn in_short_time<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
    mut patience: Patience<'_>,
    waiting: &Rc<Waiting>,
) -> Option<T> {
    // Its time is the timer's affair; but it is woken when an endpoint turns critical.
    let wait = waiting.begin(None);
    loop {
        let polled = poll_fn(|cx| {
            wait.is_over(cx);
            work.as_mut().poll(cx)
        });
        if let Ok(done) = tokio::time::timeout(patience.step(), polled).await {
            return Some(done);
        }
        if patience.is_over() {
            return None;
        }
    }
}

fn too_late(call: Call) -> Response<ResponseBody> {
    let is_deadline = call.decision.limit.is_some_and(|limit| limit.is_deadline);
    // The policy's patience is a judgement on the endpoint; a caller in a hurry is not.
    if let (false, Some(endpoint)) = (is_deadline, &call.current) {
        let policy = &call.service.policy.outlier;
        let mut rng = call.thread.rng.borrow_mut();
        load::blame(&call.service, endpoint, outlier::Failure::Soft, policy, &mut rng);
    }
    let code = if is_deadline { ErrorCode::DeadlineExceeded } else { ErrorCode::UpstreamTimeout };
    refuse(code, call.decision.grpc, call.record)
}

/// Turns a request to us into one to the origin.
pub(super) fn prepare(config: &SidecarConfig, head: &mut Parts, fields: Fields) -> Option<Asked> {
    let asked = Asked::take(head, &config.limits);
    forward::strip_hop_by_hop(&mut head.headers, fields);
    if fields.has(Field::MESH.and(Field::PROXY_AUTHORIZATION)) {
        for name in [&WEFT_ATTEMPT, &WEFT_ERROR, &header::PROXY_AUTHORIZATION] {
            head.headers.remove(name);
        }
    }
    forwarded::tell_via(&mut head.headers, head.version, &config.headers);
    forward::settle_target(head, fields);
    if let Some(asked) = &asked {
        asked.tell(&mut head.headers);
    }
    asked
}

impl Call {
    /// What the attempts came to, unless it ended before.
    pub(super) async fn carry(&mut self) -> Result<Last, Ended> {
        if self.fault != Fault::default() {
            Box::pin(self.suffer()).await?;
        }
        if !self.copies.is_empty() && matches!(self.source, Source::Empty) {
            self.send_copies();
        }
        let (limit, waiting) = (self.decision.limit, Rc::clone(&self.thread.waiting));
        let meter = self.record.received.clone();
        in_time(pin!(attempts::run(self)), limit, &waiting, &meter).await.ok_or(Ended::TooLate)
    }

    /// Waits as a policy makes it, and says whether that is the end of it. The time it waits is not added to what it
    /// has.
    async fn suffer(&mut self) -> Result<(), Ended> {
        let fault = self.fault;
        self.record.metrics().faults.fetch_add(1, Relaxed);
        if let Some(delay) = fault.delay {
            let left = self.decision.limit.map(|limit| limit.time);
            tokio::time::sleep(left.map_or(delay, |left| left.min(delay))).await;
            match &mut self.decision.limit {
                Some(limit) if limit.time <= delay => return Err(Ended::TooLate),
                Some(limit) => limit.time -= delay,
                None => {}
            }
            self.go_on_from(clock::now());
        }
        fault.abort.map_or(Ok(()), |status| Err(Ended::Aborted(status)))
    }

    /// Answers with what the attempts came to.
    pub(super) fn answer(mut self, carried: Result<Last, Ended>) -> Response<ResponseBody> {
        let last = match carried {
            Ok(last) => last,
            Err(Ended::TooLate) => return too_late(self),
            Err(Ended::Aborted(status)) => return way::abort(status, self.decision.grpc, self.record),
        };
        let grpc = self.decision.grpc;
        if !self.copies.is_empty() {
            self.send_copies();
        }
        let mut record = self.record;
        if let Ok(reply) = &last.result {
            hops::note_retries(&record, reply.response.headers());
            if let Some(time) = self.policy.timeouts.idle {
                let received = record.received.clone();
                record.holds().idle = Some(self.thread.idle.watch(time, received));
            }
        }
        let mut response = match last.result {
            Ok(reply) => {
                let headers = &self.thread.config.headers;
                let asker = Asker { version: self.head.version, asked: self.asked, headers };
                let mut response = pass_on(reply, asker, record);
                if let Some(ruled) = self.ruled {
                    ruled.edit_response(response.headers_mut());
                }
                response
            }
            Err(failure) => {
                record.attempts = record.attempts.max(1);
                give_up(failure, grpc, record)
            }
        };
        if last.is_budget_spent {
            response.headers_mut().insert(WEFT_RETRY, HeaderValue::from_static("budget-exhausted"));
        }
        response
    }

    /// After a wait: it is `now`, and discovery may have said something since.
    pub(super) fn go_on_from(&mut self, now: u64) {
        self.now = now;
        let newest = self.thread.service(&self.service.table.name, &self.service.port_name);
        if let Some(newest) = newest {
            self.service = newest;
        }
    }

    /// Sends the copies; those of a body that was not kept are dropped.
    fn send_copies(&mut self) {
        let copies = mem::take(&mut self.copies);
        copies.send(&self.thread, self.record.metrics(), || self.source.copy());
    }

    /// Tells the other side how much time is left, where the caller set a deadline. A bare endpoint hears it in
    /// gRPC's words only: what is dialled plainly is sent nothing of the mesh.
    pub(super) fn stamp(&self, headers: &mut HeaderMap, has_sidecar: bool) {
        let left = self.time_left();
        if let Some(left) = left
            && self.fields.has(Field::GRPC_TIMEOUT)
        {
            headers.insert(GRPC_TIMEOUT, grpc_timeout(left));
        }
        if !has_sidecar {
            if self.fields.has(Field::MESH) {
                headers.remove(&WEFT_DEADLINE);
                headers.remove(&WEFT_HOPS);
            }
            return;
        }
        if let Some(left) = left {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            headers.insert(WEFT_DEADLINE, HeaderValue::from(left));
        }
        // Tries of the call that this one is made for count: a retry further up is one here.
        let before = self.record.inherited().map_or(0, |inherited| inherited.from.attempt.saturating_sub(1));
        let attempt = self.record.attempts.saturating_add(before);
        if attempt > 1 {
            headers.insert(WEFT_ATTEMPT, HeaderValue::from(attempt));
        }
        if self.record.hops > 0 {
            headers.insert(WEFT_HOPS, HeaderValue::from(self.record.hops));
        }
    }

    /// Of the caller's deadline, or of the policy's patience.
    pub(super) fn total_left(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.due?.saturating_sub(clock::now())))
    }

    /// Of the caller's deadline; at least a millisecond, since the call is still under way.
    fn time_left(&self) -> Option<Duration> {
        let left = self.decision.limit.filter(|limit| limit.is_deadline).and_then(|_| self.total_left())?;
        Some(left.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_came_at_once_does_not_double_the_policys_timeout() {
        let (begun, second) = (tokio::time::Instant::now(), Duration::from_secs(1));
        let (meter, waiting) = (Meter::new(None), Rc::default());
        let upload = async {
            tokio::time::sleep(second / 100).await;
            meter.add(1);
            std::future::pending::<()>().await;
        };
        let limit = Some(Limit { time: second, is_deadline: false });
        let done =
            tokio::task::LocalSet::new().run_until(in_time(pin!(upload), limit, &waiting, &meter)).await;
        assert_eq!(done, None::<()>);
        assert!(begun.elapsed() < second * 5 / 4, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_in_a_hurry_is_woken_with_all_others() {
        let (begun, meter, waiting) =
            (tokio::time::Instant::now(), Meter::new(None), Rc::<Waiting>::default());
        let is_critical = std::cell::Cell::new(false);
        let work = poll_fn(|_| if is_critical.get() { Poll::Ready(()) } else { Poll::Pending });
        let limit = Some(Limit { time: COARSE_MIN / 2, is_deadline: true });
        let turns_critical = async {
            is_critical.set(true);
            waiting.wake_all();
        };
        let work = pin!(work);
        let (done, ()) = tokio::join!(in_time(work, limit, &waiting, &meter), turns_critical);
        assert_eq!((done, begun.elapsed()), (Some(()), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_policys_timeout_waits_while_the_body_moves_and_a_deadline_does_not() {
        let second = Duration::from_secs(1);
        for (is_deadline, finishes) in [(false, true), (true, false)] {
            let meter = Meter::new(None);
            let upload = async {
                for _ in 0..10 {
                    tokio::time::sleep(second / 2).await;
                    meter.add(1);
                }
            };
            let limit = Some(Limit { time: second, is_deadline });
            let waiting = Rc::default();
            let done =
                tokio::task::LocalSet::new().run_until(in_time(pin!(upload), limit, &waiting, &meter)).await;
            assert_eq!(done.is_some(), finishes);
        }
    }
}
