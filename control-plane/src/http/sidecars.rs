//! The seam between the discovery streams, which know the attached sidecars, and `/v1/weft/sidecars`, which
//! shows them.

use serde::Serialize;
use utoipa::ToSchema;
use weft_model::discovery::{Standing, Version};

/// Gives a snapshot of the attached sidecars.
pub trait SidecarSource: Send + Sync + 'static {
    /// In order of node and id.
    fn sidecars(&self) -> Vec<Sidecar>;

    /// How each sidecar that subscribes to it stands to a version of a resource about a service's calls; by
    /// `node/id`.
    fn standings(&self, name: &str, version: Version) -> Vec<(String, Standing)>;

    /// How many there are.
    fn count(&self) -> usize {
        self.sidecars().len()
    }
}

/// One attached sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sidecar {
    /// Its node.
    pub node: String,
    /// Unique a node.
    pub id: String,
    /// Of its program.
    pub version: String,
    /// Milliseconds since the epoch at the start of its process.
    pub incarnation: u64,
    /// `orders.default/<node>/<id>` of the instance that it stands beside; absent: it only carries calls out.
    pub instance: Option<String>,
    /// Where its admin server listens.
    pub admin_address: String,
    /// When its stream began (RFC 3339).
    pub attached_since: String,
    /// What it asked for.
    pub subscriptions: Vec<Subscription>,
    /// Resources that it refused and that still stand refused.
    pub nacks: Vec<Nack>,
}

/// One service that a sidecar wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Subscription {
    /// `orders.default`.
    pub service: String,
    /// Version of the Service resource that it acknowledged; empty = none yet.
    pub applied_version: String,
    /// Endpoint resources that it acknowledged.
    pub endpoints: u64,
    /// False while something newer is on its way or unacknowledged.
    pub settled: bool,
}

/// One refused resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Nack {
    /// The resource's name.
    pub resource: String,
    /// Why.
    pub reason: String,
}
