//! Between the discovery machine and Envoy's messages, the sidecar's side.

use prost::Message as _;
use weft_model::discovery::{Kind, Nack, Request, Resource, Response, Version};
use weft_proto::{
    ENDPOINT_TYPE_URL, REFUSALS_TYPE_URL, SERVICE_TYPE_URL, TRAFFIC_TYPE_URL, discovery as proto,
    weft::v1::{Refusal, Refusals},
};

/// `google.rpc.Code.INVALID_ARGUMENT`, as a NACK carries it.
const INVALID_ARGUMENT: i32 = 3;

pub(super) fn request(request: Request, node: &proto::Node) -> proto::DeltaDiscoveryRequest {
    let text = |names: Vec<std::sync::Arc<str>>| names.iter().map(ToString::to_string).collect();
    let versions = request.initial_versions.iter();
    proto::DeltaDiscoveryRequest {
        node: Some(node.clone()),
        type_url: type_url(request.kind).to_owned(),
        resource_names_subscribe: text(request.subscribe),
        resource_names_unsubscribe: text(request.unsubscribe),
        initial_resource_versions: versions
            .map(|(name, version)| (name.to_string(), version.to_string()))
            .collect(),
        response_nonce: request.response_nonce.to_string(),
        error_detail: request.error.map(status),
    }
}

/// `None` for a type that this version does not know.
pub(super) fn response(response: proto::DeltaDiscoveryResponse) -> Option<Response> {
    let kind = match response.type_url.as_str() {
        ENDPOINT_TYPE_URL => Kind::Endpoint,
        TRAFFIC_TYPE_URL => Kind::Traffic,
        SERVICE_TYPE_URL => Kind::Service,
        _ => return None,
    };
    let resources = response.resources.into_iter().map(|resource| Resource {
        name: resource.name.into(),
        version: Version::parse(&resource.version),
        bytes: resource.resource.map(|any| any.value).unwrap_or_default().into(),
    });
    Some(Response {
        kind,
        resources: resources.collect(),
        removed: response.removed_resources.into_iter().map(Into::into).collect(),
        nonce: response.nonce.into(),
        version: None,
    })
}

const fn type_url(kind: Kind) -> &'static str {
    match kind {
        Kind::Endpoint => ENDPOINT_TYPE_URL,
        Kind::Traffic => TRAFFIC_TYPE_URL,
        Kind::Service => SERVICE_TYPE_URL,
    }
}

/// The message is for people who read the control plane's log; the details are what it acts on.
fn status(nack: Nack) -> proto::Status {
    let refused = match nack {
        Nack::Response(reason) => {
            return proto::Status {
                code: INVALID_ARGUMENT,
                message: reason.to_string(),
                details: Vec::new(),
            };
        }
        Nack::Resources(refused) => refused,
    };
    let resources: Vec<Refusal> = refused
        .iter()
        .map(|(name, reason)| Refusal { name: name.to_string(), reason: reason.to_string() })
        .collect();
    let message: Vec<String> =
        resources.iter().map(|refusal| format!("{}: {}", refusal.name, refusal.reason)).collect();
    let details = prost_types::Any {
        type_url: REFUSALS_TYPE_URL.to_owned(),
        value: Refusals { resources }.encode_to_vec(),
    };
    proto::Status { code: INVALID_ARGUMENT, message: message.join("; "), details: vec![details] }
}
