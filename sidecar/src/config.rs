//! Flags, file and environment of the sidecar, parsed into one validated value. Nothing downstream checks
//! again.
//!
//! ```text
//!  flags, variables ─clap─┐
//!                         ├─▶ Settings ─validate─▶ SidecarConfig
//!  file ────────────serde─┘                └─▶ Faults: all that is wrong
//! ```

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use weft_model::{
    check::CheckSpec,
    endpoint::{Endpoint, Protocol},
    name::{Id, Label, ServiceName},
};
use weft_runtime::{config::ConfigError, telemetry::LogFormat};

use crate::limits::{HeaderPolicy, Limits};

mod concurrency;
mod faults;
mod limits;
mod policy;
mod records;
mod services;
mod settings;
mod surroundings;
#[cfg(test)]
mod tests;
mod validate;

pub use faults::Faults;
pub use records::{Condition, RecordFormat, RecordPolicy, TracePolicy};
pub use surroundings::PortReservation;

/// What `weft-sidecar run` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// YAML with any of these settings, named as the flags are (`control_plane:`), and with `services:` and
    /// `policy:`
    #[arg(long, env = "WEFT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: settings::Settings,
}

/// Why a sidecar has no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// What it and the flags say; every fault has its line.
    #[error("the configuration is not valid:\n{0}")]
    Invalid(Faults),
}

/// All that a sidecar is told.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// `http://host:port` of the control plane's gRPC; `None` = alone.
    pub control_plane: Option<String>,
    /// The host's name.
    pub node: Id,
    /// The namespace of this sidecar, and of host names with one label.
    pub namespace: Label,
    /// The instance that it stands beside; `None` = outbound calls only.
    pub instance: Option<InstanceConfig>,
    /// `--instance` without a service: what a sidecar for outbound calls is called, instead of by its process.
    pub name: Option<Id>,
    /// Where it stands, with its instance if it has one; empty = unknown.
    pub zone: String,
    /// Where the application's calls come in.
    pub outbound: SocketAddr,
    /// Where other sidecars' calls come in.
    pub inbound: SocketAddr,
    /// What others are told to dial; `None` = the inbound address or the one used towards the control plane.
    pub advertise: Option<SocketAddr>,
    /// `/live`, `/ready`, `/metrics`, `/config_dump`.
    pub admin: SocketAddr,
    /// Where it is a message broker; `None` = it keeps no queues.
    pub queue_host: Option<QueueHostConfig>,
    /// For the snapshot, and for messages.
    pub data_dir: PathBuf,
    /// Listeners beyond loopback are wanted.
    pub insecure_listen: bool,
    /// Fixed local ports: TCP to one service each.
    pub upstreams: Vec<Upstream>,
    /// Names to subscribe to at start, beside the upstreams.
    pub subscribe: Vec<ServiceName>,
    /// The endpoints of the file, for a sidecar that runs alone.
    pub services: Vec<(ServiceName, Vec<Endpoint>)>,
    /// Whether absolute URIs outside the mesh are forwarded.
    pub egress: Egress,
    /// Threads that carry data; 1 by default.
    pub data_threads: usize,
    /// Where access records go.
    pub access_log: AccessLog,
    /// Which, in what form, and what is kept of requests.
    pub records: RecordPolicy,
    /// Timeouts, retries, balancing: the defaults for every service.
    pub policy: weft_model::policy::Policy,
    /// What clients may do.
    pub limits: Limits,
    /// `Via` and `Forwarded`.
    pub headers: HeaderPolicy,
    /// Protects the application: calls to it that may be under way.
    pub concurrency: weft_model::policy::LimitPolicy,
    /// The wrapped command, if any.
    pub command: Vec<String>,
    /// Whether the command is told to use this sidecar as its HTTP proxy.
    pub proxy_env: bool,
    /// A connection to the inbound port that is older is asked to go; `None`, the default, = any age. Sidecars
    /// spread their requests anyway; this is for bare clients that would stay with one replica for ever.
    pub connection_age_max: Option<Duration>,
    /// The same for the outbound port and the upstreams' ones.
    pub outbound_connection_age_max: Option<Duration>,
    /// How long a stop waits for requests; 20 s by default.
    pub drain_timeout: Duration,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// What is logged; empty = the default.
    pub log_filter: String,
    /// The names of the variables that are set: the command keeps their values.
    pub variables: HashSet<String>,
    /// For the application's port, where we have chosen it.
    pub app_port: Option<PortReservation>,
}

