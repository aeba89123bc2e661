//! Between the discovery machine and Envoy's messages.

use std::sync::Arc;

use prost::Message as _;
use weft_model::discovery::{Kind, Nack, Request, Response, Version};
use weft_proto::{
    ENDPOINT_TYPE_URL, REFUSALS_TYPE_URL, SERVICE_TYPE_URL, TRAFFIC_TYPE_URL, discovery as proto, weft,
};

/// Bytes of a resource's name, at most.
const NAME_BYTES_MAX: usize = 1_024;
/// Bytes of a sidecar's words about a refusal that are kept, at most.
const REASON_BYTES_MAX: usize = 512;

/// The request cannot be taken; the stream ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// A name is too long.
    #[error("a resource name of {length} bytes; at most {NAME_BYTES_MAX} are taken")]
    Name {
        /// Its length.
        length: usize,
    },
}

/// The kind behind a type URL; `None` for one that a later version may have brought up.
pub(super) fn kind(type_url: &str) -> Option<Kind> {
    match type_url {
        ENDPOINT_TYPE_URL => Some(Kind::Endpoint),
        TRAFFIC_TYPE_URL => Some(Kind::Traffic),
        SERVICE_TYPE_URL => Some(Kind::Service),
        _ => None,
    }
}

pub(super) fn request(kind: Kind, request: proto::DeltaDiscoveryRequest) -> Result<Request, WireError> {
    Ok(Request {
        kind,
        subscribe: names(request.resource_names_subscribe)?,
        unsubscribe: names(request.resource_names_unsubscribe)?,
        initial_versions: request
            .initial_resource_versions
            .into_iter()
            .map(|(held, version)| Ok((name(held)?, Version::parse(&version))))
            .collect::<Result<_, _>>()?,
        response_nonce: request.response_nonce.into(),
        error: request.error_detail.as_ref().map(nack),
    })
}

pub(super) fn response(response: Response) -> proto::DeltaDiscoveryResponse {
    let type_url = match response.kind {
        Kind::Endpoint => ENDPOINT_TYPE_URL,
        Kind::Traffic => TRAFFIC_TYPE_URL,
        Kind::Service => SERVICE_TYPE_URL,
    };
    let resources = response.resources.into_iter().map(|resource| proto::Resource {
        version: resource.version.to_string(),
        resource: Some(prost_types::Any { type_url: type_url.to_owned(), value: resource.bytes.into() }),
        name: resource.name.to_string(),
    });
    proto::DeltaDiscoveryResponse {
        system_version_info: response.version.map_or_else(String::new, |version| version.to_string()),
        resources: resources.collect(),
        type_url: type_url.to_owned(),
        nonce: response.nonce.to_string(),
        removed_resources: response.removed.iter().map(ToString::to_string).collect(),
    }
}

/// A client that names what it refuses refuses only that.
fn nack(status: &proto::Status) -> Nack {
    let details = status.details.iter().find(|detail| detail.type_url == REFUSALS_TYPE_URL);
    match details.and_then(|detail| weft::v1::Refusals::decode(detail.value.as_slice()).ok()) {
        Some(refusals) => Nack::Resources(
            refusals.resources.into_iter().map(|one| (one.name.into(), clip(&one.reason).into())).collect(),
        ),
        None => Nack::Response(clip(&status.message).into()),
    }
}

/// At most [`REASON_BYTES_MAX`] of a text that people read.
pub(super) fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default()
}

fn names(names: Vec<String>) -> Result<Vec<Arc<str>>, WireError> {
    names.into_iter().map(name).collect()
}

fn name(name: String) -> Result<Arc<str>, WireError> {
    if name.len() > NAME_BYTES_MAX { Err(WireError::Name { length: name.len() }) } else { Ok(name.into()) }
}
