//! Flags, file and environment of the control plane, parsed into one validated value. Nothing downstream checks
//! again. A flag goes before its variable, both before the file, and the file before the default.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::{Parser, builder::BoolishValueParser};
use serde::Deserialize;
use weft_runtime::{
    config::{self, ConfigError},
    telemetry::LogFormat,
};

use crate::http::limits::CONNECTIONS_MAX_DEFAULT;

/// Where the HTTP API listens.
pub const HTTP_DEFAULT: &str = "127.0.0.1:8500";
/// Where gRPC listens.
pub const GRPC_DEFAULT: &str = "127.0.0.1:8502";

/// Knows registrations, leases, health and configuration, and tells every sidecar
#[derive(Debug, Parser)]
#[command(name = "weft-control-plane", version)]
pub struct Args {
    /// YAML with any of these settings, named as the flags are (`data_dir:`)
    #[arg(long, env = "WEFT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Every setting as it was written; what was not is `None`. Flags, variables and fields of the file are of one
/// name.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// For the store and ports.json; made where it is not there
    #[arg(long, env = "WEFT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The HTTP API [default: 127.0.0.1:8500]
    #[arg(long, env = "WEFT_HTTP", value_name = "IP:PORT")]
    http: Option<String>,
    /// Discovery and Attach [default: 127.0.0.1:8502]
    #[arg(long, env = "WEFT_GRPC", value_name = "IP:PORT")]
    grpc: Option<String>,
    /// Connections to the HTTP API at one time [default: 1024]
    #[arg(long, env = "WEFT_HTTP_CONNECTIONS", value_name = "N")]
    http_connections: Option<NonZeroUsize>,
    /// Listen beyond loopback, where the network itself is closed
    #[arg(long, env = "WEFT_INSECURE_LISTEN", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    insecure_listen: Option<bool>,
    /// Logs: text or json [default: text]
    #[arg(long, env = "WEFT_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged, as `info` or `weft_control_plane=debug,info` [default: info]
    #[arg(long, env = "WEFT_LOG", value_name = "FILTER")]
    log: Option<String>,
}

/// All that a control plane is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The store's directory.
    pub data_dir: PathBuf,
    /// Where the HTTP API listens; port 0 = any.
    pub http: SocketAddr,
    /// Where gRPC listens; port 0 = any.
    pub grpc: SocketAddr,
    /// Connections to the HTTP API at one time.
    pub http_connections: usize,
    /// Listeners beyond loopback are wanted.
    pub insecure_listen: bool,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// What is logged; empty = the default.
    pub log_filter: String,
}

/// Why a control plane has no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// One setting.
    #[error("--{flag} (WEFT_{}, `{}`): {reason}", variable(flag), field(flag))]
    Setting {
        /// Its flag.
        flag: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl Config {
    /// From flags, variables and, where they name one, a file.
    ///
    /// # Errors
    /// When the file cannot be read or a setting is missing or wrong.
    pub fn load(args: Args) -> Result<Self, LoadError> {
        let file = args.config.as_deref().map(file).transpose()?.unwrap_or_default();
        args.settings.over(file).validate()
    }
}

impl Settings {
    fn over(self, file: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(file.data_dir),
            http: given(self.http).or(given(file.http)),
            grpc: given(self.grpc).or(given(file.grpc)),
            http_connections: self.http_connections.or(file.http_connections),
            insecure_listen: self.insecure_listen.or(file.insecure_listen),
            log_format: given(self.log_format).or(given(file.log_format)),
            log: given(self.log).or(given(file.log)),
        }
    }

    fn validate(self) -> Result<Config, LoadError> {
        let data_dir = self.data_dir.filter(|dir| !dir.as_os_str().is_empty());
        let data_dir = data_dir.ok_or_else(|| LoadError::Setting {
            flag: "data-dir",
            reason: "give the directory that the store is kept in".into(),
        })?;
        let log_format = self.log_format.as_deref().unwrap_or("text").parse();
        Ok(Config {
            data_dir,
            http: address("http", self.http, HTTP_DEFAULT)?,
            grpc: address("grpc", self.grpc, GRPC_DEFAULT)?,
            http_connections: self.http_connections.map_or(CONNECTIONS_MAX_DEFAULT, NonZeroUsize::get),
            insecure_listen: self.insecure_listen.unwrap_or(false),
            log_format: log_format.map_err(|error| wrong("log-format", &error))?,
            log_filter: self.log.unwrap_or_default(),
        })
    }
}

fn file(path: &Path) -> Result<Settings, ConfigError> {
    config::load(path)
}

/// An empty variable is what deployments write for "not set".
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn address(flag: &'static str, text: Option<String>, default: &str) -> Result<SocketAddr, LoadError> {
    let text = text.unwrap_or_else(|| default.into());
    text.parse().map_err(|_| LoadError::Setting {
        flag,
        reason: format!("{text:?} is not an address; give IP:PORT, as {default}"),
    })
}

fn wrong(flag: &'static str, error: &dyn std::fmt::Display) -> LoadError {
    LoadError::Setting { flag, reason: error.to_string() }
}

fn variable(flag: &str) -> String {
    field(flag).to_uppercase()
}

fn field(flag: &str) -> String {
    flag.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Without variables: tests must not depend on who runs them.
    fn load(flags: &[&str], file: &str) -> Result<Config, LoadError> {
        let mut written = tempfile::NamedTempFile::new().unwrap();
        written.write_all(file.as_bytes()).unwrap();
        let path = written.path().to_str().unwrap();
        let command = ["weft-control-plane", "--config", path];
        Config::load(Args::try_parse_from(command.iter().chain(flags)).unwrap())
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let config =
            load(&["--http", "127.0.0.1:1"], "data_dir: /d\nhttp: 127.0.0.1:2\ngrpc: 127.0.0.1:3\n").unwrap();
        assert_eq!((config.http.port(), config.grpc.port()), (1, 3));
        assert_eq!((config.http_connections, config.insecure_listen), (1_024, false));
        assert_eq!(config.data_dir, Path::new("/d"));
    }

    #[test]
    fn a_missing_data_dir_says_how_to_give_it() {
        let error = load(&[], "").unwrap_err().to_string();
        assert!(error.starts_with("--data-dir (WEFT_DATA_DIR, `data_dir`): give"), "{error}");
    }

    #[test]
    fn an_address_that_is_none_names_its_flag() {
        let error = load(&["--data-dir", "/d", "--http", "8500"], "").unwrap_err().to_string();
        assert_eq!(
            error,
            "--http (WEFT_HTTP, `http`): \"8500\" is not an address; give IP:PORT, as 127.0.0.1:8500"
        );
    }

    #[test]
    fn an_unknown_field_is_named_with_file_line_and_column() {
        let error = load(&[], "data_dir: /d\nport: 1\n").unwrap_err().to_string();
        assert!(error.contains(":2:1: port: unknown field"), "{error}");
    }

    #[test]
    fn the_switch_takes_a_value_or_none() {
        for (flag, wanted) in [("--insecure-listen", true), ("--insecure-listen=false", false)] {
            assert_eq!(load(&["--data-dir", "/d", flag], "").unwrap().insecure_listen, wanted);
        }
    }
}
