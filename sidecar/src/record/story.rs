//! What `weft explain` tells of a call beside its record: the terms that it was carried on, and the attempts before
//! the last. Filled in by the data path, where a call that succeeds at once costs one copy and no allocation.

use std::{sync::Arc, time::Duration};

use weft_model::{error_code::ErrorCode, retry::Reason};

use crate::trace::Span;

/// What held for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Of the table that its endpoints were chosen from.
    pub(crate) table_version: u64,
    /// To the head of the answer.
    pub(crate) timeout: Option<Duration>,
    /// The timeout was the caller's deadline.
    pub(crate) is_deadline: bool,
    pub(crate) per_try: Option<Duration>,
    pub(crate) retries_max: u32,
    pub(crate) idempotent: bool,
}

/// A limit on requests under way, as a call has met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    /// So many at once.
    pub(crate) most: u64,
    /// Until it had a place, or gave up: since the call came, in nanoseconds.
    pub(crate) waited: u64,
}

/// An attempt that was not the last.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) endpoint: Option<Arc<str>>,
    /// On the process's clock.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// 0 = no answer.
    pub(crate) status: u16,
    pub(crate) error: Option<ErrorCode>,
    pub(crate) why: Why,
}

/// Why there was another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Retried(Reason),
    /// It was slow, and another one raced with it.
    Hedged,
}

/// What is told of a call.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// None for what was refused before it had a service, and for connections.
    pub(crate) terms: Option<Terms>,
    /// Who was called, where a rule said so.
    pub(crate) backend: Option<Arc<str>>,
    /// Empty for most calls, and then no memory.
    pub(crate) tries: Vec<Try>,
    /// When the last attempt began; 0 = with the call.
    pub(crate) last_began: u64,
    /// Where requests under way are limited.
    pub(crate) limit: Option<Limited>,
    /// There would have been another attempt.
    pub(crate) is_budget_spent: bool,
    /// Where it is part of a trace that is recorded.
    pub(crate) span: Option<Box<Span>>,
}

impl Why {
    /// The word in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retried(reason) => reason.as_str(),
            Self::Hedged => "hedged",
        }
    }
}
