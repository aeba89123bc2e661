//! What runs where, as of now: fed by events, read as JSON by whoever scripts against `weft up`. It starts
//! and asks nothing.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    plan::{ProcessSpec, Role},
    process::Ports,
    supervisor::Event,
};

/// The status file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The mesh's name.
    pub mesh: String,
    /// Of `weft up`.
    pub pid: u32,
    /// Whether every replica was passing once.
    pub ready: bool,
    /// The control plane.
    pub control_plane: ControlPlaneStatus,
    /// The way in for whoever sits at the terminal.
    pub edge: EdgeStatus,
    /// In the order of their names.
    pub replicas: Vec<ReplicaStatus>,
}

/// The control plane in the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ControlPlaneStatus {
    /// `http://host:port` of its HTTP API.
    pub http: Option<String>,
    /// `http://host:port` of its gRPC.
    pub grpc: Option<String>,
    /// Its process; `None` between two runs.
    pub pid: Option<u32>,
    /// Starts after the first.
    pub restarts: u32,
}

/// The edge sidecar in the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Its HTTP proxy and outbound port, `http://host:port`.
    pub outbound: Option<String>,
    /// `http://host:port` of its admin server.
    pub admin: Option<String>,
    /// Its process; `None` between two runs.
    pub pid: Option<u32>,
}

/// One replica in the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Its service.
    pub service: String,
    /// Its id.
    pub instance: String,
    /// The sidecar's process; `None` between two runs.
    pub sidecar_pid: Option<u32>,
    /// The application's process; `None` until it runs.
    pub app_pid: Option<u32>,
    /// Where its application's calls go.
    pub outbound: Option<SocketAddr>,
    /// Where other sidecars call it.
    pub inbound: Option<SocketAddr>,
    /// Its sidecar's admin server.
    pub admin: Option<SocketAddr>,
    /// Its application.
    pub app: Option<SocketAddr>,
    /// Local ports to other services.
    pub upstreams: BTreeMap<String, SocketAddr>,
    /// Starts after the first.
    pub restarts: u32,
    /// Whether it has ended and is not started again.
    pub ended: bool,
    /// Its sidecar's directory; `access.log` is in there.
    pub data_dir: PathBuf,
}

impl Status {
    /// Of processes that are about to be started.
    pub(crate) fn new(mesh: &str, processes: &[ProcessSpec]) -> Self {
        let replicas = processes.iter().filter_map(|process| match &process.role {
            Role::Replica { service } => Some(ReplicaStatus {
                service: service.clone(),
                instance: process.name.clone(),
                data_dir: process.data_dir.clone(),
                ..ReplicaStatus::default()
            }),
            Role::ControlPlane | Role::Edge => None,
        });
        Self {
            mesh: mesh.into(),
            pid: std::process::id(),
            ready: false,
            control_plane: ControlPlaneStatus::default(),
            edge: EdgeStatus::default(),
            replicas: replicas.collect(),
        }
    }

    /// Takes an event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Up { name, pid, ports } => match self.replica(name) {
                Some(replica) => replica.up(*pid, ports),
                None if name == super::plan::EDGE => self.edge.up(*pid, ports),
                None => self.control_plane.up(*pid, ports),
            },
            Event::Application { name, pid } => {
                if let Some(replica) = self.replica(name) {
                    replica.app_pid = Some(*pid);
                }
            }
            Event::Ended { name, again_in, .. } => match self.replica(name) {
                Some(replica) => replica.down(again_in.is_some()),
                None if name == super::plan::EDGE => self.edge.pid = None,
                None => {
                    self.control_plane.pid = None;
                    self.control_plane.restarts += 1;
                }
            },
        }
    }

    fn replica(&mut self, name: &str) -> Option<&mut ReplicaStatus> {
        self.replicas.iter_mut().find(|replica| replica.instance == name)
    }
}

impl ControlPlaneStatus {
    fn up(&mut self, pid: u32, ports: &Ports) {
        self.pid = Some(pid);
        self.http = ports.http.map(url);
        self.grpc = ports.grpc.map(url);
    }
}

impl EdgeStatus {
    fn up(&mut self, pid: u32, ports: &Ports) {
        self.pid = Some(pid);
        self.outbound = ports.outbound.map(url);
        self.admin = ports.admin.map(url);
    }
}

impl ReplicaStatus {
    fn up(&mut self, pid: u32, ports: &Ports) {
        self.sidecar_pid = Some(pid);
        self.outbound = ports.outbound;
        self.inbound = ports.inbound;
        self.admin = ports.admin;
        self.app = ports.app;
        self.upstreams = ports.upstreams.clone();
    }

    const fn down(&mut self, again: bool) {
        self.sidecar_pid = None;
        self.app_pid = None;
        self.ended = !again;
        if again {
            self.restarts += 1;
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
