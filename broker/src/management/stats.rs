//! `message_stats`: what happened to messages, as counts and rates. Pure.

use serde_json::{Map, Value};

use super::{
    json::rate,
    rates::{COUNTS, Counts},
};
use crate::queue::QueueStats;

/// Names of counters, in the order of [`counts`].
const COUNTERS: [&str; COUNTS] = [
    "publish",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "redeliver",
    "ack",
    "deliver_get",
    "dead_letter",
];

/// The counters of a queue.
pub(super) fn counts(stats: &QueueStats) -> Counts {
    [
        stats.published,
        stats.delivered,
        stats.delivered_no_ack,
        stats.got,
        stats.got_no_ack,
        stats.got_empty,
        stats.redelivered,
        stats.acked,
        stats.handed_out(),
        stats.dead_lettered,
    ]
}

/// `message_stats`: counters and their rates.
pub(super) fn message_stats(counts: &Counts, rates: &[f64; COUNTS]) -> Map<String, Value> {
    let mut stats = Map::new();
    for ((name, count), per_second) in COUNTERS.iter().zip(counts).zip(rates) {
        stats.insert((*name).to_owned(), (*count).into());
        stats.insert(format!("{name}_details"), rate(*per_second));
    }
    stats
}
