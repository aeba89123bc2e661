//! `limits`: how much is sent at once.

use super::super::{
    decode::{Fields, Node},
    error::Reason,
    value,
};
use crate::policy::{Concurrency, LimitPolicy, QueuePolicy};

/// The largest limit on requests or connections: more than a sidecar's own.
const LIMIT_MAX: u32 = 1_000_000;
/// The longest queue: each place holds a request's head.
const QUEUE_MAX: u32 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unlimited,
    Fixed,
    Adaptive,
}

pub(super) fn read(node: &Node<'_>) -> Option<LimitPolicy> {
    node.object(|fields| {
        let concurrency = fields.optional("concurrency", |node| node.object(concurrency));
        let queue = fields.optional("queue", queue);
        let connections_per_endpoint =
            fields.optional("connectionsPerEndpoint", |node| node.small(1..=LIMIT_MAX));
        let is_limited = concurrency.is_some_and(|limit| limit != Concurrency::Unlimited);
        if queue.is_some() && !is_limited && !fields.failed("concurrency") {
            let message = "has a meaning only before a limit: give `concurrency`, or leave it out";
            fields.fail("queue", Reason::Forbidden, message);
        }
        Some(LimitPolicy {
            concurrency: concurrency.unwrap_or_default(),
            queue: queue.unwrap_or_default(),
            connections_per_endpoint,
        })
    })
}

fn concurrency(fields: &mut Fields<'_>) -> Option<Concurrency> {
    const WORDS: [(&str, Kind); 3] =
        [("Unlimited", Kind::Unlimited), ("Fixed", Kind::Fixed), ("Adaptive", Kind::Adaptive)];
    const ADAPTIVE_MIN: u32 = 3;
    let kind = fields.required("type", |node| node.one_of(&WORDS));
    let min = fields.optional("min", |node| node.small(1..=LIMIT_MAX));
    let max = fields.optional("max", |node| node.small(1..=LIMIT_MAX));
    let refuse = |fields: &Fields<'_>, name: &str, meant: &str| {
        if fields.has(name) {
            let message = format!("has a meaning only with `type: {meant}`: leave it out");
            fields.fail(name, Reason::Forbidden, message);
        }
    };
    match kind? {
        Kind::Unlimited => {
            refuse(fields, "min", "Adaptive");
            refuse(fields, "max", "Fixed` or `Adaptive");
            Some(Concurrency::Unlimited)
        }
        Kind::Fixed => {
            refuse(fields, "min", "Adaptive");
            if !fields.has("max") {
                fields.fail("max", Reason::Required, "is missing: give the number of requests under way");
            }
            max.map(Concurrency::Fixed)
        }
        Kind::Adaptive => {
            let (min, max) = (min.unwrap_or(ADAPTIVE_MIN), max.unwrap_or(LIMIT_MAX));
            if min > max {
                fields.fail(
                    "min",
                    Reason::Invalid,
                    format!("is {min}, more than `max` ({max}): give at most that"),
                );
            }
            Some(Concurrency::Adaptive { min, max })
        }
    }
}

fn queue(node: &Node<'_>) -> Option<QueuePolicy> {
    let default = QueuePolicy::default();
    node.object(|fields| {
        let length = fields.optional("length", |node| node.small(0..=QUEUE_MAX));
        let timeout = fields.optional("timeout", value::span);
        Some(QueuePolicy {
            length_max: length.unwrap_or(default.length_max),
            timeout: timeout.unwrap_or(default.timeout),
        })
    })
}
