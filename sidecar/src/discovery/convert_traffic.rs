//! From `weft.v1.Traffic` to the domain. What this version cannot act on in full (a oneof or enum value of a
//! newer control plane, a number out of range, a regex that is too large) is refused with the field's name, and
//! refused alone.

mod policy;
mod route;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use weft_model::{
    name::ServiceName,
    traffic::{Item, Origin, Spec, compile},
};
use weft_proto::weft::v1 as proto;

/// Why a resource is refused: the field and what is wrong with it, for people.
type Refused = String;

/// What one resource says about one service, which `name` begins with.
pub(super) fn read(name: &str, bytes: &Bytes) -> Result<Item, Refused> {
    let message = proto::Traffic::decode(bytes.clone()).map_err(|error| error.to_string())?;
    let target = service(&message.service, &message.namespace)?;
    let origin = origin(message.origin.ok_or("origin: there is none")?);
    let kind = origin.kind.to_ascii_lowercase();
    if name != format!("{target}/{kind}.{}.{}", origin.namespace, origin.name) {
        return Err("name: it is of another".to_owned());
    }
    let item = Item { origin, spec: spec(message.spec.ok_or_else(|| unknown("spec"))?)? };
    // What is known but cannot be carried out here: a regex that is larger than this version takes.
    compile::check(&item).map_err(|error| error.to_string())?;
    Ok(item)
}

fn origin(origin: proto::TrafficOrigin) -> Origin {
    Origin {
        created_ms: origin.created_ms,
        namespace: origin.namespace.into(),
        name: origin.name.into(),
        kind: origin.kind.into(),
        generation: origin.generation,
    }
}

fn spec(wire: proto::traffic::Spec) -> Result<Spec, Refused> {
    use proto::traffic::Spec as Wire;

    match wire {
        Wire::Route(wire) => route::route(wire).map(Spec::Route),
        Wire::Policy(wire) => policy::policy(wire).map(Box::new).map(Spec::Policy),
        Wire::RateLimits(wire) => each("limits", wire.limits, route::rate_limit).map(Spec::RateLimits),
    }
}

fn service(name: &str, namespace: &str) -> Result<ServiceName, Refused> {
    ServiceName::new(name, namespace).map_err(|error| format!("service: {error}"))
}

/// Nothing is set where something has to be: a newer version's sort. The empty field is the one that is being
/// read, which its reader names.
fn unknown(field: &str) -> Refused {
    format!("{field}: it is of a sort that is not known to this version")
}

/// Puts the field before the reason.
fn within(field: &str, reason: &str) -> Refused {
    if reason.starts_with(':') { format!("{field}{reason}") } else { format!("{field}.{reason}") }
}

/// Reads a list; the reason says which one it was.
fn each<W, T>(
    field: &str,
    wires: Vec<W>,
    mut read: impl FnMut(W) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let read = |(at, wire)| read(wire).map_err(|reason| within(&format!("{field}[{at}]"), &reason));
    wires.into_iter().enumerate().map(read).collect()
}

/// Reads what may be absent.
fn maybe<W, T>(
    field: &str,
    wire: Option<W>,
    read: impl FnOnce(W) -> Result<T, Refused>,
) -> Result<Option<T>, Refused> {
    wire.map(read).transpose().map_err(|reason| within(field, &reason))
}

/// `Some(None)` = never.
fn timeout(field: &str, wire: Option<proto::Timeout>) -> Result<Option<Option<Duration>>, Refused> {
    use proto::timeout::Timeout as Wire;

    let Some(wire) = wire else { return Ok(None) };
    match wire.timeout.ok_or_else(|| unknown(field))? {
        Wire::Ms(ms) => Ok(Some(Some(Duration::from_millis(ms)))),
        Wire::Never(proto::Never {}) => Ok(Some(None)),
    }
}

/// A number of fewer bits than the wire's.
fn narrow<T: TryFrom<u32>>(field: &str, number: u32) -> Result<T, Refused> {
    T::try_from(number).map_err(|_| format!("{field}: {number} is out of range"))
}
