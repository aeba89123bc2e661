//! `/v1/catalog/…` and `/v1/health/…`.

use serde_json::{Value, json};

use crate::support::Server;

async fn server_with_two_nodes() -> Server {
    let server = Server::start().await;
    for (node, address, status) in [("n1", "10.0.0.1", "passing"), ("n2", "10.0.0.2", "critical")] {
        let body = json!({
            "Node": node, "Address": address, "NodeMeta": {"rack": node},
            "Service": {"ID": "db1", "Service": "db", "Tags": ["Master", node], "Port": 5432},
            "Checks": [
                {"Node": node, "CheckID": "service:db1", "Name": "alive", "Status": status,
                 "Output": "seen", "ServiceID": "db1"},
                {"Node": node, "CheckID": "disk", "Name": "disk", "Status": "passing"},
            ],
        });
        server.must_put("/v1/catalog/register", body).await;
    }
    server
}

fn nodes(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one["Node"].as_str().or(one["Node"]["Node"].as_str()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_catalog_registration_is_a_node_with_a_service_and_checks() {
    let server = server_with_two_nodes().await;
    assert_eq!(server.json("/v1/catalog/services").await, json!({"db": ["Master", "n1", "n2"]}));
    assert_eq!(nodes(&server.json("/v1/catalog/nodes").await), ["n1", "n2"]);
    let shown = server.json("/v1/catalog/service/db").await;
    assert_eq!(shown[0]["Address"], "10.0.0.1");
    assert_eq!(shown[0]["ServiceAddress"], "10.0.0.1");
    assert_eq!(shown[0]["ServicePort"], 5432);
    assert_eq!(shown[0]["NodeMeta"], json!({"rack": "n1"}));
    let node = server.json("/v1/catalog/node/n2").await;
    assert_eq!(node["Node"]["Address"], "10.0.0.2");
    assert_eq!(node["Services"]["db1"]["Service"], "db");
    assert_eq!(server.json("/v1/catalog/node/none").await, Value::Null);
}

#[tokio::test]
async fn health_lists_instances_by_their_checks() {
    let server = server_with_two_nodes().await;
    assert_eq!(nodes(&server.json("/v1/health/service/db").await), ["n1", "n2"]);
    let passing = server.json("/v1/health/service/db?passing").await;
    assert_eq!(nodes(&passing), ["n1"]);
    let ids: Vec<_> = passing[0]["Checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["CheckID"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["disk", "service:db1"]);
    assert_eq!(nodes(&server.json("/v1/health/checks/db").await), ["n1", "n2"]);
    assert_eq!(nodes(&server.json("/v1/health/state/critical").await), ["n2"]);
    assert_eq!(server.json("/v1/health/state/any").await.as_array().unwrap().len(), 4);
    assert_eq!(server.json("/v1/health/node/n1").await.as_array().unwrap().len(), 2);
    assert_eq!(server.json("/v1/health/service/none").await, json!([]));
}

#[tokio::test]
async fn tags_and_node_meta_select_and_all_must_hold() {
    let server = server_with_two_nodes().await;
    for (query, wanted) in [
        ("tag=master", &["n1", "n2"][..]),
        ("tag=master&tag=n2", &["n2"]),
        ("tag=none", &[]),
        ("node-meta=rack:n1", &["n1"]),
        ("node-meta=rack:n1&tag=n2", &[]),
    ] {
        assert_eq!(nodes(&server.json(&format!("/v1/health/service/db?{query}")).await), wanted, "{query}");
        assert_eq!(nodes(&server.json(&format!("/v1/catalog/service/db?{query}")).await), wanted, "{query}");
    }
}

#[tokio::test]
async fn what_is_deregistered_is_gone_and_again_is_no_error() {
    let server = server_with_two_nodes().await;
    for _ in 0..2 {
        server.must_put("/v1/catalog/deregister", json!({"Node": "n1", "ServiceID": "db1"})).await;
        assert_eq!(nodes(&server.json("/v1/catalog/service/db").await), ["n2"]);
    }
    server.must_put("/v1/catalog/deregister", json!({"Node": "n2"})).await;
    assert_eq!(nodes(&server.json("/v1/catalog/nodes").await), ["n1"]);
    assert_eq!(server.json("/v1/catalog/services").await, json!({}));
}

#[tokio::test]
async fn namespaces_are_apart() {
    let server = Server::start().await;
    server.must_put("/v1/agent/service/register?ns=shop", json!({"Name": "web"})).await;
    assert_eq!(server.json("/v1/catalog/services").await, json!({}));
    assert_eq!(server.json("/v1/catalog/services?ns=shop").await, json!({"web": []}));
    assert_eq!(server.json("/v1/health/service/web?ns=shop").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_registration_is_refused() {
    let server = Server::start().await;
    for (body, status, text) in [
        (json!({}), 400, "Must provide node"),
        (json!({"Node": "n"}), 400, "Must provide address if SkipNodeUpdate is not set"),
        (json!({"Node": "n", "Address": "a", "Datacenter": "dc9"}), 500, "No path to datacenter"),
        (json!({"Node": "n", "Address": "a", "Service": {"ID": "x"}}), 400, "Missing service name"),
    ] {
        let answer = server.put("/v1/catalog/register", body.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, text));
    }
    let answer = server.get("/v1/health/service/db?filter=x").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("filter is not supported"), "{}", answer.text());
}
