//! All that happened in a simulation, in order: as one number, by which two runs are compared, and in words, where
//! somebody wants to read them.

use std::hash::{DefaultHasher, Hash, Hasher};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Its keys are fixed.
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the words from now on.
    pub(super) fn keep_words(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// `now` is in milliseconds since the simulation began.
    pub(super) fn note(&mut self, now: u64, what: impl Hash, words: impl FnOnce() -> String) {
        (now, what).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now:>7} {}", words()));
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
