//! Who may do and see what.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::client::Api;

#[tokio::test]
async fn definitions_are_refused_before_they_are_read() {
    let api = Api::start().await;
    api.add_user("mgmt", "management").await;
    let answer = api.answer_to_head("mgmt", "POST /api/definitions", 100_000_000);
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("nothing is waited for");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn the_connections_of_a_user_end_when_it_is_deleted() {
    let api = Api::start().await;
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    for user in ["ann", "bob"] {
        api.add_user(user, "").await;
        api.put(&format!("/api/permissions/%2F/{user}"), all.clone()).await;
    }
    let (mut ann, mut bob) = (api.amqp_as("ann", "p").await, api.amqp_as("bob", "p").await);
    let mut guest = api.amqp().await;
    assert_eq!(api.delete("/api/users/ann").await.status, 204);
    assert_eq!(api.delete("/api/users/ann").await.status, 404);
    assert_eq!(api.ask("POST", "/api/users/bulk-delete", json!({"users": ["bob", "cyd"]})).await.status, 204);
    let told = async {
        ann.until(b"CONNECTION_FORCED - user 'ann' was deleted").await;
        bob.until(b"CONNECTION_FORCED - user 'bob' was deleted").await;
    };
    tokio::time::timeout(Duration::from_secs(5), told).await.expect("both are told");
    api.put("/api/queues/%2F/q", json!({})).await;
    guest.consume("q").await;
}

#[tokio::test]
async fn a_policymaker_changes_policies_where_it_has_permissions() {
    let api = Api::start().await;
    // Who may monitor as well sees every virtual host.
    api.add_user("pol", "policymaker,monitoring").await;
    for method in ["PUT", "DELETE"] {
        assert_eq!(api.by("pol", method, "/api/policies/%2F/p").await.status, 401, "{method}");
    }
    assert_eq!(api.by("pol", "DELETE", "/api/policies/none/p").await.status, 404);
    let none = json!({"configure": "", "write": "", "read": ""});
    api.put("/api/permissions/%2F/pol", none).await;
    assert_eq!(api.by("pol", "DELETE", "/api/policies/%2F/p").await.status, 404);
    let incomplete = api.by("pol", "PUT", "/api/policies/%2F/p").await;
    assert_eq!(incomplete.json()["reason"], "[{key_missing,pattern}]");
    assert_eq!(api.by("pol", "DELETE", "/api/operator-policies/%2F/p").await.status, 401);
}

#[tokio::test]
async fn consumers_are_seen_by_their_user_and_by_monitors() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    for (user, tag) in [("mgmt", "management"), ("mon", "monitoring")] {
        api.add_user(user, tag).await;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        api.put(&format!("/api/permissions/%2F/{user}"), all).await;
    }
    let (mut other, mut own) = (api.amqp().await, api.amqp_as("mgmt", "p").await);
    other.consume("q").await;
    own.consume("q").await;
    let users = |list: Value| -> BTreeSet<String> {
        let of = |consumer: &Value| consumer["channel_details"]["user"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(of).collect()
    };
    let seen = api.by("mgmt", "GET", "/api/consumers").await.json();
    assert_eq!(users(seen), ["mgmt".to_owned()].into());
    let seen = api.by("mon", "GET", "/api/consumers").await.json();
    assert_eq!(users(seen), ["guest".to_owned(), "mgmt".to_owned()].into());
}
