//! What a Kubernetes client asks before anything else: which groups, versions and kinds there are.

use axum::extract::Path;
use serde_json::{Value, json};
use weft_model::resource::{GATEWAY_GROUP, Kind, WEFT_GROUP};

use super::failure::Failure;
use crate::http::reply::Reply;

/// Short names, as `kubectl` and `weft get` take them.
const fn short_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HttpRoute => &["hr"],
        Kind::GrpcRoute => &["gr"],
        Kind::ServicePolicy => &["sp"],
        Kind::RateLimitPolicy => &["rlp"],
    }
}

/// GET of `/api`: the core group has no kinds here.
pub(crate) async fn core_versions() -> Reply<Value> {
    Reply::of(json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }))
}

/// GET of `/api/v1`.
pub(crate) async fn core() -> Reply<Value> {
    Reply::of(json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [] }))
}

/// GET of `/apis`.
pub(crate) async fn groups() -> Reply<Value> {
    let groups = [GATEWAY_GROUP, WEFT_GROUP].map(describe);
    Reply::of(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
}

/// GET of `/apis/<group>`.
pub(crate) async fn group(Path(name): Path<String>) -> Result<Reply<Value>, Failure> {
    let mut described = [GATEWAY_GROUP, WEFT_GROUP]
        .into_iter()
        .find(|group| *group == name)
        .map(describe)
        .ok_or_else(|| Failure::unknown_kind(&name, "", ""))?;
    if let Some(fields) = described.as_object_mut() {
        fields.insert("kind".to_owned(), json!("APIGroup"));
        fields.insert("apiVersion".to_owned(), json!("v1"));
    }
    Ok(Reply::of(described))
}

/// GET of `/apis/<group>/<version>`: its kinds.
pub(crate) async fn discovery(
    Path((group, version)): Path<(String, String)>,
) -> Result<Reply<Value>, Failure> {
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.group() == group && kind.version() == version);
    let resources: Vec<Value> = kinds
        .map(|kind| {
            json!({
                "name": kind.plural(),
                "singularName": kind.as_str().to_ascii_lowercase(),
                "namespaced": true,
                "kind": kind.as_str(),
                "verbs": ["create", "delete", "get", "list", "update"],
                "shortNames": short_names(kind),
                "categories": ["weft"],
            })
        })
        .collect();
    if resources.is_empty() {
        return Err(Failure::unknown_kind(&group, &version, ""));
    }
    let list = json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{group}/{version}"),
        "resources": resources,
    });
    Ok(Reply::of(list))
}

fn describe(group: &str) -> Value {
    let version = Kind::ALL.into_iter().find(|kind| kind.group() == group).map_or("v1", Kind::version);
    let version = json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    json!({ "name": group, "versions": [version], "preferredVersion": version })
}
