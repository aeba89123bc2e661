//! How calls ended and how long they took: one thread's cells, for a service or for one of its rules.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use weft_model::error_code::ErrorCode;

use super::{Latency, count, render::Labels};

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// See the module.
#[derive(Debug, Default)]
pub struct Outcomes {
    classes: [AtomicU64; CLASSES.len()],
    errors: [AtomicU64; ErrorCode::ALL.len()],
    /// From arrival to the end of the answer.
    pub latency: Latency,
}

impl Outcomes {
    /// Counts one request; a failure that Weft named counts under its name, everything else under its class.
    pub(crate) fn observe(&self, status: u16, error: Option<ErrorCode>, nanos: u64) {
        let cell = match error {
            Some(code) => self.errors.get(code as usize),
            None => self.classes.get(usize::from(status / 100)),
        };
        if let Some(cell) = cell {
            count(cell, 1);
        }
        self.latency.observe(nanos);
    }

    /// Adds what has happened at all to the sums, under the labels and its own two.
    pub(super) fn add_to<'a>(&'a self, sums: &mut BTreeMap<Labels<'a>, u64>, labels: &Labels<'a>) {
        let classes = CLASSES.into_iter().zip(&self.classes).map(|(class, count)| (class, "", count));
        let errors = ErrorCode::ALL.into_iter().zip(&self.errors).map(|(code, count)| {
            let class = CLASSES.get(usize::from(code.http_status() / 100)).copied().unwrap_or_default();
            (class, code.as_str(), count)
        });
        for (class, error, count) in classes.chain(errors) {
            let count = count.load(Relaxed);
            if count > 0 {
                let mut labels = labels.clone();
                labels.extend([("code_class", class), ("error", error)]);
                *sums.entry(labels).or_insert(0) += count;
            }
        }
    }
}
