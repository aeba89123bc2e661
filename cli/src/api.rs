//! The paths and shapes of the control plane's HTTP API that the command line uses: Consul's KV and health,
//! and the views of `/v1/weft`. Fields that are not shown are not listed; unknown ones are skipped, because
//! control plane and tool may be one version apart.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Client, ClientError, REQUEST_TIMEOUT, encode};

/// How long one blocking query waits before it is asked again.
const WATCH_WAIT: Duration = Duration::from_mins(1);

/// `/v1/weft/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ControlPlane {
    /// Of the program.
    pub version: String,
    /// Of the store.
    pub store_id: String,
    /// Of the store.
    pub revision: u64,
    /// Since its start.
    pub uptime_seconds: u64,
    /// How many there are.
    pub counts: Counts,
}

/// How many there are of each kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counts {
    /// Services.
    pub services: usize,
    /// Instances of all services.
    pub instances: usize,
    /// Those that pass.
    pub passing: usize,
    /// Attached sidecars.
    pub sidecars: usize,
}

/// One of `/v1/weft/services`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// `orders.default`.
    pub service: String,
    /// All of it.
    pub instances: usize,
    /// Called.
    pub passing: usize,
    /// Called; a person should look.
    pub warning: usize,
    /// Not called.
    pub critical: usize,
}

/// `/v1/weft/endpoints/{service}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// `orders.default`.
    pub service: String,
    /// Of the catalog.
    pub revision: u64,
    /// In the order of node and id.
    pub endpoints: Vec<Endpoint>,
}

/// One instance as callers see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it is registered.
    pub node: String,
    /// Unique a node.
    pub id: String,
    /// Of the application.
    pub address: String,
    /// The first is Consul's.
    pub ports: Vec<Port>,
    /// `passing`, `warning` or `critical`.
    pub health: String,
    /// Why it is not passing.
    pub reason: String,
    /// RFC 3339.
    pub since: String,
    /// Where it stands.
    pub zone: String,
    /// Share of the traffic.
    pub weight: u16,
    /// How it is reached.
    pub hop: Hop,
    /// `attach`, `agent` or `catalog`.
    pub origin: String,
    /// Consul's tags.
    pub tags: Vec<String>,
}

/// A named port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Port {
    /// Empty for the only one.
    pub name: String,
    /// What is spoken.
    pub protocol: String,
    /// Its number.
    pub port: u16,
}

/// How an instance is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hop {
    /// `direct` or `sidecar`.
    pub kind: String,
    /// The sidecar's inbound listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A pair of the KV store, as Consul shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pair {
    /// Its key.
    pub key: String,
    /// In base64; absent = empty.
    pub value: Option<String>,
    /// Free for its writers.
    pub flags: u64,
    /// Revision at which it came.
    pub create_index: u64,
    /// Revision of the last write.
    pub modify_index: u64,
}

/// Pairs at one moment.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// `None` = there are none.
    pub pairs: Option<Vec<Pair>>,
    /// What a watch continues from.
    pub index: u64,
}

impl Pair {
    /// The value.
    pub fn bytes(&self) -> Bytes {
        let decoded = self.value.as_deref().and_then(|text| STANDARD.decode(text).ok());
        decoded.unwrap_or_default().into()
    }
}

/// The control plane in brief.
///
/// # Errors
/// See [`ClientError`].
pub async fn status(client: &Client) -> Result<Option<ControlPlane>, ClientError> {
    client.json(&client.get("/v1/weft/status", REQUEST_TIMEOUT).await?)
}

/// All services.
///
/// # Errors
/// See [`ClientError`].
pub async fn services(client: &Client) -> Result<Vec<Service>, ClientError> {
    Ok(client.json(&client.get("/v1/weft/services", REQUEST_TIMEOUT).await?)?.unwrap_or_default())
}

/// The endpoints of one service; `None` = there is none by that name.
///
/// # Errors
/// See [`ClientError`].
pub async fn endpoints(client: &Client, service: &str) -> Result<Option<Endpoints>, ClientError> {
    let path = format!("/v1/weft/endpoints/{}", encode(service, false));
    client.json(&client.get(&path, REQUEST_TIMEOUT).await?)
}

/// How many instances of a service are called, by Consul's API.
///
/// # Errors
/// See [`ClientError`].
pub async fn passing(client: &Client, service: &str) -> Result<usize, ClientError> {
    let path = format!("/v1/health/service/{}?passing", encode(service, false));
    let entries: Option<Vec<serde_json::Value>> = client.json(&client.get(&path, REQUEST_TIMEOUT).await?)?;
    Ok(entries.unwrap_or_default().len())
}

/// Pairs under a key, or with `recurse` under a prefix. With an `index`, waits until something has changed
/// since then, or for a minute.
///
/// # Errors
/// See [`ClientError`].
pub async fn kv_get(
    client: &Client,
    key: &str,
    recurse: bool,
    index: Option<u64>,
) -> Result<Pairs, ClientError> {
    let mut query = BTreeMap::new();
    let mut limit = REQUEST_TIMEOUT;
    if recurse {
        query.insert("recurse", "true".to_owned());
    }
    if let Some(index) = index {
        query.insert("index", index.to_string());
        query.insert("wait", format!("{}s", WATCH_WAIT.as_secs()));
        // A server adds up to a sixteenth, so that not all come back at once.
        limit += WATCH_WAIT + WATCH_WAIT / 16;
    }
    let answer = client.get(&kv_path(key, &query), limit).await?;
    Ok(Pairs { pairs: client.json(&answer)?, index: answer.index.unwrap_or_default() })
}

/// Writes a pair; `false` = `cas` did not hold.
///
/// # Errors
/// See [`ClientError`].
pub async fn kv_put(
    client: &Client,
    key: &str,
    value: Bytes,
    cas: Option<u64>,
    flags: Option<u64>,
) -> Result<bool, ClientError> {
    let mut query = BTreeMap::new();
    query.extend(cas.map(|cas| ("cas", cas.to_string())));
    query.extend(flags.map(|flags| ("flags", flags.to_string())));
    let answer = client.send(Method::PUT, &kv_path(key, &query), value, REQUEST_TIMEOUT).await?;
    Ok(client.json(&answer)?.unwrap_or_default())
}

/// Removes a pair, or all under a prefix; `false` = `cas` did not hold.
///
/// # Errors
/// See [`ClientError`].
pub async fn kv_delete(
    client: &Client,
    key: &str,
    recurse: bool,
    cas: Option<u64>,
) -> Result<bool, ClientError> {
    let mut query = BTreeMap::new();
    if recurse {
        query.insert("recurse", "true".to_owned());
    }
    query.extend(cas.map(|cas| ("cas", cas.to_string())));
    let answer = client.send(Method::DELETE, &kv_path(key, &query), Bytes::new(), REQUEST_TIMEOUT).await?;
    Ok(client.json(&answer)?.unwrap_or_default())
}

fn kv_path(key: &str, query: &BTreeMap<&str, String>) -> String {
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/v1/kv/{}{mark}{}", encode(key, true), query.join("&"))
}
