//! What is said about the calls of one service, as plain values: routes, policy, rate limits. The control plane
//! makes them from resources (names resolved, defaults filled in, everything checked); a sidecar compiles them
//! once a change and decides by lookup. It must not know YAML, protobuf or HTTP's types.
//!
//! ```text
//!  HTTPRoute, GRPCRoute ─┐
//!  ServicePolicy ────────┼─▶ Item, one a resource ─▶ wire ─▶ Item ─▶ Traffic of a service ─▶ compiled, in the table
//!  RateLimitPolicy ──────┘
//! ```

pub mod compile;
mod index;
pub mod limit;
mod matching;
pub mod pattern;
mod precedence;
mod query;
pub mod rewrite;
mod scope;
pub mod split;
pub mod view;

use std::{cmp::Ordering, fmt, sync::Arc, time::Duration};

use crate::{name::ServiceName, policy::patch::PolicyPatch};

/// What one resource says about one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Whose word it is.
    pub origin: Origin,
    /// What it says.
    pub spec: Spec,
}

/// The resource behind an item. Items are ordered by age, then by `namespace/name`, as the Gateway API orders
/// routes that match alike: the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Of the resource.
    pub namespace: Arc<str>,
    /// Of the resource.
    pub name: Arc<str>,
    /// `HTTPRoute`, `GRPCRoute`, `ServicePolicy` or `RateLimitPolicy`.
    pub kind: Arc<str>,
    /// Its generation.
    pub generation: u64,
}

/// See [`Item`].
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// An HTTPRoute or GRPCRoute.
    Route(Route),
    /// A ServicePolicy: what it says over the sidecar's own policy. Of several the oldest counts.
    Policy(Box<PolicyPatch>),
    /// A RateLimitPolicy: a request needs a token of each that it matches.
    RateLimits(Vec<RateLimit>),
}

/// The rules of one route for one parent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    /// Only calls to these ports of the service (`port` or `sectionName` of the parents); empty = any.
    pub ports: Vec<PortRef>,
    /// In the order of the resource.
    pub rules: Vec<Rule>,
}

/// A port of a service: by number, as Kubernetes does, or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PortRef {
    /// `8080`
    Number(u16),
    /// `grpc`
    Name(Box<str>),
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What is done with requests that match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    /// For people and for the metrics' `route` label; empty = `<route>/<index>`.
    pub name: Box<str>,
    /// Any of them; empty = every request.
    pub matches: Vec<Match>,
    /// In this order.
    pub filters: Vec<Filter>,
    /// By weight; empty = the parent service itself.
    pub backends: Vec<Backend>,
    /// `timeouts.request`: over all attempts; `Some(None)` = never (the Gateway API's `0s`).
    pub request_timeout: Option<Option<Duration>>,
    /// `timeouts.backendRequest`: of one attempt.
    pub backend_timeout: Option<Option<Duration>>,
    /// Over the policy's.
    pub retry: Option<RuleRetry>,
}

/// `retry` of a rule (GEP-1731).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleRetry {
    /// Statuses that are tried again, beyond what is always safe.
    pub statuses: Vec<u16>,
    /// Attempts after the first.
    pub attempts: Option<u32>,
    /// The least wait between two.
    pub backoff: Option<Duration>,
}

/// All of it has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// `None` = every path.
    pub path: Option<PathMatch>,
    /// In capitals, as in `GET`.
    pub method: Option<Box<str>>,
    /// Each has to hold; names are lower-case.
    pub headers: Vec<ValueMatch>,
    /// Each has to hold; of a repeated parameter the first counts.
    pub query: Vec<ValueMatch>,
}

/// On the path, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// Byte for byte.
    Exact(Box<str>),
    /// By whole segments: `/a` matches `/a` and `/a/b`, not `/ab`.
    Prefix(Box<str>),
    /// The whole path; a text that `regex` compiles.
    Regex(Box<str>),
    /// A GRPCRoute's: on a path `/<service>/<method>`, neither part empty.
    Grpc(GrpcMethod),
}

/// On the two parts of a gRPC path; `None` = any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcMethod {
    /// `package.Service`.
    pub service: Option<ValuePattern>,
    /// `Method`.
    pub method: Option<ValuePattern>,
}

/// On a header or query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueMatch {
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: ValuePattern,
}

/// See [`ValueMatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValuePattern {
    /// Byte for byte.
    Exact(Box<str>),
    /// The whole value; a text that `regex` compiles.
    Regex(Box<str>),
}

