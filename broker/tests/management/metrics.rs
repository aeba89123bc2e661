//! What Prometheus reads.

use std::collections::BTreeSet;

use serde_json::json;

use super::client::Api;

#[tokio::test]
async fn metrics_count_what_happened() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    api.publish("amq.default", "q", "m").await;
    let all = api.as_nobody("GET", "/metrics").await.text();
    assert!(all.contains("\nrabbitmq_queue_messages_ready 1\n"));
    assert!(all.contains("\nrabbitmq_global_messages_received_total{protocol=\"amqp091\"} 1\n"));
    let each = api.as_nobody("GET", "/metrics/per-object").await.text();
    assert!(each.contains("\nrabbitmq_queue_messages{vhost=\"/\",queue=\"q\"} 1\n"));
}

#[tokio::test]
async fn details_are_told_of_what_is_asked_for() {
    let api = Api::start().await;
    api.put("/api/vhosts/v", json!({})).await;
    for vhost in ["%2F", "v"] {
        api.put(&format!("/api/queues/{vhost}/q"), json!({})).await;
    }
    let unasked = api.as_nobody("GET", "/metrics/detailed").await.text();
    assert!(unasked.contains("rabbitmq_endpoint=\"detailed\"") && !unasked.contains("queue"), "{unasked}");
    let asked = "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count&vhost=v";
    let details = api.as_nobody("GET", asked).await.text();
    let values: Vec<&str> = details.lines().filter(|line| line.starts_with("rabbitmq_detailed_")).collect();
    let wanted = [
        "rabbitmq_detailed_queue_messages_ready{vhost=\"v\",queue=\"q\"} 0",
        "rabbitmq_detailed_queue_messages_unacked{vhost=\"v\",queue=\"q\"} 0",
        "rabbitmq_detailed_queue_messages{vhost=\"v\",queue=\"q\"} 0",
        "rabbitmq_detailed_queue_consumers{vhost=\"v\",queue=\"q\"} 0",
    ];
    assert_eq!(values, wanted);
}

#[tokio::test]
async fn files_and_sockets_of_the_process_are_counted() {
    let api = Api::start().await;
    let metrics = api.as_nobody("GET", "/metrics").await.text();
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
    };
    let (open, most) = (value("rabbitmq_process_open_fds"), value("rabbitmq_process_max_fds"));
    let sockets = value("rabbitmq_process_open_tcp_sockets");
    assert!(sockets >= 2 && open > sockets && most >= open, "{sockets} {open} {most}");
}

/// The families of `/metrics/detailed`.
const FAMILIES: [&str; 13] = [
    "queue_coarse_metrics",
    "queue_metrics",
    "queue_delivery_metrics",
    "channel_queue_exchange_metrics",
    "connection_coarse_metrics",
    "connection_metrics",
    "channel_metrics",
    "channel_exchange_metrics",
    "connection_churn_metrics",
    "node_coarse_metrics",
    "node_metrics",
    "vhost_status",
    "exchange_names",
];

#[tokio::test]
async fn the_docs_name_every_metric_with_its_kind_and_no_other() {
    let api = Api::start().await;
    let families: Vec<String> = FAMILIES.iter().map(|family| format!("family={family}")).collect();
    let detailed = format!("/metrics/detailed?{}", families.join("&"));
    let mut told = BTreeSet::new();
    for path in ["/metrics", "/metrics/per-object", &detailed] {
        let page = api.as_nobody("GET", path).await.text();
        let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        told.extend(kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    }
    assert!(told.len() > 60, "{told:?}");
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let docs = std::fs::read_to_string(docs).expect("docs/metrics.md is there");
    let (_, section) = docs.split_once("## Of the message broker\n").expect("it has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: BTreeSet<_> = rows
        .map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap_or_default().to_owned()))
        .collect();
    assert!(listed == told, "only in the docs or only served: {:?}", &listed ^ &told);
    for family in FAMILIES {
        assert!(section.contains(&format!("`{family}`")), "the docs do not name the family {family}");
    }
}
