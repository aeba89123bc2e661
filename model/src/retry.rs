//! Whether an attempt is followed by another one, and when: one pure decision of what happened, what the policy
//! says, and what is safe. It knows no budget: what it wants still has to be paid for.
//!
//! ```text
//!  an attempt ended ─▶ can another one change it? ─▶ does the policy want it? ─▶ is it safe, and the body still
//!  there? ─▶ attempts left? ─▶ how long to wait: back-off, `retry-after` ─▶ is there time for it? ─▶ retry
//! ```

pub mod after;

use std::time::Duration;

use crate::policy::RetryPolicy;

/// What an attempt came to, as far as another one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No connection could be made: nothing was sent.
    NotConnected,
    /// It was turned away before the application looked at it: a refused stream, or the other sidecar's word.
    Refused,
    /// The same, because there was no room: another endpoint may have some, the same one has not.
    Full,
    /// The application may have seen it, and no byte of a response came.
    Reset,
    /// The same, in the time that one attempt has.
    TimedOut,
    /// The application's own answer.
    Answered {
        /// Of the response.
        status: u16,
        /// `grpc-status`, where the head says it: no message follows.
        grpc: Option<u8>,
    },
    /// No other attempt would change it, or the caller itself broke off.
    Final,
}

/// Why something is tried again; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// See [`Ended::NotConnected`].
    ConnectFailure,
    /// See [`Ended::Refused`] and [`Ended::Full`].
    RefusedStream,
    /// See [`Ended::Reset`].
    Reset,
    /// See [`Ended::TimedOut`].
    Timeout,
    /// The policy lists the status.
    Status,
    /// The policy lists the code.
    GrpcCode,
}

/// The circumstances of one decision.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// What happened.
    pub ended: Ended,
    /// A repetition does no harm: by its method, or by an idempotency key.
    pub idempotent: bool,
    /// The whole body could be sent again.
    pub replayable: bool,
    /// Attempts so far; 1 or more.
    pub attempts: u32,
    /// What the answer says of when to come back.
    pub retry_after: Option<Duration>,
    /// Of the caller's deadline or the total timeout.
    pub time_left: Option<Duration>,
    /// The answer says that retries were spent on it further on.
    pub is_spent_below: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt, if the budget pays for it.
    Retry {
        /// Why.
        reason: Reason,
        /// How long to wait first.
        wait: Duration,
        /// Only where it has not been tried.
        elsewhere: bool,
    },
    /// What came is what there is.
    Stop(Stop),
}

/// Why there is no other attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is an answer, or a failure that nothing changes.
    Settled,
    /// The application may have seen it, and it is not idempotent.
    Unsafe,
    /// The body is no longer kept.
    BodyGone,
    /// All attempts are used up.
    AttemptsSpent,
    /// The answer asks for a longer wait than the policy allows.
    RetryAfterTooLong,
    /// The deadline would be over before the wait is.
    NoTime,
    /// Retries were spent on it further on: more of them here would multiply.
    SpentBelow,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::ConnectFailure, Self::RefusedStream, Self::Reset, Self::Timeout, Self::Status, Self::GrpcCode];

    /// The word in labels, and of a condition in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectFailure => "connect-failure",
            Self::RefusedStream => "refused-stream",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::GrpcCode => "grpc-code",
        }
    }
}

/// Whether the policy wants another attempt at all: a look that costs nothing, before a situation is made.
pub fn is_wanted(policy: &RetryPolicy, ended: Ended) -> bool {
    wanted(policy, ended).is_some()
}

/// Decides.
pub fn decide(policy: &RetryPolicy, situation: &Situation, rng: &mut fastrand::Rng) -> Verdict {
    let Some(reason) = wanted(policy, situation.ended) else { return Verdict::Stop(Stop::Settled) };
    let may_be_seen = !matches!(situation.ended, Ended::NotConnected | Ended::Refused | Ended::Full);
    if may_be_seen && !situation.idempotent {
        return Verdict::Stop(Stop::Unsafe);
    }
    if !situation.replayable {
        return Verdict::Stop(Stop::BodyGone);
    }
    if situation.is_spent_below {
        return Verdict::Stop(Stop::SpentBelow);
    }
    if situation.attempts > policy.retries_max {
        return Verdict::Stop(Stop::AttemptsSpent);
    }
    // What an answer says of its own time is only for the one who answered; a failure says nothing.
    let asked = situation.retry_after.filter(|_| matches!(situation.ended, Ended::Answered { .. }));
    if asked.is_some_and(|asked| asked > policy.retry_after_max) {
        return Verdict::Stop(Stop::RetryAfterTooLong);
    }
    let wait = back_off(policy, situation, rng).max(asked.unwrap_or_default());
    if situation.time_left.is_some_and(|left| !wait.is_zero() && wait >= left) {
        return Verdict::Stop(Stop::NoTime);
    }
    Verdict::Retry { reason, wait, elsewhere: situation.ended == Ended::Full }
}

/// Whether the policy wants another attempt, and on which of its conditions.
fn wanted(policy: &RetryPolicy, ended: Ended) -> Option<Reason> {
    let on = &policy.on;
    match ended {
        Ended::NotConnected => on.connect_failure.then_some(Reason::ConnectFailure),
        Ended::Refused | Ended::Full => on.refused_stream.then_some(Reason::RefusedStream),
        Ended::Reset => on.reset.then_some(Reason::Reset),
        Ended::TimedOut => on.reset.then_some(Reason::Timeout),
        Ended::Answered { grpc: Some(code), .. } if on.grpc_codes.contains(&code) => Some(Reason::GrpcCode),
        Ended::Answered { status, .. } => on.statuses.contains(&status).then_some(Reason::Status),
        Ended::Final => None,
    }
}

/// The first retry of a failure goes at once, elsewhere. An answer comes from a service that works, and wants
/// to be left alone for a moment.
fn back_off(policy: &RetryPolicy, situation: &Situation, rng: &mut fastrand::Rng) -> Duration {
    let is_answer = matches!(situation.ended, Ended::Answered { .. });
    let step = situation.attempts.checked_sub(if is_answer { 1 } else { 2 });
    step.map_or(Duration::ZERO, |step| policy.backoff.delay(step, rng)).max(policy.wait_min)
}

#[cfg(test)]
mod tests;
