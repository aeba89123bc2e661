//! `/v1/agent/self` and `/v1/agent/members`: who answers. There is one server and no gossip, so each node is a
//! member that is alive.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{
    Api,
    ask::{Ask, DATACENTER},
    reply::Reply,
};

/// Serf's "alive".
const ALIVE: u8 = 1;

/// `/v1/agent/self`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SelfView {
    config: ConfigView,
    member: Member,
    meta: BTreeMap<String, String>,
}

/// The part of the configuration that clients read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigView {
    datacenter: &'static str,
    primary_datacenter: &'static str,
    node_name: String,
    #[serde(rename = "NodeID")]
    node_id: String,
    server: bool,
    /// Of the control plane.
    version: &'static str,
}

/// One member.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Member {
    name: String,
    addr: String,
    port: u16,
    tags: BTreeMap<&'static str, &'static str>,
    /// 1: alive.
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

/// The agent of the caller's node.
pub(crate) async fn own(State(api): State<Arc<Api>>, ask: Ask) -> Reply<SelfView> {
    Reply::of(SelfView {
        config: ConfigView {
            datacenter: DATACENTER,
            primary_datacenter: DATACENTER,
            node_name: ask.node.to_string(),
            node_id: api.store.id().to_owned(),
            server: true,
            version: env!("CARGO_PKG_VERSION"),
        },
        member: member(ask.node.to_string(), ask.address, "node"),
        meta: BTreeMap::new(),
    })
}

/// The control plane's host and all nodes.
pub(crate) async fn members(State(api): State<Arc<Api>>, _ask: Ask) -> Reply<Vec<Member>> {
    let host = api.address.rsplit_once(':').map_or(api.address.as_str(), |(host, _)| host);
    let server = member(api.host.clone(), host.to_owned(), "consul");
    let catalog = api.registry.catalog();
    let nodes = catalog.nodes.values().filter(|node| node.name.as_str() != api.host);
    let nodes = nodes.map(|node| member(node.name.to_string(), node.address.clone(), "node"));
    Reply::of(std::iter::once(server).chain(nodes).collect())
}

fn member(name: String, addr: String, role: &'static str) -> Member {
    Member {
        name,
        addr,
        port: 0,
        tags: BTreeMap::from([("dc", DATACENTER), ("role", role)]),
        status: ALIVE,
        protocol_min: 1,
        protocol_max: 5,
        protocol_cur: 2,
        delegate_min: 2,
        delegate_max: 5,
        delegate_cur: 4,
    }
}