impl SidecarConfig {
    /// From flags, variables and, where they name one, a file.
    ///
    /// # Errors
    /// When the file cannot be read or something is wrong with any setting: all of it at once.
    pub fn load(args: RunArgs) -> Result<Self, LoadError> {
        let file = match &args.config {
            Some(path) => file(path)?,
            None => settings::Settings::default(),
        };
        let around = surroundings::Surroundings::find();
        validate::validate(args.settings.over(file), &around).map_err(LoadError::Invalid)
    }

    /// Whether the endpoints come from the file.
    pub const fn is_alone(&self) -> bool {
        self.control_plane.is_none()
    }

    /// What must be known before this sidecar is ready.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.upstreams.iter().map(|upstream| &upstream.service).chain(&self.subscribe)
    }
}

fn file(path: &Path) -> Result<settings::Settings, ConfigError> {
    weft_runtime::config::load(path)
}

/// The instance beside a sidecar.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// Its service.
    pub service: ServiceName,
    /// Unique a node.
    pub id: Id,
    /// The application.
    pub app: SocketAddr,
    /// What the application speaks.
    pub protocol: Protocol,
    /// How its health is found out; TCP connect by default.
    pub check: CheckSpec,
    /// Consul's tags.
    pub tags: Vec<String>,
    /// Share of the traffic.
    pub weight: u16,
    /// Where it stands.
    pub zone: String,
}

/// The part of the data directory that the sidecar itself keeps; the message broker has `mq/` beside it, with locks of its
/// own.
pub const MESH_DIR: &str = "mesh";

/// A sidecar that keeps queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct QueueHostConfig {
    /// Where AMQP clients connect.
    pub amqp: SocketAddr,
    /// The management API.
    pub management: SocketAddr,
    /// What it allows itself and its clients.
    #[serde(flatten)]
    pub limits: QueueHostLimits,
}

/// What a message broker allows itself and its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct QueueHostLimits {
    /// Publishers wait while the process uses more.
    pub memory: MemoryMark,
    /// Publishers wait while fewer bytes are free where the data is.
    pub disk_free_min: u64,
    /// Bytes of a message at most.
    pub message_bytes_max: u64,
    /// Bytes of waiting messages that each virtual host keeps in memory.
    pub waiting_bytes_max: u64,
    /// How long a delivery may wait for its acknowledgement; none is for ever.
    pub consumer_timeout: Option<Duration>,
}

/// A mark for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryMark {
    /// Of what the control group or the machine has.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

impl Default for QueueHostLimits {
    /// RabbitMQ 4's.
    fn default() -> Self {
        Self {
            memory: MemoryMark::Percent(60),
            disk_free_min: 50_000_000,
            message_bytes_max: 16 << 20,
            waiting_bytes_max: 64 << 20,
            consumer_timeout: Some(Duration::from_secs(30 * 60)),
        }
    }
}

/// A fixed local port to a service.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it goes.
    pub service: ServiceName,
    /// Port name there; empty = the first.
    pub port_name: String,
    /// Where the application connects.
    pub listen: SocketAddr,
    /// What is spoken; auto = found out.
    pub protocol: Protocol,
}

/// What becomes of an absolute URI outside the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Egress {
    /// Forwarded.
    #[default]
    Allow,
    /// `no-route`.
    Registered,
}

/// Where access records go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Lines on stdout.
    #[default]
    Stdout,
    /// Lines appended to a file.
    File(PathBuf),
}
