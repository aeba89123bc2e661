//! A regular expression that an operator wrote: in a permission, a topic permission or a policy.
//!
//! RabbitMQ searches with PCRE, unanchored, so look-around is in use (`^(?!amq\.).*`) and is understood here. Size
//! and steps are limited: a pattern is text from outside, and the names it meets come from clients.
//! Compared with Erlang's `re` over 968 pairs of pattern and name, what differs is rare: `\Q…\E`, `(?|…)` and a brace
//! that begins no quantifier are refused, `a{,3}` counts from zero, and `\h` is a hexadecimal digit.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};
use thiserror::Error;

/// Bytes of a pattern at most.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Bytes of a compiled pattern at most; what is larger is refused when it is set.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Steps back that one match may take. A search that needs more counts as no match.
const BACKTRACKS_MAX: usize = 20_000;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// More bytes than [`PATTERN_BYTES_MAX`].
    #[error("a pattern of {bytes} bytes, {PATTERN_BYTES_MAX} at most")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// Not a regular expression.
    #[error("{reason}")]
    Syntax {
        /// What the compiler says.
        reason: String,
    },
}

/// A compiled pattern and the text it came from. Two are equal when their texts are.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    /// Matches at once, like most permissions in use.
    Everything,
    Regex(Box<Regex>),
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is too long, too large once compiled, or not a regular expression.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        Self::compile(text, text)
    }

    /// Compiles `source` and shows `text`: they differ where variables were replaced or `""` has another meaning.
    pub(super) fn compile(text: &str, source: &str) -> Result<Self, PatternError> {
        let bytes = source.len().max(text.len());
        if bytes > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong { bytes });
        }
        let matcher = match source {
            "" | "^" | ".*" | "^.*" => Matcher::Everything,
            _ => Matcher::Regex(Box::new(regex(source)?)),
        };
        Ok(Self { text: text.into(), matcher })
    }

    /// Whether `name` holds a match. A search over the limit of steps says no.
    pub fn is_match(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::Regex(regex) => regex.is_match(name).unwrap_or(false),
        }
    }

    /// Whether every name matches, without a search.
    pub fn is_everything(&self) -> bool {
        matches!(self.matcher, Matcher::Everything)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// `value` with its metacharacters made literal.
pub(super) fn literal(value: &str) -> String {
    fancy_regex::escape(value).into_owned()
}

fn regex(source: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(source)
        .backtrack_limit(BACKTRACKS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .delegate_dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| PatternError::Syntax { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().is_match(name)
    }

    #[test]
    fn a_search_is_not_anchored() {
        assert!(matches("order", "eu.orders.new"));
        assert!(matches("^eu\\.", "eu.orders"));
        assert!(!matches("^orders", "eu.orders"));
        assert!(matches("^(amq\\.gen.*|amq\\.default)$", "amq.default"));
    }

    #[test]
    fn look_ahead_excludes_a_prefix() {
        assert!(!matches("^(?!amq\\.).*", "amq.topic"));
        assert!(matches("^(?!amq\\.).*", "orders"));
    }

    #[test]
    fn everything_needs_no_search_and_shows_its_text() {
        let all = Pattern::new(".*").unwrap();
        assert!(all.is_everything() && all.is_match("") && all.is_match("a\nb"));
        assert_eq!(all.as_str(), ".*");
    }

    #[test]
    fn faulty_and_huge_patterns_are_refused() {
        assert!(matches!(Pattern::new("("), Err(PatternError::Syntax { .. })));
        assert!(matches!(Pattern::new("(a{1000}){1000}"), Err(PatternError::Syntax { .. })));
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert_eq!(Pattern::new(&long), Err(PatternError::TooLong { bytes: PATTERN_BYTES_MAX + 1 }));
    }

    /// Each `a?` may take a letter or leave it: 2^28 ways, and the last of them matches.
    #[test]
    fn a_search_that_explodes_ends_as_no_match() {
        let pattern = format!("^{}a{{28}}$", "(?:(?=a)a)?".repeat(28));
        assert!(!matches(&pattern, &"a".repeat(28)));
        let small = format!("^{}a{{4}}$", "(?:(?=a)a)?".repeat(4));
        assert!(matches(&small, &"a".repeat(4)));
    }

    #[test]
    fn a_literal_matches_itself_alone() {
        let name = "a.b{c}|d\\e-f_g~h";
        let pattern = Pattern::new(&format!("^{}$", literal(name))).unwrap();
        assert!(pattern.is_match(name) && !pattern.is_match("axb{c}|d\\e-f_g~h"));
    }
}
