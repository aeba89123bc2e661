//! ServicePolicy: timeouts, retries, hedging, balancing, ejection, limits and faults of the calls to a service. What
//! it does not name stays as the caller's sidecar has it; of `balancing`, `ejection` and `limits`, which are each a
//! whole, what is not named has its default.

use super::{
    decode::{Fields, Node},
    error::Reason,
    http_route::{ATTEMPTS_MAX, CODES_MAX, statuses},
    reference, value,
};
use crate::{
    backoff::Backoff,
    name::{Label, ServiceName},
    policy::{
        FaultAbort, FaultDelay, FaultPolicy, HedgePolicy, RetryBudget, RetryOn, RetryPolicy,
        patch::PolicyPatch,
    },
};

mod balancing;
mod ejection;
mod limits;

/// The longest request body that may be kept for a retry, in bytes: each call under way may hold so much.
const BODY_MAX: u64 = 16 * 1_024 * 1_024;
/// Attempts under way at once, at most: each more is load for nothing.
const HEDGED_MAX: u32 = 5;
/// The largest budget in retries, a second or saved up: more the word of a budget does not count.
const BUDGET_MAX: u32 = 650;
/// gRPC's codes but OK, from 1 on, in their order.
const GRPC_CODES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The spec of a ServicePolicy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySpec {
    targets: Vec<ServiceName>,
    patch: PolicyPatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    ConnectFailure,
    RefusedStream,
    Reset,
}

impl PolicySpec {
    /// The services it is about, each once; at least one.
    pub fn targets(&self) -> &[ServiceName] {
        &self.targets
    }

    /// What it says.
    pub const fn patch(&self) -> &PolicyPatch {
        &self.patch
    }
}

pub(super) fn read(node: &Node<'_>, namespace: &Label) -> Option<PolicySpec> {
    node.object(|fields| {
        let targets = reference::targets(fields, namespace);
        let mut patch = PolicyPatch::default();
        fields.optional("timeouts", |node| node.object(|fields| timeouts(fields, &mut patch)));
        fields.optional("retries", |node| node.object(|fields| retries(fields, &mut patch)));
        patch.hedge = fields.optional("hedging", hedging);
        patch.balance = fields.optional("balancing", balancing::read);
        patch.outlier = fields.optional("ejection", ejection::read);
        patch.limits = fields.optional("limits", limits::read);
        patch.fault = fields.optional("faults", faults);
        Some(PolicySpec { targets, patch })
    })
}

fn timeouts(fields: &mut Fields<'_>, patch: &mut PolicyPatch) -> Option<()> {
    patch.total_timeout = fields.optional("request", value::timeout);
    patch.per_try_timeout = fields.optional("backendRequest", value::timeout);
    patch.connect_timeout = fields.optional("connect", value::span);
    patch.idle_timeout = fields.optional("idle", value::timeout);
    value::check_timeouts(fields, patch.total_timeout, patch.per_try_timeout);
    Some(())
}

fn retries(fields: &mut Fields<'_>, patch: &mut PolicyPatch) -> Option<()> {
    patch.retries_max = fields.optional("attempts", |node| node.small(0..=ATTEMPTS_MAX));
    patch.retry_on = retry_on(fields);
    patch.backoff = fields.optional("backoff", backoff);
    patch.retry_after_max = fields.optional("retryAfterMax", value::duration);
    patch.retry_body_max = fields.optional("bodyMax", |node| value::bytes(node, BODY_MAX));
    patch.retry_budget = fields.optional("budget", budget);
    Some(())
}

/// `conditions`, `codes` and `grpcCodes`: what is not named has its default.
fn retry_on(fields: &mut Fields<'_>) -> Option<RetryOn> {
    const WORDS: [(&str, Condition); 3] = [
        ("ConnectFailure", Condition::ConnectFailure),
        ("RefusedStream", Condition::RefusedStream),
        ("Reset", Condition::Reset),
    ];
    let is_said = ["conditions", "codes", "grpcCodes"].into_iter().any(|name| fields.has(name));
    let mut on = RetryOn::default();
    if let Some(node) = fields.get("conditions") {
        let mut seen = Vec::new();
        node.list(CODES_MAX, |node| {
            let condition = node.one_of(&WORDS)?;
            value::is_new(&mut seen, condition, node, "stands here already: name it once").then_some(())
        });
        on.connect_failure = seen.contains(&Condition::ConnectFailure);
        on.refused_stream = seen.contains(&Condition::RefusedStream);
        on.reset = seen.contains(&Condition::Reset);
    }
    on.statuses = statuses(fields, "codes");
    on.grpc_codes = grpc_codes(fields);
    is_said.then_some(on)
}

fn grpc_codes(fields: &mut Fields<'_>) -> Vec<u8> {
    let words: Vec<(&str, u8)> = GRPC_CODES.into_iter().zip(1..).collect();
    let mut seen = Vec::new();
    fields.list("grpcCodes", CODES_MAX, |node| {
        let code = node.one_of(&words)?;
        value::is_new(&mut seen, code, node, "stands here already: name it once").then_some(code)
    })
}

fn backoff(node: &Node<'_>) -> Option<Backoff> {
    let default = RetryPolicy::default().backoff;
    node.object(|fields| {
        let base = fields.optional("base", value::span).unwrap_or(default.base);
        let max = fields.optional("max", value::span).unwrap_or_else(|| default.max.max(base));
        if base > max {
            let message = format!(
                "is {}, shorter than `base` ({}): give at least that",
                value::shown(max),
                value::shown(base)
            );
            fields.fail("max", Reason::Invalid, message);
        }
        Some(Backoff { base, max })
    })
}

fn budget(node: &Node<'_>) -> Option<RetryBudget> {
    let default = RetryBudget::default();
    node.object(|fields| {
        let percent = fields.optional("percent", value::percent);
        let floor = fields.optional("minPerSecond", |node| node.small(0..=BUDGET_MAX));
        let reserve = fields.optional("reserve", |node| node.small(1..=BUDGET_MAX));
        Some(RetryBudget {
            percent: percent.unwrap_or(default.percent),
            floor_per_second: floor.unwrap_or(default.floor_per_second),
            reserve: reserve.unwrap_or(default.reserve),
        })
    })
}

fn hedging(node: &Node<'_>) -> Option<HedgePolicy> {
    const DEFAULT_ATTEMPTS: u32 = 2;
    node.object(|fields| {
        let delay = fields.required("delay", value::span);
        let attempts = fields.optional("attempts", |node| node.small(2..=HEDGED_MAX));
        Some(HedgePolicy { delay: delay?, attempts_max: attempts.unwrap_or(DEFAULT_ATTEMPTS) })
    })
}

fn faults(node: &Node<'_>) -> Option<FaultPolicy> {
    node.object(|fields| {
        let delay = fields.optional("delay", |node| {
            node.object(|fields| {
                let percent = fields.required("percent", value::percent);
                let time = fields.required("duration", value::span);
                Some(FaultDelay { percent: percent?, time: time? })
            })
        });
        let abort = fields.optional("abort", |node| {
            node.object(|fields| {
                let percent = fields.required("percent", value::percent);
                let status = fields.required("statusCode", |node| node.integer(200..=599));
                Some(FaultAbort { percent: percent?, status: u16::try_from(status?).ok()? })
            })
        });
        Some(FaultPolicy { delay, abort })
    })
}
