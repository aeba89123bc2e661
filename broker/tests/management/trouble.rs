//! What is said and refused while something is wrong: memory, disk, log, a virtual host that has ended.

use serde_json::json;
use weft_broker::vhost::Blocked;

use super::client::Api;

async fn block(api: &Api, reason: Blocked) {
    api.vhost("/").with(move |vhost| vhost.set_blocked(reason, true)).await.expect("it runs");
}

async fn alarms(api: &Api) -> Vec<String> {
    let alarms = api.get("/api/health/checks/alarms").await;
    assert_eq!(alarms.status, 503);
    let local = api.get("/api/health/checks/local-alarms").await;
    assert_eq!(local.json(), alarms.json());
    let of = |alarm: &serde_json::Value| alarm["resource"].as_str().expect("a text").to_owned();
    let alarms = alarms.json();
    let alarms = alarms.get("alarms").and_then(serde_json::Value::as_array).expect("a list");
    alarms.iter().map(of).collect()
}

#[tokio::test]
async fn a_full_disk_and_a_failed_log_are_alarms() {
    let api = Api::start().await;
    block(&api, Blocked::DiskFull).await;
    assert_eq!(alarms(&api).await, ["disk"]);
    assert_eq!(api.get("/api/health/checks/virtual-hosts").await.status, 200);
    block(&api, Blocked::LogFailed).await;
    assert_eq!(alarms(&api).await, ["disk", "message_log"]);
    let down = api.get("/api/health/checks/virtual-hosts").await;
    assert_eq!((down.status, &down.json()["virtual-hosts"]), (503, &json!(["/"])));
    assert_eq!(api.get("/api/health/checks/ready-to-serve-clients").await.status, 503);
    let metrics = api.as_nobody("GET", "/metrics").await.text();
    assert!(metrics.contains("\nrabbitmq_alarms_free_disk_space_watermark 1\n"));
    assert!(metrics.contains("\nweft_broker_log_failed 1\n"));
}

#[tokio::test]
async fn nothing_is_published_over_http_while_publishers_wait() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    let publish = json!({"routing_key": "q", "payload": "m", "payload_encoding": "string"});
    for (reason, said) in [
        (Blocked::Memory, "publishers are blocked: low on memory"),
        (Blocked::Disk, "publishers are blocked: low on disk"),
        (Blocked::DiskFull, "publishers are blocked: low on disk"),
        (Blocked::LogFailed, "publishers are blocked: the message log failed"),
    ] {
        block(&api, reason).await;
        let refused = api.ask("POST", "/api/exchanges/%2F/amq.default/publish", publish.clone()).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (503, &json!(said)), "{reason:?}");
        if reason != Blocked::LogFailed {
            api.vhost("/").with(move |vhost| vhost.set_blocked(reason, false)).await.expect("it runs");
        }
    }
    assert_eq!(api.get("/api/queues/%2F/q").await.json()["messages"], 0);
}

#[tokio::test]
async fn a_virtual_host_that_has_ended_is_told_of_and_hides_no_other() {
    let api = Api::start().await;
    api.put("/api/vhosts/v", json!({})).await;
    api.put("/api/queues/%2F/q", json!({})).await;
    let ended = api.vhost("v").with::<()>(|_| panic!("a test ends this thread")).await;
    assert!(ended.is_err());
    for check in ["virtual-hosts", "ready-to-serve-clients"] {
        let down = api.get(&format!("/api/health/checks/{check}")).await;
        assert_eq!((down.status, &down.json()["virtual-hosts"]), (503, &json!(["v"])), "{check}");
    }
    let queues = api.get("/api/queues").await.json();
    assert_eq!((queues.as_array().unwrap().len(), &queues[0]["name"]), (1, &json!("q")));
    for path in ["/api/overview", "/api/exchanges", "/api/bindings", "/api/connections", "/api/policies"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    assert_eq!(api.get("/api/queues/v").await.status, 503);
    assert_eq!(
        api.get("/api/definitions").await.status,
        503,
        "what is kept of it is not left out in silence"
    );
    let metrics = api.as_nobody("GET", "/metrics").await.text();
    assert!(metrics.contains("\nweft_broker_virtual_hosts_down 1\n"));
    assert!(metrics.contains("\nrabbitmq_queues 1\n"));
    let status = api.as_nobody("GET", "/metrics/detailed?family=vhost_status").await.text();
    assert!(status.contains("\nrabbitmq_cluster_vhost_status{vhost=\"v\"} 0\n"));
}
