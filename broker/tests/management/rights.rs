//! Who may do and see what.

use std::time::Duration;

use super::client::Api;

#[tokio::test]
async fn definitions_are_refused_before_they_are_read() {
    let api = Api::start().await;
    api.add_user("mgmt", "management").await;
    let answer = api.answer_to_head("mgmt", "POST /api/definitions", 100_000_000);
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("nothing is waited for");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
