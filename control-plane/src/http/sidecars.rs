//! The seam between the discovery streams, which know the attached sidecars, and `/v1/weft/sidecars`, which
//! shows them.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use crate::discovery;

/// Gives a snapshot of the connected sidecars.
pub trait SidecarSource: Send + Sync + 'static {
    /// In order of node and id.
    fn sidecars(&self) -> Vec<Sidecar>;

    /// How many there are.
    fn count(&self) -> usize;
}

/// One connected sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sidecar {
    /// Its node.
    pub node: String,
    /// Unique a node.
    pub id: String,
    /// What its `Attach` stream said; absent while only its discovery stream is there.
    pub attached: Option<Attached>,
    /// Whether its discovery stream is there.
    pub subscribed: bool,
    /// Whether it has acknowledged all that was sent.
    pub settled: bool,
    /// What it asked for.
    pub subscriptions: Vec<Subscription>,
    /// Resources that it refused and that still stand refused.
    pub nacks: Vec<Nack>,
}

/// What a sidecar said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attached {
    /// Of its program.
    pub version: String,
    /// Milliseconds since the epoch at the start of its process.
    pub incarnation: u64,
    /// `orders.default/<node>/<id>` of the instance that it stands beside; absent: it only carries calls out.
    pub instance: Option<String>,
    /// Where its admin server listens.
    pub admin_address: String,
    /// When its stream began (RFC 3339).
    pub since: String,
}

/// One service that a sidecar wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Subscription {
    /// `orders.default`.
    pub service: String,
    /// Over all that it holds of the service: equal for equal sets.
    pub applied_version: String,
    /// How many endpoints it holds.
    pub endpoints: usize,
}

/// One refused resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Nack {
    /// The resource's name.
    pub resource: String,
    /// Its version.
    pub version: String,
    /// The sidecar's words.
    pub reason: String,
}

impl SidecarSource for discovery::Sidecars {
    fn sidecars(&self) -> Vec<Sidecar> {
        self.list().into_iter().map(Sidecar::from).collect()
    }

    fn count(&self) -> usize {
        Self::count(self)
    }
}

impl From<discovery::SidecarView> for Sidecar {
    fn from(view: discovery::SidecarView) -> Self {
        let (node, id) = view.name.split_once('/').unwrap_or(("", &view.name));
        let nacks = view.services.iter().flat_map(|service| &service.refused).map(|refused| Nack {
            resource: refused.name.clone(),
            version: refused.version.clone(),
            reason: refused.reason.clone(),
        });
        Self {
            node: node.to_owned(),
            id: id.to_owned(),
            nacks: nacks.collect(),
            attached: view.attached.map(Attached::from),
            subscribed: view.subscribed,
            settled: view.settled,
            subscriptions: view
                .services
                .into_iter()
                .map(|service| Subscription {
                    service: service.service,
                    applied_version: service.version,
                    endpoints: service.endpoints,
                })
                .collect(),
        }
    }
}

impl From<discovery::AttachedView> for Attached {
    fn from(view: discovery::AttachedView) -> Self {
        let since = UNIX_EPOCH + Duration::from_millis(view.since_ms);
        Self {
            version: view.version,
            incarnation: view.incarnation,
            instance: (!view.instance.is_empty()).then_some(view.instance),
            admin_address: view.admin,
            since: humantime::format_rfc3339_millis(since).to_string(),
        }
    }
}
