//! `/v1/agent/…`.

use http::Method;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn a_registered_service_is_shown_as_consul_shows_it() {
    let server = Server::start().await;
    let definition = json!({
        "ID": "web-1", "Name": "web", "Tags": ["v1"], "Port": 8080, "Address": "10.0.0.7",
        "Meta": {"team": "shop"}, "Weights": {"Passing": 5, "Warning": 2},
        "TaggedAddresses": {"lan": {"Address": "10.0.0.7", "Port": 81}}, "EnableTagOverride": true,
    });
    server.must_put("/v1/agent/service/register", definition).await;
    let shown = json!({
        "ID": "web-1", "Service": "web", "Tags": ["v1"], "Meta": {"team": "shop"}, "Port": 8080,
        "Address": "10.0.0.7", "TaggedAddresses": {"lan": {"Address": "10.0.0.7", "Port": 81}},
        "Weights": {"Passing": 5, "Warning": 2}, "EnableTagOverride": true, "Datacenter": "dc1",
        "Namespace": "default",
    });
    assert_eq!(server.json("/v1/agent/services").await, json!({"web-1": shown}));
    assert_eq!(server.json("/v1/agent/service/web-1").await, shown);
}

#[tokio::test]
async fn the_agent_is_the_callers_node_and_an_empty_address_the_callers() {
    let server = Server::start().await;
    let body = json!({"Name": "web"}).to_string();
    let path = "/v1/agent/service/register";
    server.call(Method::PUT, path, &[("x-weft-node", "node-2")], body.clone()).await;
    // Without the header the node is the caller's address.
    server.call(Method::PUT, path, &[("x-weft-node", "")], body).await;
    assert_eq!(server.json("/v1/agent/services").await, json!({}));
    let nodes = server.json("/v1/catalog/service/web").await;
    let of: Vec<_> =
        nodes.as_array().unwrap().iter().map(|one| (&one["Node"], &one["ServiceAddress"])).collect();
    assert_eq!(of, [(&json!("127.0.0.1"), &json!("127.0.0.1")), (&json!("node-2"), &json!("127.0.0.1"))]);
}

#[tokio::test]
async fn errors_have_consuls_statuses_and_texts() {
    let server = Server::start().await;
    let put = async |path: &str, body: serde_json::Value| {
        let answer = server.put(path, body.to_string()).await;
        (answer.status.as_u16(), answer.text())
    };
    let unknown = r#"Unknown service ID "x". Ensure that the service ID is passed, not the service name."#;
    let unknown_check = r#"Unknown check ID "x". Ensure that the check ID is passed, not the check name."#;
    server
        .must_put(
            "/v1/agent/service/register",
            json!({"Name": "web", "Check": {"TCP": "127.0.0.1:1", "Interval": "60s"}}),
        )
        .await;
    for (path, body, status, text) in [
        ("/v1/agent/service/register", json!({}), 400, "Missing service name"),
        ("/v1/agent/service/deregister/x", json!({}), 404, unknown),
        ("/v1/agent/service/maintenance/x?enable=true", json!({}), 404, unknown),
        ("/v1/agent/service/maintenance/web", json!({}), 400, "Missing value for enable"),
        ("/v1/agent/service/maintenance/web?enable=x", json!({}), 400, r#"Invalid value for enable: "x""#),
        ("/v1/agent/check/register", json!({}), 400, "Missing check name"),
        (
            "/v1/agent/check/register",
            json!({"Name": "c", "TTL": "1s", "Status": "x"}),
            400,
            "Bad check status",
        ),
        (
            "/v1/agent/check/register",
            json!({"Name": "c", "TTL": "1s", "ServiceID": "x"}),
            404,
            r#"ServiceID "x" does not exist"#,
        ),
        ("/v1/agent/check/pass/x", json!({}), 404, unknown_check),
        ("/v1/agent/check/deregister/x", json!({}), 404, unknown_check),
        (
            "/v1/agent/check/pass/service:web",
            json!({}),
            500,
            r#"CheckID "service:web" does not have associated TTL"#,
        ),
        ("/v1/agent/check/update/service:web", json!({"Status": "x"}), 400, "Invalid check status: 'x'"),
        ("/v1/agent/service/register?dc=dc2", json!({"Name": "a"}), 500, "No path to datacenter"),
    ] {
        assert_eq!(put(path, body).await, (status, text.to_owned()), "{path}");
    }
    let answer = server.get("/v1/agent/service/register").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (405, "method GET not allowed"));
    assert_eq!(answer.headers["allow"], "PUT");
    let answer = server.get("/v1/nothing").await;
    let text = "Invalid URL path: not a recognized HTTP API endpoint";
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (404, text));
}

