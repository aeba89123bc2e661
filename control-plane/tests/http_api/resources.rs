//! Resources: each verb, conflicts, dry runs, what is told of a bad one, and what a Kubernetes client asks first.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes";
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/orders";

fn route(backend: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": "orders" },
        "spec": {
            "parentRefs": [{ "group": "", "kind": "Service", "name": "orders", "port": 8080 }],
            "rules": [{ "backendRefs": [{ "name": backend, "port": 8080 }] }],
        },
    })
}

async fn post(server: &Server, path: &str, object: &Value) -> Answer {
    server.call(Method::POST, path, &[], object.to_string()).await
}

async fn put(server: &Server, object: &Value) -> Answer {
    server.call(Method::PUT, ROUTE, &[], object.to_string()).await
}

fn status(answer: &Answer) -> (u64, String) {
    let status = answer.json();
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")), "{status}");
    assert_eq!(status["code"], answer.status.as_u16());
    (status["code"].as_u64().unwrap(), status["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_resource_is_made_read_listed_replaced_and_deleted() {
    let server = Server::start().await;
    let made = post(&server, ROUTES, &route("orders")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let metadata = &made["metadata"];
    assert_eq!((&metadata["generation"], &metadata["namespace"]), (&json!(1), &json!("default")));
    assert!(metadata["uid"].as_str().is_some_and(|uid| uid.len() == 36), "{metadata}");
    assert!(metadata["creationTimestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{metadata}");
    assert_eq!(server.json(ROUTE).await, made);
    let everywhere = server.json("/apis/gateway.networking.k8s.io/v1/httproutes").await;
    assert_eq!((&everywhere["kind"], &everywhere["items"]), (&json!("HTTPRouteList"), &json!([made])));
    assert_eq!(server.json(ROUTES).await["items"], json!([made]));
    let elsewhere = ROUTES.replace("default", "shop");
    assert_eq!(server.json(&elsewhere).await["items"], json!([]));

    let same = put(&server, &route("orders")).await.json();
    assert_eq!(same["metadata"]["resourceVersion"], metadata["resourceVersion"], "nothing was written");
    let changed = put(&server, &route("canary")).await.json();
    assert_eq!(
        (&changed["metadata"]["generation"], &changed["metadata"]["uid"]),
        (&json!(2), &metadata["uid"])
    );
    let mut labelled = route("canary");
    labelled["metadata"]["labels"] = json!({ "team": "shop" });
    let labelled = put(&server, &labelled).await.json();
    assert_eq!(labelled["metadata"]["generation"], 2, "the spec is the same");
    assert_ne!(labelled["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);

    let gone = server.call(Method::DELETE, ROUTE, &[], "").await.json();
    assert_eq!((&gone["status"], &gone["details"]["uid"]), (&json!("Success"), &metadata["uid"]));
    assert_eq!(status(&server.get(ROUTE).await), (404, "NotFound".to_owned()));
    assert_eq!(status(&server.call(Method::DELETE, ROUTE, &[], "").await).0, 404);
    assert_eq!(status(&put(&server, &route("orders")).await).0, 404, "PUT replaces what is there");
}

#[tokio::test]
async fn a_write_that_was_made_from_something_older_is_a_conflict() {
    let server = Server::start().await;
    let made = post(&server, ROUTES, &route("orders")).await.json();
    assert_eq!(status(&post(&server, ROUTES, &route("orders")).await), (409, "AlreadyExists".to_owned()));
    let mut mine = made.clone();
    mine["spec"] = route("mine")["spec"].clone();
    assert_eq!(put(&server, &mine).await.status, 200);
    mine["spec"] = route("late")["spec"].clone();
    let refused = put(&server, &mine).await;
    assert_eq!(status(&refused), (409, "Conflict".to_owned()));
    assert!(refused.text().contains("it has been changed since you read it"), "{}", refused.text());
    assert_eq!(server.json(ROUTE).await["spec"], route("mine")["spec"]);
    let mut stranger = route("late");
    stranger["metadata"]["uid"] = json!("another");
    assert_eq!(status(&put(&server, &stranger).await).0, 409);
    assert_eq!(put(&server, &route("late")).await.status, 200, "without a version it replaces");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let server = Server::start().await;
    let dry = |path: &str| format!("{path}?dryRun=All");
    let would = post(&server, &dry(ROUTES), &route("orders")).await;
    assert_eq!((would.status.as_u16(), &would.json()["metadata"]["generation"]), (201, &json!(1)));
    assert_eq!(server.get(ROUTE).await.status, 404);
    let made = post(&server, ROUTES, &route("orders")).await.json();
    let would = server.call(Method::PUT, &dry(ROUTE), &[], route("canary").to_string()).await.json();
    assert_eq!(would["metadata"]["generation"], 2);
    assert_eq!(server.call(Method::DELETE, &dry(ROUTE), &[], "").await.status, 200);
    assert_eq!(server.json(ROUTE).await, made);
    let bad = post(&server, &format!("{ROUTES}?dryRun=Some"), &route("orders")).await;
    assert_eq!(status(&bad), (400, "BadRequest".to_owned()));
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_nothing_else_changes() {
    let server = Server::start().await;
    let made = post(&server, ROUTES, &route("orders")).await.json();
    let mut bad = route("orders");
    bad["spec"]["rules"][0]["backendRefs"][0]["weight"] = json!(-1);
    bad["spec"]["rules"][0]["timeout"] = json!("1s");
    bad["spec"]["parentRefs"][0]["kind"] = json!("Gateway");
    let refused = put(&server, &bad).await;
    assert_eq!(status(&refused), (422, "Invalid".to_owned()));
    let refused = refused.json();
    assert_eq!(refused["details"]["name"], "orders");
    let fields: Vec<&str> = refused["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    for field in ["spec.parentRefs[0].kind", "spec.rules[0].backendRefs[0].weight", "spec.rules[0].timeout"] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert_eq!(server.json(ROUTE).await, made);
}

#[tokio::test]
async fn what_is_no_resource_of_that_place_is_told_so() {
    let server = Server::start().await;
    let unknown = server.get("/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes").await;
    assert_eq!(status(&unknown), (404, "NotFound".to_owned()));
    assert!(unknown.text().contains("weft.dev/v1alpha1/ratelimitpolicies"), "{}", unknown.text());
    let mut elsewhere = route("orders");
    elsewhere["metadata"]["namespace"] = json!("shop");
    let refused = post(&server, ROUTES, &elsewhere).await;
    assert!(refused.text().contains("metadata.namespace is `shop`"), "{}", refused.text());
    assert_eq!(status(&refused).0, 400);
    for body in ["", "{", "[]", "{\"a\": 1, \"a\": 2}", "a: [", "null"] {
        let refused = server.call(Method::POST, ROUTES, &[], body).await;
        assert!([400, 422].contains(&status(&refused).0), "{body}: {}", refused.text());
    }
    let huge = format!("{{\"spec\": \"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(status(&server.call(Method::POST, ROUTES, &[], huge).await).0, 413);
    assert_eq!(status(&server.get(&format!("{ROUTES}?watch=true")).await).0, 400);
    let deep = "[".repeat(100_000);
    assert_eq!(status(&server.call(Method::POST, ROUTES, &[], deep).await).0, 400);
}

#[tokio::test]
async fn yaml_is_taken_too() {
    let server = Server::start().await;
    let yaml = "apiVersion: weft.dev/v1alpha1\nkind: ServicePolicy\nmetadata: {name: calm}\n\
                spec: {targetRefs: [{group: '', kind: Service, name: orders}], timeouts: {request: 2s}}\n";
    let path = "/apis/weft.dev/v1alpha1/namespaces/shop/servicepolicies";
    let made = server.call(Method::POST, path, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["metadata"]["namespace"], "shop");
}

#[tokio::test]
async fn a_service_that_is_missing_is_a_status_that_mends() {
    let server = Server::start().await;
    let condition = |object: &Value| {
        let conditions = object["status"]["parents"][0]["conditions"].as_array().unwrap().clone();
        let of = |kind: &str| conditions.iter().find(|one| one["type"] == kind).unwrap()["status"].clone();
        (of("Accepted"), of("ResolvedRefs"))
    };
    let made = post(&server, ROUTES, &route("orders")).await.json();
    assert_eq!(condition(&made), (json!("True"), json!("False")), "{made}");
    assert_eq!(made["status"]["sidecars"]["subscribed"], 0);
    server.must_put("/v1/agent/service/register", json!({ "Name": "orders", "Port": 8080 })).await;
    assert_eq!(condition(&server.json(ROUTE).await), (json!("True"), json!("True")));
}

#[tokio::test]
async fn a_kubernetes_client_finds_the_kinds() {
    let server = Server::start().await;
    assert_eq!(server.json("/api").await["kind"], "APIVersions");
    let groups = server.json("/apis").await;
    for group in groups["groups"].as_array().unwrap() {
        let version = group["preferredVersion"]["groupVersion"].as_str().unwrap();
        let list = server.json(&format!("/apis/{version}")).await;
        assert_eq!((&list["kind"], &list["groupVersion"]), (&json!("APIResourceList"), &json!(version)));
        for kind in list["resources"].as_array().unwrap() {
            server.json(&format!("/apis/{version}/{}", kind["name"].as_str().unwrap())).await;
        }
    }
    assert_eq!(status(&server.get("/apis/apps/v1").await).0, 404);
}
