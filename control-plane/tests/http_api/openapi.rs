//! The document: a golden file, equal to what is served, and every route of it answers. Router and document
//! are made in one step (`http::docs`), so that there is no route outside it. To accept a change:
//! `INSTA_UPDATE=always cargo nextest run -p weft-control-plane openapi`.

use http::Method;
use serde_json::Value;

use crate::support::Server;

/// What issues 2 and 3 name; a route may not get lost.
const PROMISED: [&str; 44] = [
    "PUT /v1/agent/service/register",
    "PUT /v1/agent/service/deregister/{id}",
    "PUT /v1/agent/service/maintenance/{id}",
    "PUT /v1/agent/check/register",
    "PUT /v1/agent/check/deregister/{id}",
    "PUT /v1/agent/check/pass/{id}",
    "PUT /v1/agent/check/warn/{id}",
    "PUT /v1/agent/check/fail/{id}",
    "PUT /v1/agent/check/update/{id}",
    "GET /v1/agent/services",
    "GET /v1/agent/service/{id}",
    "GET /v1/agent/checks",
    "GET /v1/agent/self",
    "GET /v1/agent/members",
    "GET /v1/agent/health/service/name/{name}",
    "GET /v1/agent/health/service/id/{id}",
    "PUT /v1/catalog/register",
    "PUT /v1/catalog/deregister",
    "GET /v1/catalog/services",
    "GET /v1/catalog/service/{service}",
    "GET /v1/catalog/nodes",
    "GET /v1/catalog/node/{node}",
    "GET /v1/catalog/datacenters",
    "GET /v1/health/service/{service}",
    "GET /v1/health/checks/{service}",
    "GET /v1/health/state/{state}",
    "GET /v1/health/node/{node}",
    "GET /v1/kv/{key}",
    "PUT /v1/kv/{key}",
    "DELETE /v1/kv/{key}",
    "GET /v1/status/leader",
    "GET /v1/status/peers",
    "GET /v1/weft/sidecars",
    "GET /v1/weft/services",
    "GET /v1/weft/endpoints/{service}",
    "GET /v1/weft/status",
    "GET /v1/weft/openapi.json",
    "GET /apis/{group}/{version}/{plural}",
    "GET /apis/{group}/{version}/namespaces/{namespace}/{plural}",
    "POST /apis/{group}/{version}/namespaces/{namespace}/{plural}",
    "GET /apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}",
    "PUT /apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}",
    "DELETE /apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}",
    "GET /metrics",
];

fn document() -> (String, Value) {
    let text = weft_control_plane::http::openapi_json().unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

fn operations(document: &Value) -> Vec<(Method, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        let path = path.clone();
        methods.into_iter().map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_document_is_the_golden_file() {
    insta::assert_snapshot!("openapi", document().0);
}

#[test]
fn all_that_was_promised_is_in_it_and_described() {
    let (_, document) = document();
    let operations = operations(&document);
    for promised in PROMISED {
        let (method, path) = promised.split_once(' ').unwrap();
        assert!(operations.iter().any(|(m, p)| m == method && p == path), "{promised}");
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{promised}");
        assert!(operation["responses"]["200"].is_object(), "{promised}");
    }
}

#[test]
fn every_reference_in_it_is_resolved() {
    let (text, document) = document();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn every_route_of_it_answers() {
    let server = Server::start().await;
    for (method, path) in operations(&document().1) {
        let filled = path.replace(['{', '}'], "");
        let answer = server.call(method.clone(), &filled, &[], "").await;
        assert_ne!(answer.status, 405, "{method} {path}");
        assert!(!answer.text().starts_with("Invalid URL path"), "{method} {path}");
    }
}

#[tokio::test]
async fn it_is_served() {
    let server = Server::start().await;
    assert_eq!(server.json("/v1/weft/openapi.json").await, document().1);
}
