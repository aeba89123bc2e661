//! Discovery without IO: what is subscribed, sent, acknowledged and refused, for both ends of a stream. The
//! wire is Envoy's aggregated discovery service, mostly its delta variant (envoyproxy.io, "xDS REST and gRPC
//! protocol"); the machines know neither protobuf nor gRPC, and no clock.
//!
//! ```text
//!  snapshot ──▶ Server::poll ──Response──▶ Client::on_response ──▶ changed services ──▶ table
//!                   ▲                              │
//!                   └── Server::on_request ◀─Request┘ (Client::poll)
//! ```
//!
//! A service's resources are its *group*: the endpoints `orders.default/<node>/<id>`, subscribed as
//! `orders.default/*`; what is said about its calls, `orders.default/<kind>.<namespace>.<name>`, likewise; and
//! the service `orders.default` itself, sent last because it closes the set.
//!
//! A client or server of the version before knows no [`Kind::Traffic`]: what it does not subscribe is not sent,
//! and what is not answered is not waited for.

mod client;
mod per_kind;
mod server;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use bytes::Bytes;

pub use client::{Client, ClientError, Holding, Presence};
pub use server::{Mode, Refusal, Server, ServerError, Standing, SubscriptionView, WorldRequest};
pub use version::{Digest, Version};

/// What the name of a group ends with in a subscription to all of its resources.
pub const PATTERN_SUFFIX: &str = "/*";
/// Names a stream subscribes to, at most, of each kind.
pub const NAMES_MAX: usize = 10_000;
/// Resources of each kind that a stream's client may hold or claim to hold, at most: twice what a registry
/// takes.
pub const HELD_MAX: usize = 200_000;

/// A type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One instance: `orders.default/<node>/<id>`.
    Endpoint,
    /// What one resource says about a service's calls: `orders.default/<kind>.<namespace>.<name>`.
    Traffic,
    /// `orders.default`: closes the set of its endpoints and traffic.
    Service,
}

impl Kind {
    /// In the order in which a stream carries them: what closes a set comes last.
    pub const ORDER: [Self; 3] = [Self::Endpoint, Self::Traffic, Self::Service];
}

/// One resource as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Unique a kind.
    pub name: Arc<str>,
    /// Hash of the bytes.
    pub version: Version,
    /// The encoded resource.
    pub bytes: Bytes,
}

impl Resource {
    /// With the version that its bytes give.
    pub fn new(name: impl Into<Arc<str>>, bytes: Bytes) -> Self {
        Self { name: name.into(), version: Version::of(&bytes), bytes }
    }
}

/// All resources of one kind in one group, immutable; two pointers to one value mean "nothing changed".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    resources: Vec<Resource>,
}

impl Group {
    /// From resources in any order; of two with one name, the later counts.
    pub fn new(mut resources: Vec<Resource>) -> Self {
        resources.reverse();
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        resources.dedup_by(|a, b| a.name == b.name);
        Self { resources }
    }

    /// In the order of their names.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// One resource by name.
    pub fn find(&self, name: &str) -> Option<&Resource> {
        let at = self.resources.binary_search_by(|resource| (*resource.name).cmp(name)).ok()?;
        self.resources.get(at)
    }
}

/// The world at one moment, as the server diffs against it.
pub trait Snapshot {
    /// The resources of a kind in a group; `None` when there is no such group.
    fn group(&self, kind: Kind, group: &str) -> Option<&Arc<Group>>;
}

/// From client to server: subscription changes, an acknowledgement, or both. The acknowledgement is read
/// first, then what is unsubscribed, then what is subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is about.
    pub kind: Kind,
    /// Names and patterns. Subscribing again means: forget what you believe of me, take `initial_versions`.
    pub subscribe: Vec<Arc<str>>,
    /// Names and patterns.
    pub unsubscribe: Vec<Arc<str>>,
    /// What the client holds of the names in `subscribe`.
    pub initial_versions: Vec<(Arc<str>, Version)>,
    /// The response that this answers; empty in a spontaneous request.
    pub response_nonce: Arc<str>,
    /// Present when something in that response was refused.
    pub error: Option<Nack>,
}

/// What a client refuses of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nack {
    /// These resources, each with its reason; the others are applied.
    Resources(Vec<(Arc<str>, Arc<str>)>),
    /// All that the response brought, for this reason (a client that doesn't name resources).
    Response(Arc<str>),
}

/// From server to client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What it is about.
    pub kind: Kind,
    /// New or changed; in state-of-the-world mode, all there is.
    pub resources: Vec<Resource>,
    /// Gone, or never there.
    pub removed: Vec<Arc<str>>,
    /// To be echoed.
    pub nonce: Arc<str>,
    /// In state-of-the-world mode, over all that it holds.
    pub version: Option<Digest>,
}

/// Reads resources. What it refuses is refused alone; the reason goes to the server.
pub trait Decode {
    /// A decoded endpoint.
    type Endpoint: std::fmt::Debug;
    /// What was decoded of a resource about a service's calls.
    type Traffic: std::fmt::Debug;

    /// Reads an endpoint's resource.
    ///
    /// # Errors
    /// The reason, for people: names the field.
    fn endpoint(&self, name: &str, bytes: &Bytes) -> Result<Self::Endpoint, String>;

    /// Reads what a resource says about a service's calls.
    ///
    /// # Errors
    /// The reason, for people: names the field.
    fn traffic(&self, name: &str, bytes: &Bytes) -> Result<Self::Traffic, String>;

    /// Reads a service's resource.
    ///
    /// # Errors
    /// The reason, for people: names the field.
    fn service(&self, name: &str, bytes: &Bytes) -> Result<(), String>;
}

/// A service as it was kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// `orders.default`.
    pub service: Resource,
    /// All of its endpoints.
    pub endpoints: Vec<Resource>,
    /// All that is said about its calls.
    pub traffic: Vec<Resource>,
}

/// The group that a resource or subscription belongs to: all before the first `/`.
pub fn group_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(group, _)| group)
}
