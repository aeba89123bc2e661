//! What is wrong with a resource: every error at once, each with its place, a reason for machines and the remedy.
//! It must not know what a resource is; the control plane makes a Kubernetes `Status` of it, the command line a
//! line each.

use std::fmt;

/// Errors that are told of one resource, at most: beyond, they are counted. A resource has at most some hundred
/// fields that can be wrong, and a reader mends the first few first.
pub const ERRORS_MAX: usize = 100;
/// Characters of outside text that an error repeats, at most.
const CLIP_LENGTH: usize = 64;

/// Why a field is refused: the reasons of a Kubernetes `Status` cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It has to be there.
    Required,
    /// Its value breaks a rule.
    Invalid,
    /// Text where a number has to be, and the like.
    TypeInvalid,
    /// Not one of the words that are known here.
    NotSupported,
    /// The same was said before.
    Duplicate,
    /// It must not be there, alone or beside another.
    Forbidden,
    /// A text that is too long.
    TooLong,
    /// A list that is too long.
    TooMany,
}

/// One thing that is wrong. Shown as `spec.rules[0].name: why, and what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// Where, as in `spec.rules[2].matches[0].path.value`; `$` is the whole document.
    pub path: String,
    /// For machines.
    pub reason: Reason,
    /// For people: what is wrong, and what to write instead.
    pub message: String,
}

/// All that is wrong with one resource; at least one, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors {
    errors: Vec<FieldError>,
    untold: usize,
}

impl Reason {
    /// The word in `details.causes[].reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Errors {
    /// `Err` when there is at least one; `untold` more were only counted.
    pub(super) fn check(errors: Vec<FieldError>, untold: usize) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self { errors, untold }) }
    }

    /// A single one.
    pub(super) fn one(path: &str, reason: Reason, message: impl Into<String>) -> Self {
        Self { errors: vec![FieldError { path: path.into(), reason, message: message.into() }], untold: 0 }
    }

    /// Those that are told, [`ERRORS_MAX`] at most.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &FieldError> {
        self.errors.iter()
    }

    /// How many more there are.
    pub const fn untold(&self) -> usize {
        self.untold
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        if self.untold > 0 {
            write!(f, "\nand {} more", self.untold)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Outside text in an error message: cut, with control characters escaped so that it cannot move a terminal's
/// cursor.
pub(super) fn clip(text: &str) -> String {
    let mut shown: String = text.chars().take(CLIP_LENGTH).flat_map(char::escape_debug).collect();
    if text.chars().nth(CLIP_LENGTH).is_some() {
        shown.push('…');
    }
    // `escape_debug` is made for literals; a message has no quotes around it to protect.
    shown.replace("\\\"", "\"").replace("\\'", "'")
}
