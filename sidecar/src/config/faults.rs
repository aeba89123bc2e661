//! Collects what is wrong with the settings, so that a person sees all of it at once.

use std::{fmt, str::FromStr};

/// All that is wrong, in the order it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Notes one; `field` is the name of the setting.
    pub(super) fn add(&mut self, field: &str, reason: impl fmt::Display) {
        self.0.push(format!("{field}: {reason}"));
    }

    /// The value, or notes why there is none.
    pub(super) fn keep<T>(&mut self, field: &str, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|reason| self.add(field, reason)).ok()
    }

    /// Parses a type whose own error says too little; `reason` follows the text.
    pub(super) fn parse<T: FromStr>(&mut self, field: &str, text: &str, reason: &str) -> Option<T> {
        self.keep(field, text.trim().parse().map_err(|_| format!("`{}` {reason}", clip(text))))
    }

    /// Whether nothing is wrong.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// At most 64 characters of what somebody wrote.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}
