//! Who may do and see what.

use std::time::Duration;

use serde_json::json;

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
