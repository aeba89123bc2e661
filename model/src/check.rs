//! What a health check is: its definition, parsed from flags, files and Consul's JSON. Running one is the
//! business of `weft_runtime::check`; what its results mean is [`crate::health`]'s.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

/// Between two runs, by default.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
/// A run that takes longer has failed, by default.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// Failures in a row until critical, by default.
pub const FAILURES_DEFAULT: u32 = 2;
/// Successes in a row until passing again, by default.
pub const SUCCESSES_DEFAULT: u32 = 1;

/// What is done to find out whether an instance is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// GET (or `method`); 2xx passes, 429 warns, all else is a failure, as in Consul.
    Http {
        /// Absolute `http://` URL.
        url: String,
        /// `GET` by default.
        method: String,
        /// Sent with it.
        headers: Vec<(String, String)>,
    },
    /// A connection that is accepted passes.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// `grpc.health.v1.Health/Check`; SERVING passes.
    Grpc {
        /// `host:port`.
        address: String,
        /// The service asked for; empty = the server as a whole.
        service: String,
    },
    /// Nothing is done: whoever it is about must report within this time.
    Ttl {
        /// Then it is critical.
        ttl: Duration,
    },
}

/// A probe and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// What is done.
    pub probe: Probe,
    /// Between the starts of two runs.
    pub interval: Duration,
    /// Longer is a failure.
    pub timeout: Duration,
    /// Failures in a row that make it critical (Consul's `FailuresBeforeCritical` is this minus one).
    pub failures_before_critical: u32,
    /// Failures in a row that make it warning; 0 = never (Consul's `FailuresBeforeWarning`).
    pub failures_before_warning: u32,
    /// Successes in a row that make it passing (Consul's `SuccessBeforePassing` is this minus one).
    pub successes_before_passing: u32,
}

impl CheckSpec {
    /// With Weft's defaults.
    pub const fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval: INTERVAL_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            failures_before_critical: FAILURES_DEFAULT,
            failures_before_warning: 0,
            successes_before_passing: SUCCESSES_DEFAULT,
        }
    }

    /// From the flag `--check`: `http:/path`, `tcp` or `grpc`, against the application's address.
    ///
    /// # Errors
    /// When it is none of the three.
    pub fn from_flag(flag: &str, app: SocketAddr) -> Result<Self, CheckFlagError> {
        let probe = match flag.split_once(':') {
            Some(("http", path)) if path.starts_with('/') => {
                Probe::Http { url: format!("http://{app}{path}"), method: "GET".into(), headers: Vec::new() }
            }
            None if flag == "tcp" => Probe::Tcp { address: app.to_string() },
            None if flag == "grpc" => Probe::Grpc { address: app.to_string(), service: String::new() },
            _ => return Err(CheckFlagError(flag.chars().take(64).collect())),
        };
        Ok(Self::new(probe))
    }
}

/// A text is no check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a check: give http:/path, tcp or grpc")]
pub struct CheckFlagError(pub String);

/// What one run of a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// Well.
    Pass(String),
    /// Well enough.
    Warn(String),
    /// Not well, with what was seen.
    Fail(String),
}
