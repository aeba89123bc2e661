//! Who is compared. Each peer is a pure function from what it is to do to its program, arguments and files, by
//! its documented configuration; the driver writes and starts them.

mod bare;
mod envoy;
mod haproxy;
mod nginx;
mod sidecar;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{case::Case, load::Work};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum Peer {
    /// What is held against the others.
    Sidecar,
    /// With `option httplog` to a file.
    Haproxy,
    /// The same without a log.
    HaproxyNoLog,
    /// With its default access log to a file.
    Nginx,
    /// With a JSON access log to a file.
    Envoy,
    /// The floor: hyper, with nothing around it.
    Bare,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `weft-sidecar`.
    pub sidecar: PathBuf,
    /// `weft-control-plane`, which gives a sidecar its routes.
    pub control_plane: PathBuf,
    /// `bare-proxy`.
    pub bare: PathBuf,
    /// `haproxy`.
    pub haproxy: PathBuf,
    /// `nginx`.
    pub nginx: PathBuf,
    /// `envoy`.
    pub envoy: PathBuf,
}

/// What a peer is to do.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The work.
    pub case: &'a Case,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Where the endpoints answer.
    pub backend_port: u16,
    /// Where its routes come from, where it has them from somebody.
    pub rules: Option<SocketAddr>,
    /// For its files.
    pub dir: &'a Path,
}

/// How a peer is started.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// What its program takes.
    pub arguments: Vec<String>,
    /// Files that it reads, by name in its folder.
    pub files: Vec<(&'static str, String)>,
}

impl Peer {
    /// Those of a run in which nobody says otherwise.
    pub const DEFAULT: [Self; 5] = [Self::Sidecar, Self::Haproxy, Self::Nginx, Self::Envoy, Self::Bare];

    /// In tables and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "weft-sidecar",
            Self::Haproxy => "HAProxy",
            Self::HaproxyNoLog => "HAProxy without log",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
            Self::Bare => "bare hyper proxy",
        }
    }

    /// What is started.
    pub fn program(self, programs: &Programs) -> &Path {
        match self {
            Self::Sidecar => &programs.sidecar,
            Self::Haproxy | Self::HaproxyNoLog => &programs.haproxy,
            Self::Nginx => &programs.nginx,
            Self::Envoy => &programs.envoy,
            Self::Bare => &programs.bare,
        }
    }

    /// What makes the program tell its version.
    pub const fn version_argument(self) -> &'static str {
        match self {
            Self::Haproxy | Self::HaproxyNoLog | Self::Nginx => "-v",
            Self::Sidecar | Self::Envoy | Self::Bare => "--version",
        }
    }

    /// Whether it speaks HTTP/1.1 to a backend though the caller speaks HTTP/2; never for gRPC.
    pub const fn translates(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// How it is started for this work; `None` = it has no part in it.
    pub fn setup(self, site: &Site<'_>) -> Option<Setup> {
        match self {
            Self::Sidecar => Some(sidecar::setup(site)),
            Self::Haproxy => Some(haproxy::setup(site, true)),
            Self::HaproxyNoLog => Some(haproxy::setup(site, false)),
            Self::Nginx => Some(nginx::setup(site)),
            Self::Envoy => Some(envoy::setup(site)),
            Self::Bare => bare::setup(site),
        }
    }
}

impl Site<'_> {
    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn is_http2(&self) -> bool {
        matches!(self.case.work, Work::Http2 | Work::GrpcUnary | Work::GrpcStreaming)
    }
}
