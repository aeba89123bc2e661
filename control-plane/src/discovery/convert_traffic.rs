//! From what a resource says about a service's calls to `weft.v1.Traffic`. The reader is the sidecar's
//! `discovery::convert_traffic`; what one writes the other reads, field by field.

mod policy;
mod route;
#[cfg(test)]
mod tests;

use std::time::Duration;

use prost::Message as _;
use weft_model::{
    discovery::Resource,
    name::ServiceName,
    traffic::{Item, Origin, Spec},
};
use weft_proto::weft::v1 as proto;

/// The discovery resource of what one resource of a user says about one service. The version depends on nothing
/// but the item, so it is the same at every control plane.
pub(crate) fn resource(target: &ServiceName, item: &Item) -> Resource {
    let message = proto::Traffic {
        service: target.name.to_string(),
        namespace: target.namespace.to_string(),
        origin: Some(origin(&item.origin)),
        spec: Some(spec(&item.spec)),
    };
    Resource::new(name(target, &item.origin), message.encode_to_vec().into())
}

/// `orders.default/httproute.<namespace>.<name>`.
fn name(target: &ServiceName, origin: &Origin) -> String {
    format!("{target}/{}.{}.{}", origin.kind.to_ascii_lowercase(), origin.namespace, origin.name)
}

fn origin(origin: &Origin) -> proto::TrafficOrigin {
    proto::TrafficOrigin {
        created_ms: origin.created_ms,
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        kind: origin.kind.to_string(),
        generation: origin.generation,
    }
}

fn spec(spec: &Spec) -> proto::traffic::Spec {
    use proto::traffic::Spec as Wire;

    match spec {
        Spec::Route(route) => Wire::Route(route::route(route)),
        Spec::Policy(patch) => Wire::Policy(policy::policy(patch)),
        Spec::RateLimits(limits) => {
            Wire::RateLimits(proto::RateLimits { limits: limits.iter().map(route::rate_limit).collect() })
        }
    }
}

/// `Some(None)` = never.
fn timeout(timeout: Option<Option<Duration>>) -> Option<proto::Timeout> {
    use proto::timeout::Timeout as Wire;

    let wire = timeout?.map_or(Wire::Never(proto::Never {}), |time| Wire::Ms(millis(time)));
    Some(proto::Timeout { timeout: Some(wire) })
}

/// Whole milliseconds; what is shorter than one is one, because 0 would say something else.
fn millis(time: Duration) -> u64 {
    let whole = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if time.is_zero() { 0 } else { whole.max(1) }
}
