//! Loads a YAML file into a typed value; errors name file, line, column and field. It knows no file's shape:
//! the types with `deny_unknown_fields` do, and they stand with their owners.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

#[cfg(test)]
mod tests;

/// The largest file that is read, in bytes. Ours are a few kilobytes: more is a mistake in the path.
pub const FILE_SIZE_MAX: u64 = 1024 * 1024;

/// Why a file gave no value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing by that path.
    #[error("{}: there is no such file; give the path of an existing YAML file", path.display())]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// It is there, and cannot be read.
    #[error("{}: cannot be read: {source}; make it a file that this user may read", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// From the system.
        source: io::Error,
    },
    /// Over [`FILE_SIZE_MAX`].
    #[error("{}: larger than {FILE_SIZE_MAX} bytes, so hardly a configuration file; check the path", path.display())]
    TooLarge {
        /// As given.
        path: PathBuf,
    },
    /// YAML, or not even that, but not what was expected.
    #[error("{0}")]
    Invalid(Invalid),
}

/// One place in a file that is wrong. Shown as `weft.yaml:12:5: services.orders.replica: unknown field, …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The file's name.
    pub name: String,
    /// Line and column, from 1, where known.
    pub place: Option<(usize, usize)>,
    /// The path of the field; empty = the whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads and parses one file.
///
/// # Errors
/// When it cannot be read, is too large, or is not a `T`: see [`ConfigError`].
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path: path.into() },
        _ => ConfigError::Unreadable { path: path.into(), source },
    };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_SIZE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_SIZE_MAX {
        return Err(ConfigError::TooLarge { path: path.into() });
    }
    from_str(&text, &path.display().to_string())
}

/// Parses a text; `name` stands in errors where a file's path would. A text without content is an empty
/// mapping, so a file of comments gives the defaults.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is not a `T`.
pub fn from_str<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, ConfigError> {
    let text = if has_content(text) { text } else { "{}" };
    // As a value first: typed maps keep the last of two equal keys without a word.
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(|error| invalid(name, "", &error))?;
    serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let field = error.path().to_string();
        invalid(name, if field == "." { "" } else { &field }, error.inner())
    })
}

fn has_content(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#') && line != "---")
}

fn invalid(name: &str, field: &str, error: &serde_yaml::Error) -> ConfigError {
    let place = error.location().map(|at| (at.line(), at.column()));
    let message = bare_message(&error.to_string(), field, place);
    ConfigError::Invalid(Invalid { name: name.into(), place, field: field.into(), message })
}

/// The parser's message holds path and position as well; we say both once, in front.
fn bare_message(message: &str, field: &str, place: Option<(usize, usize)>) -> String {
    let at = place.map(|(line, column)| format!(" at line {line} column {column}")).unwrap_or_default();
    let message = message.strip_suffix(&at).unwrap_or(message);
    let message =
        ancestors(field).find_map(|path| message.strip_prefix(path)?.strip_prefix(": ")).unwrap_or(message);
    let last = field.rsplit('.').next().unwrap_or_default();
    message.replacen(&format!("unknown field `{last}`"), "unknown field", 1)
}

/// `a.b[0]`, then `a.b`, then `a`.
fn ancestors(field: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(field), |path| {
        let (parent, _) = path.rsplit_once(['.', '['])?;
        Some(parent)
    })
    .filter(|path| !path.is_empty())
}