/// What a rule does to a request or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// On the way there.
    RequestHeaders(HeaderEdit),
    /// On the way back.
    ResponseHeaders(HeaderEdit),
    /// Answers with a redirect; no backend is called.
    Redirect(Redirect),
    /// Sends on with another host or path.
    Rewrite(Rewrite),
    /// Sends a copy, whose answer nobody hears.
    Mirror(Mirror),
}

/// Set, then add, then remove; names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdit {
    /// Replaces all values.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// One more value.
    pub add: Vec<(Box<str>, Box<str>)>,
    /// All values.
    pub remove: Vec<Box<str>>,
}

/// What is not given stays as in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Box<str>>,
    /// The host.
    pub host: Option<Box<str>>,
    /// The path.
    pub path: Option<PathEdit>,
    /// The port.
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// What is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// The Host header or `:authority`.
    pub host: Option<Box<str>>,
    /// The path.
    pub path: Option<PathEdit>,
}

/// Another path; the query stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEdit {
    /// This one.
    Full(Box<str>),
    /// This in place of the prefix that matched.
    Prefix(Box<str>),
}

/// A copy of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Where it goes.
    pub backend: BackendRef,
    /// Share of the requests: numerator and denominator (`percent` = n/100).
    pub fraction: (u32, u32),
}

/// One of a rule's backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Where it goes.
    pub target: BackendRef,
    /// Its share: its weight of the sum of all; 0 = none.
    pub weight: u32,
    /// After the rule's own.
    pub filters: Vec<Filter>,
}

/// A service and a port of it. A service that does not exist answers its share with 500, as the Gateway API
/// says of an invalid reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BackendRef {
    /// Its name.
    pub service: ServiceName,
    /// `None` = its first port.
    pub port: Option<PortRef>,
}

/// A token bucket a key, at each sidecar that calls the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Only requests that match one of these; empty = all.
    pub matches: Vec<Match>,
    /// Only requests of the rule with this name; `None` = any.
    pub route: Option<Box<str>>,
    /// What tells one bucket from another; empty = one bucket for all.
    pub by: Vec<RateKey>,
    /// Tokens that flow back in `per`.
    pub requests: u32,
    /// See `requests`.
    pub per: Duration,
    /// What a full bucket holds; at least 1.
    pub burst: u32,
}

/// See [`RateLimit::by`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A header's value; a request without it has a bucket of its own. Lower-case.
    Header(Box<str>),
    /// The caller's IP address.
    SourceAddress,
    /// The name of the rule that matched.
    Route,
}

impl Ord for Origin {
    fn cmp(&self, other: &Self) -> Ordering {
        // As one text, in which a hyphen sorts before the slash: not namespace first, name second.
        let path = |origin: &Self| [&*origin.namespace, "/", &*origin.name].concat();
        let by_age = self.created_ms.cmp(&other.created_ms);
        by_age
            .then_with(|| path(self).cmp(&path(other)))
            .then_with(|| (&self.kind, self.generation).cmp(&(&other.kind, other.generation)))
    }
}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Everything said about one service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// In the order of [`Origin`].
    pub items: Vec<Item>,
}

impl Traffic {
    /// From items in any order.
    pub fn new(mut items: Vec<Item>) -> Self {
        items.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self { items }
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = (&Origin, &Route)> {
        self.items.iter().filter_map(|item| match &item.spec {
            Spec::Route(route) => Some((&item.origin, route)),
            Spec::Policy(_) | Spec::RateLimits(_) => None,
        })
    }

    /// Whether some route is for certain ports only.
    pub fn has_ports(&self) -> bool {
        self.routes().any(|(_, route)| !route.ports.is_empty())
    }

    /// Every rate limit, with its policy and its place there.
    pub fn rate_limits(&self) -> impl Iterator<Item = (&Origin, usize, &RateLimit)> {
        let policies = self.items.iter().filter_map(|item| match &item.spec {
            Spec::RateLimits(limits) => Some((&item.origin, limits)),
            Spec::Policy(_) | Spec::Route(_) => None,
        });
        policies.flat_map(|(origin, limits)| {
            limits.iter().enumerate().map(move |(place, limit)| (origin, place, limit))
        })
    }

    /// What the ServicePolicy that counts says: the oldest one's.
    pub fn policy(&self) -> Option<&PolicyPatch> {
        self.items.iter().find_map(|item| match &item.spec {
            Spec::Policy(patch) => Some(&**patch),
            Spec::Route(_) | Spec::RateLimits(_) => None,
        })
    }
}
