//! Flags, file and environment of the sidecar, parsed into one validated value. Nothing downstream checks
//! again.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use weft_model::{
    check::CheckSpec,
    endpoint::{Endpoint, Protocol},
    name::{Id, Label, ServiceName},
};

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
    /// Where the application's calls come in.
    pub outbound: SocketAddr,
    /// Where other sidecars' calls come in.
    pub inbound: SocketAddr,
    /// What others are told to dial; `None` = the inbound address or the one used towards the control plane.
    pub advertise: Option<SocketAddr>,
    /// `/live`, `/ready`, `/metrics`, `/config_dump`.
    pub admin: SocketAddr,
    /// For the snapshot.
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
    /// Timeouts, retries, balancing: the defaults for every service.
    pub policy: weft_model::policy::Policy,
    /// The wrapped command, if any.
    pub command: Vec<String>,
    /// `PORT` is not set by this; the proxy variables are not either with `--no-proxy-env`.
    pub proxy_env: bool,
    /// How long a stop waits for requests; 20 s by default.
    pub drain_timeout: Duration,
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
    /// JSON lines on stdout.
    #[default]
    Stdout,
    /// JSON lines appended to a file.
    File(PathBuf),
}