#[tokio::test]
async fn a_ttl_check_follows_its_reports() {
    let server = Server::start().await;
    let definition = json!({"Name": "web", "Check": {"TTL": "60s", "Notes": "n"}});
    server.must_put("/v1/agent/service/register", definition).await;
    let check = async || server.json("/v1/agent/checks").await["service:web"].clone();
    assert_eq!(check().await["Status"], "critical");
    for (report, status) in [("pass", "passing"), ("warn", "warning"), ("fail", "critical")] {
        server.must_put(&format!("/v1/agent/check/{report}/service:web?note=seen"), json!({})).await;
        let check = check().await;
        assert_eq!((&check["Status"], &check["Output"]), (&json!(status), &json!("seen")));
    }
    let update = json!({"Status": "passing", "Output": "well"});
    server.must_put("/v1/agent/check/update/service:web", update).await;
    let check = check().await;
    assert_eq!((&check["Status"], &check["Output"]), (&json!("passing"), &json!("well")));
    assert_eq!(
        (&check["Type"], &check["ServiceName"], &check["Node"]),
        (&json!("ttl"), &json!("web"), &json!("node-1"))
    );
}

#[tokio::test]
async fn maintenance_is_a_critical_check_until_it_is_over() {
    let server = Server::start().await;
    server.must_put("/v1/agent/service/register", json!({"Name": "web"})).await;
    server.must_put("/v1/agent/service/maintenance/web?enable=true&reason=disk", json!({})).await;
    let entry = server.json("/v1/health/service/web").await;
    let check = &entry[0]["Checks"][0];
    assert_eq!(check["CheckID"], "_service_maintenance:web");
    assert_eq!((&check["Status"], &check["Notes"]), (&json!("critical"), &json!("disk")));
    let answer = server.get("/v1/agent/health/service/id/web?format=text").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (503, "maintenance"));
    server.must_put("/v1/agent/service/maintenance/web?enable=false", json!({})).await;
    assert_eq!(server.get("/v1/agent/health/service/id/web").await.status, 200);
}

#[tokio::test]
async fn health_is_told_by_the_status_code() {
    let server = Server::start().await;
    for (id, status) in [("a", "passing"), ("b", "warning"), ("c", "critical")] {
        let definition = json!({"ID": id, "Name": "web", "Check": {"TTL": "60s", "Status": status}});
        server.must_put("/v1/agent/service/register", definition).await;
    }
    for (id, code) in [("a", 200), ("b", 429), ("c", 503), ("d", 404)] {
        let answer = server.get(&format!("/v1/agent/health/service/id/{id}")).await;
        assert_eq!(answer.status, code, "{id}");
    }
    let all = server.get("/v1/agent/health/service/name/web").await;
    assert_eq!((all.status.as_u16(), all.json().as_array().unwrap().len()), (503, 3));
    server.must_put("/v1/agent/service/deregister/c", json!({})).await;
    let text = server.get("/v1/agent/health/service/name/web?format=text").await;
    assert_eq!((text.status.as_u16(), text.text().as_str()), (429, "warning"));
    let none = server.get("/v1/agent/health/service/name/none?format=text").await;
    assert_eq!((none.status.as_u16(), none.text().as_str()), (404, "ServiceName none Not Found"));
}

#[tokio::test]
async fn registering_again_keeps_other_checks_and_the_status_of_its_own() {
    let server = Server::start().await;
    let definition = json!({"Name": "web", "Check": {"TTL": "60s"}});
    server.must_put("/v1/agent/service/register", definition.clone()).await;
    server.must_put("/v1/agent/check/pass/service:web", json!({})).await;
    let extra = json!({"Name": "extra", "TTL": "60s", "Status": "passing", "ServiceID": "web"});
    server.must_put("/v1/agent/check/register", extra).await;
    server.must_put("/v1/agent/service/register", definition.clone()).await;
    let checks = server.json("/v1/agent/checks").await;
    assert_eq!(checks["service:web"]["Status"], "passing");
    assert_eq!(checks["extra"]["Status"], "passing");
    server.must_put("/v1/agent/service/register?replace-existing-checks", definition).await;
    assert_eq!(server.json("/v1/agent/checks").await.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn self_and_members_name_node_and_datacenter() {
    let server = Server::start().await;
    server.must_put("/v1/agent/service/register", json!({"Name": "web"})).await;
    let own = server.json("/v1/agent/self").await;
    assert_eq!(own["Config"]["Datacenter"], "dc1");
    assert_eq!(own["Config"]["NodeName"], "node-1");
    let members = server.json("/v1/agent/members").await;
    let names: Vec<_> = members.as_array().unwrap().iter().map(|member| &member["Name"]).collect();
    assert_eq!(names, ["test-host", "node-1"]);
    assert_eq!(server.json("/v1/status/leader").await, json!(server.address.to_string()));
    assert_eq!(server.json("/v1/catalog/datacenters").await, json!(["dc1"]));
}
