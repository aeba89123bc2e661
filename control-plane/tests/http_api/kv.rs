//! `/v1/kv/…`.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

async fn put(server: &Server, path: &str, value: &str) -> Value {
    let answer = server.put(path, value.to_owned()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn delete(server: &Server, path: &str) -> Answer {
    server.call(Method::DELETE, path, &[], "").await
}

#[tokio::test]
async fn a_pair_is_shown_as_consul_shows_it() {
    let server = Server::start().await;
    assert_eq!(put(&server, "/v1/kv/a/key?flags=42", "value").await, json!(true));
    let answer = server.get("/v1/kv/a/key").await;
    let index = answer.index();
    assert_eq!(
        answer.json(),
        json!([{"LockIndex": 0, "Key": "a/key", "Flags": 42, "Value": "dmFsdWU=", "CreateIndex": index,
            "ModifyIndex": index}])
    );
    let raw = server.get("/v1/kv/a/key?raw").await;
    assert_eq!(
        (raw.text().as_str(), &raw.headers["content-type"]),
        ("value", &"text/plain".parse().unwrap())
    );
    put(&server, "/v1/kv/empty", "").await;
    assert_eq!(server.json("/v1/kv/empty").await[0]["Value"], Value::Null);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_404_with_an_index() {
    let server = Server::start().await;
    for path in ["/v1/kv/none", "/v1/kv/none?recurse", "/v1/kv/none?keys", "/v1/kv/none?raw"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (404, ""), "{path}");
        assert!(answer.index() >= 1);
    }
}

#[tokio::test]
async fn compare_and_set_writes_only_on_the_known_index() {
    let server = Server::start().await;
    assert_eq!(put(&server, "/v1/kv/k?cas=0", "1").await, json!(true));
    assert_eq!(put(&server, "/v1/kv/k?cas=0", "2").await, json!(false));
    let index = server.json("/v1/kv/k").await[0]["ModifyIndex"].clone();
    assert_eq!(put(&server, &format!("/v1/kv/k?cas={index}"), "3").await, json!(true));
    assert_eq!(put(&server, &format!("/v1/kv/k?cas={index}"), "4").await, json!(false));
    assert_eq!(server.get("/v1/kv/k?raw").await.text(), "3");
    assert_eq!(delete(&server, &format!("/v1/kv/k?cas={index}")).await.json(), json!(false));
    let index = server.json("/v1/kv/k").await[0]["ModifyIndex"].clone();
    assert_eq!(delete(&server, &format!("/v1/kv/k?cas={index}")).await.json(), json!(true));
    assert_eq!(server.get("/v1/kv/k").await.status, 404);
}

#[tokio::test]
async fn trees_are_listed_grouped_and_deleted() {
    let server = Server::start().await;
    for key in ["t/1", "t/a/1", "t/a/2", "u"] {
        put(&server, &format!("/v1/kv/{key}"), "v").await;
    }
    put(&server, "/v1/kv/t/other?ns=shop", "v").await;
    let keys = server.json("/v1/kv/t/?keys").await;
    assert_eq!(keys, json!(["t/1", "t/a/1", "t/a/2"]));
    assert_eq!(server.json("/v1/kv/t/?keys&separator=/").await, json!(["t/1", "t/a/"]));
    assert_eq!(server.json("/v1/kv/?keys&separator=/").await, json!(["t/", "u"]));
    assert_eq!(server.json("/v1/kv/t?recurse").await.as_array().unwrap().len(), 3);
    assert_eq!(delete(&server, "/v1/kv/t/?recurse").await.json(), json!(true));
    assert_eq!(server.json("/v1/kv/?keys").await, json!(["u"]));
    assert_eq!(server.json("/v1/kv/?keys&ns=shop").await, json!(["t/other"]));
}

#[tokio::test]
async fn a_large_tree_is_read_and_deleted_whole() {
    let server = Server::start().await;
    for number in 0..1_100 {
        put(&server, &format!("/v1/kv/many/{number:04}"), "v").await;
    }
    assert_eq!(server.json("/v1/kv/many/?recurse").await.as_array().unwrap().len(), 1_100);
    assert_eq!(delete(&server, "/v1/kv/many?recurse").await.json(), json!(true));
    assert_eq!(server.get("/v1/kv/many?keys").await.status, 404);
}

#[tokio::test]
async fn a_put_of_the_same_changes_no_index() {
    let server = Server::start().await;
    put(&server, "/v1/kv/k", "same").await;
    let before = server.json("/v1/kv/k").await;
    put(&server, "/v1/kv/k", "same").await;
    assert_eq!(server.json("/v1/kv/k").await, before);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let server = Server::start().await;
    for (method, path, status, begins) in [
        (Method::GET, "/v1/kv/", 400, "Missing key name"),
        (Method::PUT, "/v1/kv/", 400, "Missing key name"),
        (Method::DELETE, "/v1/kv/", 400, "Missing key name"),
        (Method::PUT, "/v1/kv/k?acquire=s", 400, "acquire is not supported"),
        (Method::PUT, "/v1/kv/k?release=s", 400, "release is not supported"),
        (Method::PUT, "/v1/kv/k?cas=x", 400, "Invalid cas"),
        (Method::PUT, "/v1/kv/k?flags=-1", 400, "Invalid flags"),
        (Method::PUT, "/v1/kv//k", 400, "Invalid key"),
        (Method::DELETE, "/v1/kv/k?recurse&cas=1", 400, "Conflicting flags"),
        (Method::GET, "/v1/kv/k?dc=dc2", 500, "No path to datacenter"),
    ] {
        let answer = server.call(method.clone(), path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.text().starts_with(begins), "{method} {path}: {}", answer.text());
    }
    let long = server.put(&format!("/v1/kv/{}", "k".repeat(3_000)), "v").await;
    assert_eq!(long.status, 400);
}

#[tokio::test]
async fn keys_may_hold_any_characters() {
    let server = Server::start().await;
    put(&server, "/v1/kv/sp%20ace/%C3%BC/a%2Fb", "v").await;
    assert_eq!(server.json("/v1/kv/?keys").await, json!(["sp ace/ü/a/b"]));
}
