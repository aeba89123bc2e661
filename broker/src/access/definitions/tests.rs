//! Documents as RabbitMQ writes them are read, and written again with nothing lost.

use serde_json::json;

use super::*;

/// Of RabbitMQ 4.1, shortened.
fn export() -> Value {
    json!({
        "rabbit_version": "4.1.0",
        "rabbitmq_version": "4.1.0",
        "product_name": "RabbitMQ",
        "product_version": "4.1.0",
        "rabbitmq_definition_format": "cluster",
        "original_cluster_name": "rabbit@host",
        "explanation": "Definitions of cluster 'rabbit@host'",
        "users": [{
            "name": "guest",
            "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["administrator"],
            "limits": {"max-connections": 10}
        }],
        "vhosts": [{
            "name": "/",
            "description": "Default virtual host",
            "tags": [],
            "default_queue_type": "classic",
            "metadata": {"description": "Default virtual host", "tags": [], "default_queue_type": "classic"}
        }],
        "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        "topic_permissions": [
            {"user": "guest", "vhost": "/", "exchange": "amq.topic", "write": "^a", "read": ".*"}
        ],
        "parameters": [
            {"vhost": "/", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 100}},
            {"vhost": "/", "component": "operator_policy", "name": "cap", "value": {
                "pattern": ".*", "definition": {"max-length": 1000}, "priority": 0, "apply-to": "queues"
            }}
        ],
        "global_parameters": [{"name": "cluster_tags", "value": []}],
        "policies": [{
            "vhost": "/", "name": "dlx", "pattern": "^work\\.", "apply-to": "classic_queues",
            "definition": {"dead-letter-exchange": "dlx", "message-ttl": 60000}, "priority": 7
        }],
        "queues": [{
            "name": "work.a", "vhost": "/", "type": "quorum", "durable": true, "auto_delete": false,
            "arguments": {"x-queue-type": "quorum", "x-max-length": 10}
        }],
        "exchanges": [{
            "name": "dlx", "vhost": "/", "type": "fanout", "durable": true, "auto_delete": false,
            "internal": false, "arguments": {}
        }],
        "bindings": [{
            "source": "dlx", "vhost": "/", "destination": "work.a", "destination_type": "queue",
            "routing_key": "", "arguments": {}
        }]
    })
}

#[test]
fn an_export_is_written_as_it_was_read() {
    let read: Definitions = serde_json::from_value(export()).unwrap();
    assert_eq!(read.version(), Some("4.1.0"));
    assert_eq!(read.policies[0].apply_to, "classic_queues");
    assert_eq!(serde_json::to_value(&read).unwrap(), export());
}

#[test]
fn older_forms_are_read() {
    let old = json!({
        "rabbit_version": "3.7.8",
        "users": [
            {"name": "a", "password_hash": "x", "tags": "administrator,monitoring"},
            {"name": "b", "password_hash": "x", "tags": "", "limits": []}
        ],
        "policies": [{"vhost": "/", "name": "p", "pattern": "", "definition": {}}],
        "exchanges": [{"name": "x", "vhost": "/", "type": "topic", "arguments": []}],
        "of_the_future": [1, 2, 3]
    });
    let read: Definitions = serde_json::from_value(old).unwrap();
    assert_eq!(read.users[0].tags, ["administrator", "monitoring"]);
    assert!(read.users[1].tags.is_empty() && read.users[1].limits.is_empty());
    assert_eq!((read.policies[0].apply_to.as_str(), read.policies[0].priority), ("all", 0));
    assert!(read.exchanges[0].durable && !read.exchanges[0].internal);
}

#[test]
fn a_password_in_clear_is_read_and_never_written() {
    let read: Definitions =
        serde_json::from_value(json!({"users": [{"name": "a", "password": "s3cret"}]})).unwrap();
    assert_eq!(read.users[0].password.as_deref(), Some("s3cret"));
    assert!(!serde_json::to_string(&read).unwrap().contains("s3cret"));
}

#[test]
fn an_export_of_one_vhost_is_placed() {
    let mut read: Definitions = serde_json::from_value(json!({
        "queues": [{"name": "q", "durable": true, "auto_delete": false, "arguments": {}}],
        "bindings": [{"source": "x", "destination": "q", "destination_type": "queue"}],
        "policies": [{"vhost": "/other", "name": "p", "pattern": "", "definition": {}}]
    }))
    .unwrap();
    read.place_in("/here");
    assert_eq!(read.queues[0].vhost.as_deref(), Some("/here"));
    assert_eq!(read.bindings[0].vhost.as_deref(), Some("/here"));
    assert_eq!(read.policies[0].vhost.as_deref(), Some("/other"));
}
