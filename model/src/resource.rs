//! Resources: Kubernetes-shaped objects that say what becomes of a service's calls. It owns what they may say and
//! what that means, checked whole: every error at once, with its place and the remedy. It must not know how a
//! resource is stored, sent or applied, nor whether the services it names exist; the last is its [`status`].
//!
//! ```text
//!  YAML, JSON ─▶ Value ─parse─▶ Resource ─items─▶ (service, traffic::Item) ─▶ wire ─▶ sidecars
//!                   └─▶ Errors    └─status─▶ conditions
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use serde_json::Value;

use crate::{
    name::ServiceName,
    traffic::{Item, Origin, Spec as Said},
};

mod decode;
pub mod error;
mod filter;
mod grpc_route;
mod http_route;
mod matching;
pub mod metadata;
pub mod rate_limit_policy;
pub mod reference;
pub mod route;
pub mod service_policy;
pub mod status;
pub mod text;
mod value;

#[cfg(test)]
mod tests;

use decode::{Fields, Node, Sink};
pub use error::{Errors, FieldError, Reason};
use metadata::Metadata;
use rate_limit_policy::LimitSpec;
use route::RouteSpec;
use service_policy::PolicySpec;

/// The group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// The group of Weft's own kinds.
pub const WEFT_GROUP: &str = "weft.dev";

/// The kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Routes of HTTP requests.
    HttpRoute,
    /// Routes of gRPC calls.
    GrpcRoute,
    /// Timeouts, retries, balancing, limits and the rest.
    ServicePolicy,
    /// Token buckets.
    RateLimitPolicy,
}

/// A resource, every rule checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    kind: Kind,
    metadata: Metadata,
    spec: Spec,
}

/// What a resource says, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// Of an HTTPRoute or GRPCRoute.
    Route(RouteSpec),
    /// Of a ServicePolicy.
    Policy(Box<PolicySpec>),
    /// Of a RateLimitPolicy.
    RateLimit(LimitSpec),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HttpRoute, Self::GrpcRoute, Self::ServicePolicy, Self::RateLimitPolicy];

    /// `kind`
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::ServicePolicy => "ServicePolicy",
            Self::RateLimitPolicy => "RateLimitPolicy",
        }
    }

    /// Its name in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::HttpRoute => "httproutes",
            Self::GrpcRoute => "grpcroutes",
            Self::ServicePolicy => "servicepolicies",
            Self::RateLimitPolicy => "ratelimitpolicies",
        }
    }

    /// The API group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::HttpRoute | Self::GrpcRoute => GATEWAY_GROUP,
            Self::ServicePolicy | Self::RateLimitPolicy => WEFT_GROUP,
        }
    }

    /// The version of the group.
    pub const fn version(self) -> &'static str {
        match self {
            Self::HttpRoute | Self::GrpcRoute => "v1",
            Self::ServicePolicy | Self::RateLimitPolicy => "v1alpha1",
        }
    }

    /// `apiVersion`: group and version.
    pub fn api_version(self) -> String {
        format!("{}/{}", self.group(), self.version())
    }
}

impl FromStr for Kind {
    type Err = String;

    /// By kind or plural, in any case, as people type it: `httproute`, `HTTPRoutes`.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_it = |kind: &Self| {
            text.eq_ignore_ascii_case(kind.as_str()) || text.eq_ignore_ascii_case(kind.plural())
        };
        Self::ALL.into_iter().find(is_it).ok_or_else(|| {
            let known = Self::ALL.map(Self::plural).join(", ");
            format!("`{}` is no kind of resource: give one of {known}", error::clip(text))
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Resource {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its metadata.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What it says.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The services whose calls it is about, each once: a route's parents, a policy's targets.
    pub fn targets(&self) -> Vec<ServiceName> {
        match &self.spec {
            Spec::Route(route) => route.routes().into_iter().map(|(service, _)| service).collect(),
            Spec::Policy(policy) => policy.targets().to_vec(),
            Spec::RateLimit(policy) => policy.targets().to_vec(),
        }
    }

    /// What it says about each of its targets, for a sidecar.
    pub fn items(&self) -> Vec<(ServiceName, Item)> {
        let origin = self.origin();
        let item = |said| Item { origin: origin.clone(), spec: said };
        let for_each = |targets: &[ServiceName], said: &Said| {
            targets.iter().map(|service| (service.clone(), item(said.clone()))).collect()
        };
        match &self.spec {
            Spec::Route(route) => {
                let routes = route.routes().into_iter();
                routes.map(|(service, route)| (service, item(Said::Route(route)))).collect()
            }
            Spec::Policy(policy) => {
                for_each(policy.targets(), &Said::Policy(Box::new(policy.patch().clone())))
            }
            Spec::RateLimit(policy) => {
                for_each(policy.targets(), &Said::RateLimits(policy.limits().to_vec()))
            }
        }
    }

    /// What is allowed but more often a slip: for a person to read.
    pub fn warnings(&self) -> Vec<FieldError> {
        match &self.spec {
            Spec::Route(route) => route.warnings(),
            Spec::Policy(_) | Spec::RateLimit(_) => Vec::new(),
        }
    }

    /// Whose word it is, for its order among others.
    pub fn origin(&self) -> Origin {
        Origin {
            created_ms: self.metadata.created_ms,
            namespace: self.metadata.namespace.as_str().into(),
            name: Arc::clone(&self.metadata.name),
            kind: self.kind.as_str().into(),
            generation: self.metadata.generation,
        }
    }
}

/// A resource from its JSON.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(value: &Value) -> Result<Resource, Errors> {
    let sink = Sink::default();
    let read = Node::root(value, &sink).object(resource);
    sink.finish(read)
}

fn resource(fields: &mut Fields<'_>) -> Option<Resource> {
    let kind = kind(fields);
    let metadata = fields.required("metadata", metadata::read);
    // What the control plane reports; nobody writes it.
    fields.pass_over("status");
    let namespace = match &metadata {
        Some(metadata) => metadata.namespace.clone(),
        // The errors are noted; any namespace lets the spec be read.
        None => crate::name::DEFAULT_NAMESPACE.parse().ok()?,
    };
    let Some(kind) = kind else {
        // Of which kind its fields are is not known.
        fields.pass_over("spec");
        return None;
    };
    let spec = fields.required("spec", |node| match kind {
        Kind::HttpRoute => http_route::read(node, &namespace).map(Spec::Route),
        Kind::GrpcRoute => grpc_route::read(node, &namespace).map(Spec::Route),
        Kind::ServicePolicy => {
            service_policy::read(node, &namespace).map(|policy| Spec::Policy(Box::new(policy)))
        }
        Kind::RateLimitPolicy => rate_limit_policy::read(node, &namespace).map(Spec::RateLimit),
    });
    Some(Resource { kind, metadata: metadata?, spec: spec? })
}

/// `apiVersion` and `kind` together.
fn kind(fields: &mut Fields<'_>) -> Option<Kind> {
    let version = fields.required("apiVersion", |node| node.text().map(str::to_owned));
    let kind = fields.required("kind", |node| {
        let words = Kind::ALL.map(|kind| (kind.as_str(), kind));
        node.one_of(&words)
    })?;
    let version = version?;
    if version != kind.api_version() {
        let version = error::clip(&version);
        let message = format!("`{version}` has no {kind} here: write `{}`", kind.api_version());
        fields.fail("apiVersion", Reason::NotSupported, message);
        return None;
    }
    Some(kind)
}
