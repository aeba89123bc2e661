//! What the outside saw of a simulation: what callers asked and were told, and what applications were asked. The
//! invariants are about nothing else.

use std::{cell::RefCell, collections::BTreeSet, ops::Range, rc::Rc};

/// See the module; shared by all who write it.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    asked: Rc<RefCell<Vec<Asked>>>,
    seen: Rc<RefCell<Vec<Seen>>>,
    listed: Rc<RefCell<Vec<Listed>>>,
    tried: Rc<RefCell<Vec<Tried>>>,
}

/// A request, as its caller tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) method: &'static str,
    /// A repetition does no harm.
    pub(super) is_idempotent: bool,
    /// In milliseconds since the beginning.
    pub(super) time: Range<u64>,
    pub(super) told: Told,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Answer {
        status: u16,
        /// `weft-error`.
        error: Option<String>,
        /// `weft-retry: budget-exhausted`.
        is_budget_spent: bool,
        /// The body is whole, and the answer to this request.
        is_right: bool,
    },
    /// The sidecar broke off, or never answered.
    Nothing(String),
}

/// From this time on, the replicas that the caller's table lists as callable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// In milliseconds since the beginning.
    pub(super) at: u64,
    pub(super) replicas: BTreeSet<usize>,
}

/// How many attempts the caller's sidecar has begun by this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tried {
    /// In milliseconds since the beginning.
    pub(super) at: u64,
    pub(super) attempts: u64,
}

/// A request head that reached an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: u64,
    pub(super) replica: usize,
    /// In milliseconds since the beginning.
    pub(super) at: u64,
}

impl History {
    pub(super) fn ask(&self, asked: Asked) {
        self.asked.borrow_mut().push(asked);
    }

    pub(super) fn see(&self, seen: Seen) {
        self.seen.borrow_mut().push(seen);
    }

    pub(super) fn list(&self, listed: Listed) {
        self.listed.borrow_mut().push(listed);
    }

    pub(super) fn listed(&self) -> Vec<Listed> {
        self.listed.borrow().clone()
    }

    pub(super) fn attempt(&self, tried: Tried) {
        self.tried.borrow_mut().push(tried);
    }

    pub(super) fn tried(&self) -> Vec<Tried> {
        self.tried.borrow().clone()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }
}

/// How much happened in runs: without it, nothing that held would mean anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) requests: usize,
    /// Requests that reached an application once more.
    pub(super) again: usize,
    /// Idempotent requests that failed, and unsafe ones.
    pub(super) failed: usize,
    pub(super) failed_unsafe: usize,
    /// Answers that say that the budget was spent.
    pub(super) spent: usize,
}

impl Tally {
    pub(super) fn add(&mut self, asked: &[Asked], seen: &[Seen]) {
        let count = |is: &dyn Fn(&Asked) -> bool| asked.iter().filter(|asked| is(asked)).count();
        let ids: BTreeSet<u64> = seen.iter().map(|seen| seen.id).collect();
        self.requests += asked.len();
        self.again += seen.len() - ids.len();
        self.failed += count(&|asked| asked.is_idempotent && !asked.has_succeeded());
        self.failed_unsafe += count(&|asked| !asked.is_idempotent && !asked.has_succeeded());
        self.spent += count(&Asked::says_spent);
    }
}

impl Asked {
    /// The total timeout was over.
    pub(super) fn has_timed_out(&self) -> bool {
        matches!(&self.told, Told::Answer { error: Some(error), .. } if error == "upstream-timeout")
    }

    pub(super) fn says_spent(&self) -> bool {
        matches!(self.told, Told::Answer { is_budget_spent: true, .. })
    }

    /// Whether its caller has what it asked for.
    pub(super) fn has_succeeded(&self) -> bool {
        matches!(self.told, Told::Answer { status: 200, is_right: true, .. })
    }
}
