//! Blocking queries: they wake for what was asked about and for nothing else.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{Answer, Server};

/// Far above what a wake takes, far below the waits.
const SOON: Duration = Duration::from_secs(5);

async fn registered() -> Arc<Server> {
    let server = Server::start().await;
    for name in ["web", "other"] {
        let definition = json!({"Name": name, "Check": {"TTL": "600s", "Status": "passing"}});
        server.must_put("/v1/agent/service/register", definition).await;
    }
    Arc::new(server)
}

/// A query that waits; ready when the server says that it does.
async fn waiting(server: &Arc<Server>, path: &str) -> tokio::task::JoinHandle<Answer> {
    let before = blocked(server).await;
    let (asking, path) = (Arc::clone(server), path.to_owned());
    let task = tokio::spawn(async move { asking.get(&path).await });
    let deadline = Instant::now() + SOON;
    while blocked(server).await <= before {
        assert!(Instant::now() < deadline, "it does not block");
        tokio::task::yield_now().await;
    }
    task
}

async fn blocked(server: &Server) -> u64 {
    let text = server.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix("weft_http_blocking_queries ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn a_query_wakes_when_its_service_changes_and_not_when_another_does() {
    let server = registered().await;
    let first = server.get("/v1/health/service/web?passing").await;
    let path = format!("/v1/health/service/web?passing&wait=60s&index={}", first.index());
    let asked = waiting(&server, &path).await;
    server.must_put("/v1/agent/check/fail/service:other", json!({})).await;
    assert!(!asked.is_finished());
    server.must_put("/v1/agent/check/fail/service:web", json!({})).await;
    let woken = timeout(SOON, asked).await.unwrap().unwrap();
    assert!(woken.index() > first.index());
    assert_eq!(woken.json(), json!([]));
    assert_eq!(woken.headers["x-consul-knownleader"], "true");
    assert_eq!(woken.headers["x-consul-lastcontact"], "0");
}

#[tokio::test]
async fn a_query_on_a_service_that_is_not_there_wakes_when_it_comes_and_when_it_goes() {
    let server = registered().await;
    let index = server.get("/v1/catalog/service/new").await.index();
    let asked = waiting(&server, &format!("/v1/catalog/service/new?index={index}")).await;
    server.must_put("/v1/agent/service/register", json!({"Name": "new"})).await;
    let came = timeout(SOON, asked).await.unwrap().unwrap();
    assert_eq!(came.json().as_array().unwrap().len(), 1);
    let asked = waiting(&server, &format!("/v1/catalog/service/new?index={}", came.index())).await;
    server.must_put("/v1/agent/service/deregister/new", json!({})).await;
    assert_eq!(timeout(SOON, asked).await.unwrap().unwrap().json(), json!([]));
}

#[tokio::test]
async fn lists_wake_for_any_service() {
    let server = registered().await;
    for path in
        ["/v1/catalog/services", "/v1/catalog/nodes", "/v1/health/state/any", "/v1/health/node/node-1"]
    {
        let index = server.get(path).await.index();
        let asked = waiting(&server, &format!("{path}?index={index}")).await;
        server.must_put("/v1/agent/service/register", json!({"Name": "web", "Port": index})).await;
        assert!(timeout(SOON, asked).await.unwrap().unwrap().index() > index, "{path}");
    }
}

#[tokio::test]
async fn a_wait_that_is_over_answers_what_is_there() {
    let server = registered().await;
    let index = server.get("/v1/health/service/web").await.index();
    let started = Instant::now();
    let answer = server.get(&format!("/v1/health/service/web?index={index}&wait=100ms")).await;
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!(answer.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_index_beyond_the_current_revision_answers_at_once() {
    let server = registered().await;
    for path in ["/v1/health/service/web", "/v1/kv/some"] {
        let answer = timeout(SOON, server.get(&format!("{path}?index=1000000"))).await.unwrap();
        assert!(answer.index() < 1_000_000);
    }
}

#[tokio::test]
async fn a_stop_answers_all_that_wait() {
    let server = registered().await;
    let index = server.get("/v1/health/service/web").await.index();
    let catalog = waiting(&server, &format!("/v1/health/service/web?index={index}")).await;
    let index = server.get("/v1/kv/none").await.index();
    let kv = waiting(&server, &format!("/v1/kv/none?index={index}")).await;
    server.stopping.cancel();
    assert_eq!(timeout(SOON, catalog).await.unwrap().unwrap().status, 200);
    assert_eq!(timeout(SOON, kv).await.unwrap().unwrap().status, 404);
}

#[tokio::test]
async fn a_read_of_a_key_wakes_for_this_key_alone_and_of_a_tree_for_all_below() {
    let server = registered().await;
    server.put("/v1/kv/a/b", "1").await;
    let index = server.get("/v1/kv/a/b").await.index();
    let one = waiting(&server, &format!("/v1/kv/a/b?index={index}")).await;
    let tree = waiting(&server, &format!("/v1/kv/a/?recurse&index={index}")).await;
    server.put("/v1/kv/a/bc", "2").await;
    assert_eq!(timeout(SOON, tree).await.unwrap().unwrap().json().as_array().unwrap().len(), 2);
    assert!(!one.is_finished());
    server.put("/v1/kv/a/b", "3").await;
    assert_eq!(timeout(SOON, one).await.unwrap().unwrap().json()[0]["Value"], "Mw==");
}

#[tokio::test]
async fn queries_that_wait_leave_connections_for_those_who_write() {
    let server = Arc::new(Server::with_connections(8).await);
    server.must_put("/v1/kv/k", json!(1)).await;
    server.must_put("/v1/agent/service/register", json!({"Name": "web"})).await;
    let index = server.get("/v1/catalog/services").await.index();
    let mut waits = Vec::new();
    for path in ["/v1/kv/k?wait=60s", "/v1/catalog/services?wait=60s", "/v1/health/service/none?wait=60s"] {
        for _ in 0..2 {
            waits.push(waiting(&server, &format!("{path}&index={index}")).await);
        }
    }
    for path in ["/v1/kv/k", "/v1/catalog/services"] {
        let over = server.get(&format!("{path}?wait=60s&index={index}")).await;
        assert_eq!(over.status, 429, "{}", over.text());
        assert!(over.text().contains("--http-connections"), "{}", over.text());
        assert_eq!(server.get(path).await.status, 200, "what does not wait is answered");
    }
    server.must_put("/v1/kv/other", json!(1)).await;
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("weft_http_blocking_queries_refused_total 2"), "{metrics}");
}

#[tokio::test]
async fn a_caller_that_hangs_up_waits_no_longer() {
    let server = registered().await;
    let index = server.get("/v1/catalog/services").await.index();
    for path in ["/v1/catalog/services", "/v1/kv/k"] {
        let asked = waiting(&server, &format!("{path}?wait=600s&index={index}")).await;
        asked.abort();
        let deadline = Instant::now() + SOON;
        while blocked(&server).await > 0 {
            assert!(Instant::now() < deadline, "{path}: it waits for nobody");
            tokio::task::yield_now().await;
        }
    }
}
