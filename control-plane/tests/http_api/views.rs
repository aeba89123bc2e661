//! `/v1/weft/…` and `/metrics`.

use serde_json::json;

use crate::support::Server;

async fn registered() -> Server {
    let server = Server::start().await;
    for (id, status) in [("w1", "passing"), ("w2", "critical")] {
        let definition =
            json!({"ID": id, "Name": "web", "Port": 80, "Check": {"TTL": "60s", "Status": status}});
        server.must_put("/v1/agent/service/register", definition).await;
    }
    server
}

#[tokio::test]
async fn endpoints_tell_where_and_how_each_instance_is() {
    let server = registered().await;
    for name in ["web", "web.default"] {
        let view = server.json(&format!("/v1/weft/endpoints/{name}")).await;
        assert_eq!(view["service"], "web.default");
        let first = &view["endpoints"][0];
        assert_eq!((&first["node"], &first["id"]), (&json!("node-1"), &json!("w1")));
        assert_eq!(first["ports"], json!([{"name": "", "protocol": "auto", "port": 80}]));
        assert_eq!(first["hop"], json!({"kind": "direct"}));
        assert_eq!((&first["health"], &first["origin"]), (&json!("passing"), &json!("agent")));
        assert_eq!(view["endpoints"][1]["health"], "critical");
    }
}

#[tokio::test]
async fn an_unknown_service_is_404_as_json() {
    let server = Server::start().await;
    for name in ["none", "a.b.c.d", "_"] {
        let answer = server.get(&format!("/v1/weft/endpoints/{name}")).await;
        assert_eq!(answer.status, 404);
        assert!(answer.json()["error"].as_str().unwrap().contains(name));
    }
}

#[tokio::test]
async fn services_and_status_count() {
    let server = registered().await;
    let services = server.json("/v1/weft/services").await;
    assert_eq!((&services[0]["service"], &services[0]["passing"]), (&json!("web.default"), &json!(1)));
    let status = server.json("/v1/weft/status").await;
    let counts = json!({"services": 1, "nodes": 1, "instances": 2, "passing": 1, "warning": 0, "critical": 1,
        "sidecars": 0});
    assert_eq!(status["counts"], counts);
    assert!(status["revision"].as_u64().unwrap() >= 2);
    assert_eq!(server.json("/v1/weft/sidecars").await, json!([]));
}

#[tokio::test]
async fn metrics_are_served_at_both_places() {
    let server = registered().await;
    for path in ["/metrics", "/v1/agent/metrics?format=prometheus"] {
        let text = server.get(path).await.text();
        assert!(text.contains("weft_registry_instances{health=\"passing\"} 1"), "{text}");
        let route =
            "weft_http_requests_total{route=\"/v1/agent/service/register\",method=\"PUT\",status=\"200\"} 2";
        assert!(text.contains(route), "{text}");
    }
    assert_eq!(server.get("/v1/agent/metrics").await.status, 400);
}
