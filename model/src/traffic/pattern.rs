//! One value against one pattern: byte for byte, or a regular expression over the whole of it. Expressions are
//! compiled once, run in linear time and have a bounded size; who checks a resource and who carries it out
//! accept the same ones.

use regex::bytes::{Regex, RegexBuilder};

use super::ValuePattern;

/// The longest expression, in bytes: the Gateway API's limit on a path's value is the same.
pub const REGEX_LENGTH_MAX: usize = 1_024;
/// The largest compiled program, in bytes. `\w{1,8}` takes a quarter of it.
pub const REGEX_PROGRAM_MAX: usize = 512 * 1_024;
/// What one expression may keep of its search states on a thread, in bytes; beyond it they are made again.
const REGEX_CACHE_MAX: usize = 256 * 1_024;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Its text is too long.
    #[error("regular expression of {0} bytes; at most {REGEX_LENGTH_MAX} are accepted")]
    TooLong(usize),
    /// Its program is too large.
    #[error(
        "regular expression `{0}` compiles to more than {REGEX_PROGRAM_MAX} bytes; make its repetitions smaller"
    )]
    TooLarge(Box<str>),
    /// It is none.
    #[error("`{text}` is not a regular expression: {reason}")]
    Syntax {
        /// As it was given.
        text: Box<str>,
        /// Of the parser, in one line.
        reason: Box<str>,
    },
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Exact(Box<[u8]>),
    Regex(Regex),
    /// In place of an expression that [`check`] would have refused: a rule must not match more than it says.
    Never,
}

/// Whether an expression is accepted.
///
/// # Errors
/// When it is too long, too large, or none.
pub fn check(text: &str) -> Result<(), PatternError> {
    regex(text).map(drop)
}

impl Pattern {
    pub(super) fn new(pattern: &ValuePattern) -> Self {
        match pattern {
            ValuePattern::Exact(text) => Self::Exact(text.as_bytes().into()),
            ValuePattern::Regex(text) => Self::regex(text),
        }
    }

    pub(super) fn regex(text: &str) -> Self {
        regex(text).map_or(Self::Never, Self::Regex)
    }

    pub(super) fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Regex(regex) => regex.is_match(value),
            Self::Never => false,
        }
    }
}

/// Anchored at both ends.
fn regex(text: &str) -> Result<Regex, PatternError> {
    if text.len() > REGEX_LENGTH_MAX {
        return Err(PatternError::TooLong(text.len()));
    }
    // First alone: what only balances inside of our own brackets, as `a)|(b` does, is no expression.
    build(text, text)?;
    build(text, &format!(r"\A(?:{text})\z"))
}

fn build(text: &str, whole: &str) -> Result<Regex, PatternError> {
    let built =
        RegexBuilder::new(whole).size_limit(REGEX_PROGRAM_MAX).dfa_size_limit(REGEX_CACHE_MAX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge(text.into()),
        // The parser draws a picture over several lines; its last one says what is wrong.
        error => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            PatternError::Syntax { text: text.into(), reason: reason.into() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_holds_for_the_whole_value_only() {
        let pattern = Pattern::regex("a|ab");
        assert!(pattern.holds(b"ab") && pattern.holds(b"a"));
        assert!(!pattern.holds(b"abc") && !pattern.holds(b"xa") && !pattern.holds(b"a\n"));
    }

    #[test]
    fn what_breaks_out_of_brackets_is_refused_as_is_what_grows_too_large() {
        assert!(matches!(check("a)|(b"), Err(PatternError::Syntax { .. })));
        assert!(
            matches!(check("(?x)a #"), Err(PatternError::Syntax { .. })),
            "our own bracket is commented out"
        );
        assert!(matches!(check(r"\w{1000}"), Err(PatternError::TooLarge(_))));
        assert_eq!(check(&"a".repeat(1_025)), Err(PatternError::TooLong(1_025)));
        assert_eq!(check(r"/users/\d+(/.*)?"), Ok(()));
        let reason = check("a(").unwrap_err().to_string();
        assert_eq!(reason, "`a(` is not a regular expression: unclosed group");
    }

    #[test]
    fn a_refused_expression_holds_for_nothing() {
        assert!(!Pattern::regex("(").holds(b"("));
    }
}
