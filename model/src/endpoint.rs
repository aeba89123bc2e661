//! Endpoints: where one instance can be called, and whether it should be. Outbound decides from this alone.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::name::InstanceKey;

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Found out from the first bytes.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC, so HTTP/2.
    Grpc,
    /// Bytes.
    Tcp,
    /// AMQP 0-9-1.
    Amqp,
}

/// A text is none of the protocols.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol: give auto, http, http2, grpc, tcp or amqp")]
pub struct ProtocolError(pub String);

impl Protocol {
    /// The name in files, flags and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
            Self::Amqp => "amqp",
        }
    }

    /// What an application beside a sidecar may be said to speak: the name amqp is taken, and nothing carries it
    /// before there is messaging.
    ///
    /// # Errors
    /// For amqp, with what to give instead.
    pub fn of_application(self) -> Result<Self, String> {
        match self {
            Self::Amqp => Err("`amqp` comes with messaging, which is not there yet: give tcp".into()),
            other => Ok(other),
        }
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        [Self::Auto, Self::Http, Self::Http2, Self::Grpc, Self::Tcp, Self::Amqp]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| ProtocolError(text.chars().take(32).collect()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A named port of an instance. The first of an instance is Consul's `Port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Port {
    /// A DNS label, or empty for the only port.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// 1 to 65535; 0 where Consul gave none.
    pub port: u16,
}

/// Whether an instance should be called (Consul's three states). Worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All checks pass.
    Passing,
    /// Called like a passing one; a person should look.
    Warning,
    /// Not called.
    #[default]
    Critical,
}

impl Health {
    /// Consul's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Whether requests go there.
    pub const fn is_callable(self) -> bool {
        !matches!(self, Self::Critical)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a connection between sidecars is encrypted. Filled by the identities' issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Plain.
    #[default]
    Off,
    /// Offered.
    Accepted,
    /// Nothing else is taken.
    Required,
}

/// How to get to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HopTarget {
    /// No sidecar: dialled plainly at the endpoint's own address and port.
    Direct,
    /// Through the instance's sidecar: a hop header opens the connection.
    Sidecar {
        /// Its inbound listener.
        address: SocketAddr,
        /// Version of the hop header it reads; 1.
        hop_version: u32,
        /// Its SPIFFE id; empty until identities exist.
        identity: String,
        /// Whether it wants TLS.
        tls: TlsMode,
    },
}

/// One instance as callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Who it is.
    pub key: InstanceKey,
    /// The application's IP address or host name.
    pub address: String,
    /// At least one.
    pub ports: Vec<Port>,
    /// Whether to call it.
    pub health: Health,
    /// Why it is not passing.
    pub reason: String,
    /// Share of the traffic, 1 by default.
    pub weight: u16,
    /// Where it stands; empty = unknown.
    pub zone: String,
    /// How to get there.
    pub hop: HopTarget,
    /// Consul's tags.
    pub tags: Vec<String>,
}

impl Endpoint {
    /// The port by that name, or the first for an empty name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        if name.is_empty() { self.ports.first() } else { self.ports.iter().find(|port| port.name == name) }
    }
}
