//! Logs: tracing to standard error, text or JSON. Access records do not pass here; they have their own path.

use std::{fmt, io, io::IsTerminal, str::FromStr};

use tracing_subscriber::EnvFilter;

/// What is logged when nobody says.
pub const FILTER_DEFAULT: &str = "info";

/// How a log line looks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; colours on a terminal.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Why logs could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("`{filter}` is not a log filter: {source}; give e.g. `info` or `weft_sidecar=debug,info`")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else has started logs in this process.
    #[error("logs were started twice: {0}")]
    Twice(tracing_subscriber::util::TryInitError),
}

/// Starts logs for the whole process. `filter` is the value of `WEFT_LOG`, read by the caller's configuration;
/// empty = [`FILTER_DEFAULT`].
///
/// # Errors
/// When the filter does not parse, or logs were started before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = if filter.trim().is_empty() { FILTER_DEFAULT } else { filter };
    let env_filter = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.into(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(env_filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
        LogFormat::Text if io::stderr().is_terminal() => builder.finish().try_init(),
        LogFormat::Text => builder.with_ansi(false).finish().try_init(),
    };
    started.map_err(TelemetryError::Twice)
}

impl LogFormat {
    /// The name in flags and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is no log format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log format: give text or json")]
pub struct LogFormatError(String);

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(text: &str) -> Result<Self, LogFormatError> {
        [Self::Text, Self::Json]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| LogFormatError(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let error = init(LogFormat::Text, "weft=loud").unwrap_err();
        assert!(error.to_string().starts_with("`weft=loud` is not a log filter"), "{error}");
    }

    #[test]
    fn formats_are_parsed_by_name() {
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert!("JSON5".parse::<LogFormat>().is_err());
    }
}
