//! The management API of a broker that runs, asked over HTTP as `rabbitmqadmin` and scripts ask it.

mod management {
    pub(crate) mod client;
    mod metrics;
    mod rights;
    mod trouble;
}

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use management::client::{Api, Reply};

#[tokio::test]
async fn without_a_login_there_is_a_page_and_nothing_else() {
    let api = Api::start().await;
    assert_eq!(api.as_nobody("GET", "/").await.status, 200);
    let refused = api.as_nobody("GET", "/api/overview").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"RabbitMQ Management\""));
    assert_eq!(refused.json()["error"], "not_authorized");
}

#[tokio::test]
async fn what_is_not_there_is_said_as_rabbitmq_says_it() {
    let api = Api::start().await;
    let missing = json!({"error": "Object Not Found", "reason": "Not Found"});
    for path in [
        "/api/queues/%2F/none",
        "/api/vhosts/none",
        "/api/users/none",
        "/api/nothing",
        "/api/queues/none",
        "/api/vhosts/none/permissions",
    ] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, reply.json()), (404, missing.clone()), "{path}");
    }
    assert_eq!(api.ask("POST", "/api/queues/%2F/q", json!({})).await.status, 405);
    assert_eq!(api.ask("DELETE", "/api/reset", json!({})).await.status, 405);
    assert_eq!(api.put_text("/api/queues/%2F/q", "{").await.json()["reason"], "not_json");
}

#[tokio::test]
async fn a_queue_is_made_once_and_made_otherwise_never() {
    let api = Api::start().await;
    let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    assert_eq!(api.put("/api/queues/%2F/q", quorum.clone()).await.status, 201);
    assert_eq!(api.put("/api/queues/%2F/q", quorum).await.status, 204);
    let otherwise = api.put("/api/queues/%2F/q", json!({"durable": true})).await;
    assert_eq!(otherwise.status, 400);
    let reason = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/'";
    assert!(otherwise.json()["reason"].as_str().unwrap().starts_with(reason));
    let queue = api.get("/api/queues/%2F/q").await.json();
    assert_eq!(
        (&queue["type"], &queue["messages"], &queue["vhost"]),
        (&json!("quorum"), &json!(0), &json!("/"))
    );
    assert_eq!(api.delete("/api/queues/%2F/q").await.status, 204);
    assert_eq!(api.delete("/api/queues/%2F/q").await.status, 404);
}

#[tokio::test]
async fn a_message_is_published_looked_at_and_taken() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    let properties = json!({"delivery_mode": 2, "headers": {"n": 1}, "content_type": "text/plain"});
    let publish = json!({
        "routing_key": "q", "payload": "hello", "payload_encoding": "string", "properties": properties,
    });
    let to = "/api/exchanges/%2F/amq.default/publish";
    assert_eq!(api.ask("POST", to, publish).await.json(), json!({"routed": true}));
    let nowhere = json!({"routing_key": "no", "payload": "", "payload_encoding": "string"});
    assert_eq!(api.ask("POST", to, nowhere).await.json(), json!({"routed": false}));
    assert_eq!(api.delete("/api/queues/%2F/q?if-empty=true").await.status, 400);
    let look = api.take("q", "ack_requeue_true").await;
    assert_eq!((&look[0]["payload"], &look[0]["redelivered"]), (&json!("hello"), &json!(false)));
    assert_eq!(look[0]["properties"], properties);
    assert_eq!(api.take("q", "ack_requeue_false").await[0]["redelivered"], true);
    assert_eq!(api.take("q", "ack_requeue_false").await, json!([]));
}

#[tokio::test]
async fn messages_that_are_taken_for_good_are_acknowledged_when_all_are_there() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    api.publish("amq.default", "q", "a").await;
    api.publish("amq.default", "q", "b").await;
    let get = json!({"count": 5, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let got = api.ask("POST", "/api/queues/%2F/q/get", get).await.json();
    assert_eq!((&got[0]["payload"], &got[1]["payload"], &got[2]), (&json!("a"), &json!("b"), &Value::Null));
    let queue = api.get("/api/queues/%2F/q").await.json();
    let stats = &queue["message_stats"];
    assert_eq!((&stats["get"], &stats["get_no_ack"], &stats["ack"]), (&json!(2), &json!(0), &json!(2)));
    assert_eq!(queue["messages"], 0);
}

#[tokio::test]
async fn a_large_binary_message_survives_and_is_cut_where_asked() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap_or(0) | 0x80).collect();
    let payload = STANDARD.encode(&body);
    let publish =
        json!({"routing_key": "q", "payload": payload, "payload_encoding": "base64", "properties": {}});
    api.ask("POST", "/api/exchanges/%2F/amq.default/publish", publish).await;
    let get = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 10});
    let cut = api.ask("POST", "/api/queues/%2F/q/get", get).await.json();
    assert_eq!(
        (&cut[0]["payload_bytes"], &cut[0]["payload_encoding"]),
        (&json!(3_000_000), &json!("base64"))
    );
    assert_eq!(STANDARD.decode(cut[0]["payload"].as_str().unwrap()).unwrap(), body[..10]);
    assert_eq!(api.take("q", "ack_requeue_false").await[0]["payload"], payload);
}

#[tokio::test]
async fn a_rejected_message_goes_to_the_dead_letter_exchange() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/dead", json!({})).await;
    let arguments = json!({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"});
    api.put("/api/queues/%2F/q", json!({ "arguments": arguments })).await;
    api.publish("amq.default", "q", "m").await;
    assert_eq!(api.take("q", "reject_requeue_false").await[0]["payload"], "m");
    assert_eq!(api.take("dead", "ack_requeue_true").await[0]["payload"], "m");
}

#[tokio::test]
async fn a_purge_empties_a_queue() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    for _ in 0..3 {
        api.publish("amq.default", "q", "m").await;
    }
    assert_eq!(api.get("/api/queues/%2F/q").await.json()["messages_ready"], 3);
    assert_eq!(api.delete("/api/queues/%2F/q/contents").await.status, 204);
    assert_eq!(api.get("/api/queues/%2F/q").await.json()["messages_ready"], 0);
}

#[tokio::test]
async fn a_binding_is_found_again_by_the_key_it_was_given() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/a%2Fb", json!({})).await;
    api.put("/api/exchanges/%2F/x", json!({"type": "topic"})).await;
    let wish = json!({"routing_key": "k.#", "arguments": {"n": 1}});
    let made = api.ask("POST", "/api/bindings/%2F/e/x/q/a%2Fb", wish).await;
    assert_eq!(made.status, 201);
    let place = made.header("location").unwrap().to_owned();
    let place = format!("/api/bindings/%2F/e/x/q/{place}");
    let binding = api.get(&place).await.json();
    assert_eq!((&binding["routing_key"], &binding["arguments"]), (&json!("k.#"), &json!({"n": 1})));
    let from = api.get("/api/exchanges/%2F/x/bindings/source").await.json();
    let to = api.get("/api/queues/%2F/a%2Fb/bindings").await.json();
    assert_eq!((from.as_array().unwrap().len(), to.as_array().unwrap().len()), (1, 2));
    assert_eq!(api.delete(&place).await.status, 204);
    assert_eq!(api.delete(&place).await.status, 404);
}

#[tokio::test]
async fn an_exchange_in_use_is_kept_where_that_is_asked() {
    let api = Api::start().await;
    api.put("/api/exchanges/%2F/x", json!({"type": "fanout"})).await;
    api.put("/api/queues/%2F/q", json!({})).await;
    api.ask("POST", "/api/bindings/%2F/e/x/q/q", json!({})).await;
    assert_eq!(api.delete("/api/exchanges/%2F/x?if-unused=true").await.status, 400);
    assert_eq!(api.delete("/api/exchanges/%2F/x").await.status, 204);
    assert_eq!(api.put("/api/exchanges/%2F/y", json!({"type": "nonsense"})).await.status, 400);
    assert_eq!(api.put("/api/exchanges/%2F/amq.y", json!({"type": "fanout"})).await.status, 401);
}

#[tokio::test]
async fn users_do_what_their_tags_and_permissions_allow() {
    let api = Api::start().await;
    api.put("/api/vhosts/other", json!({})).await;
    api.put("/api/queues/%2F/q", json!({})).await;
    for (user, tags) in [("app", ""), ("mgmt", "management"), ("mon", "monitoring")] {
        api.put(&format!("/api/users/{user}"), json!({"password": "p", "tags": tags})).await;
    }
    let permission = json!({"configure": "^mine", "write": ".*", "read": ".*"});
    assert_eq!(api.put("/api/permissions/%2F/mgmt", permission).await.status, 201);
    assert_eq!(api.by("app", "GET", "/api/whoami").await.status, 401);
    let names = |reply: Reply| -> Vec<String> {
        reply.json().as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(api.by("mgmt", "GET", "/api/vhosts").await), ["/"]);
    assert_eq!(names(api.by("mon", "GET", "/api/vhosts").await), ["/", "other"]);
    assert_eq!(names(api.by("mgmt", "GET", "/api/queues").await), ["q"]);
    assert_eq!(api.by("mgmt", "GET", "/api/queues/other").await.status, 401);
    assert_eq!(api.by("mgmt", "GET", "/api/users").await.status, 401);
    assert_eq!(api.by("mgmt", "GET", "/api/nodes").await.status, 401);
    assert_eq!(api.by("mon", "GET", "/api/nodes").await.status, 200);
    assert_eq!(api.by("mgmt", "PUT", "/api/queues/%2F/mine").await.status, 201);
    assert_eq!(api.by("mgmt", "PUT", "/api/queues/%2F/yours").await.status, 401);
    assert_eq!(api.by("mon", "PUT", "/api/queues/%2F/mine").await.status, 401);
    assert_eq!(api.by("mgmt", "PUT", "/api/policies/%2F/p").await.status, 401);
}

#[tokio::test]
async fn a_virtual_host_that_was_deleted_begins_empty_when_it_is_made_again() {
    let api = Api::start().await;
    assert_eq!(api.put("/api/vhosts/v", json!({"description": "d"})).await.status, 201);
    assert_eq!(api.put("/api/vhosts/v", json!({})).await.status, 204);
    assert_eq!(api.get("/api/vhosts/v").await.json()["description"], "d");
    api.put("/api/queues/v/q", json!({})).await;
    assert_eq!(api.delete("/api/vhosts/v").await.status, 204);
    assert_eq!(api.get("/api/queues/v").await.status, 404);
    assert_eq!(api.put("/api/vhosts/v", json!({})).await.status, 201);
    assert_eq!(api.get("/api/queues/v").await.json(), json!([]));
}

#[tokio::test]
async fn of_two_changes_of_a_virtual_host_at_once_neither_is_lost() {
    let api = Api::start().await;
    api.put("/api/vhosts/v", json!({})).await;
    for n in 0..10 {
        let (description, tag) = (format!("d{n}"), format!("t{n}"));
        let changes = (json!({ "description": description }), json!({ "tags": tag }));
        tokio::join!(api.put("/api/vhosts/v", changes.0), api.put("/api/vhosts/v", changes.1));
        let vhost = api.get("/api/vhosts/v").await.json();
        assert_eq!((&vhost["description"], &vhost["tags"]), (&json!(description), &json!([tag])));
    }
}

#[tokio::test]
async fn a_policy_takes_hold_and_lets_go() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({})).await;
    let wish = json!({"pattern": "^q", "definition": {"max-length": 2}, "apply-to": "queues"});
    assert_eq!(api.put("/api/policies/%2F/p", wish.clone()).await.status, 201);
    assert_eq!(api.put("/api/policies/%2F/p", wish).await.status, 204);
    let queue = api.get("/api/queues/%2F/q").await.json();
    assert_eq!(
        (&queue["policy"], &queue["effective_policy_definition"]),
        (&json!("p"), &json!({"max-length": 2}))
    );
    for _ in 0..3 {
        api.publish("amq.default", "q", "m").await;
    }
    assert_eq!(api.get("/api/queues/%2F/q").await.json()["messages"], 2);
    let wrong =
        api.put("/api/policies/%2F/p", json!({"pattern": "(", "definition": {"max-length": 1}})).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(api.delete("/api/policies/%2F/p").await.status, 204);
    assert_eq!(api.get("/api/queues/%2F/q").await.json()["policy"], Value::Null);
}

#[tokio::test]
async fn definitions_carry_everything_to_another_broker() {
    let api = Api::start().await;
    api.put("/api/vhosts/v", json!({})).await;
    api.put("/api/users/ann", json!({"password": "secret", "tags": ["administrator"]})).await;
    api.put("/api/permissions/v/ann", json!({"configure": "", "write": "", "read": ""})).await;
    api.put("/api/queues/v/q", json!({"durable": true, "arguments": {"x-max-length": 5}})).await;
    api.put("/api/exchanges/v/x", json!({"durable": true, "type": "headers"})).await;
    api.ask("POST", "/api/bindings/v/e/x/q/q", json!({"arguments": {"x-match": "any", "k": "v"}})).await;
    api.put("/api/policies/v/p", json!({"pattern": ".*", "definition": {"expires": 1000}})).await;
    api.put("/api/vhost-limits/v/max-queues", json!({"value": 3})).await;
    let exported = api.get("/api/definitions").await.json();

    let other = Api::start().await;
    assert_eq!(other.ask("POST", "/api/definitions", exported.clone()).await.status, 204);
    let again = other.get("/api/definitions").await.json();
    for part in ["vhosts", "permissions", "parameters", "policies", "queues", "exchanges", "bindings"] {
        assert_eq!(again[part], exported[part], "{part}");
    }
    assert_eq!(other.with("ann", "secret", "GET", "/api/whoami").await.status, 200);
    let wrong = json!({"queues": [{"name": "q", "vhost": "v", "arguments": {"x-max-length": 6}}]});
    assert_eq!(other.ask("POST", "/api/definitions", wrong).await.status, 204, "what is there stays");
    assert_eq!(other.get("/api/queues/v/q").await.json()["arguments"]["x-max-length"], 5);
}

#[tokio::test]
async fn what_was_declared_is_there_after_a_restart() {
    let api = Api::start().await;
    api.put("/api/queues/%2F/q", json!({"durable": true})).await;
    api.put("/api/users/ann", json!({"password": "p", "tags": "management"})).await;
    api.put("/api/policies/%2F/p", json!({"pattern": ".*", "definition": {"max-length": 9}})).await;
    let publish = json!({
        "routing_key": "q", "payload": "kept", "payload_encoding": "string", "properties": {"delivery_mode": 2},
    });
    api.ask("POST", "/api/exchanges/%2F/amq.default/publish", publish).await;
    let api = api.restart().await;
    let queue = api.get("/api/queues/%2F/q").await.json();
    assert_eq!((&queue["messages"], &queue["policy"]), (&json!(1), &json!("p")));
    assert_eq!(api.by("ann", "GET", "/api/whoami").await.status, 200);
    assert_eq!(api.take("q", "ack_requeue_true").await[0]["payload"], "kept");
}

#[tokio::test]
async fn lists_come_in_pages_with_columns() {
    let api = Api::start().await;
    for n in 0..25 {
        api.put(&format!("/api/queues/%2F/q{n:02}"), json!({})).await;
    }
    let page =
        api.get("/api/queues?page=2&page_size=10&columns=name&sort=name&sort_reverse=true").await.json();
    assert_eq!(page["items"][0], json!({"name": "q14"}));
    let sizes = ["filtered_count", "item_count", "page", "page_count", "page_size", "total_count"];
    let sizes: Vec<_> = sizes.iter().map(|name| page[*name].as_u64().unwrap()).collect();
    assert_eq!(sizes, [25, 10, 2, 3, 10, 25]);
    assert_eq!(api.get("/api/queues?page=9").await.json()["error"], "page_out_of_range");
}

#[tokio::test]
async fn health_checks_pass_and_a_port_that_is_not_there_fails() {
    let api = Api::start().await;
    for check in
        ["alarms", "local-alarms", "virtual-hosts", "node-is-quorum-critical", "protocol-listener/amqp"]
    {
        assert_eq!(api.get(&format!("/api/health/checks/{check}")).await.json()["status"], "ok", "{check}");
    }
    let failed = api.get("/api/health/checks/port-listener/1").await;
    assert_eq!((failed.status, &failed.json()["reason"]), (503, &json!("No active listener")));
    assert_eq!(api.get("/api/aliveness-test/%2F").await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn a_connection_is_seen_and_closed_with_the_reason_given() {
    let api = Api::start().await;
    let mut client = api.amqp().await;
    let connection = api.eventually("/api/connections", |list| list[0]["name"].is_string()).await[0].clone();
    assert_eq!((&connection["user"], &connection["state"]), (&json!("guest"), &json!("running")));
    let name = management::client::encode(connection["name"].as_str().unwrap());
    assert_eq!(api.get(&format!("/api/connections/{name}")).await.json()["name"], connection["name"]);
    let closed = api.delete_because(&format!("/api/connections/{name}"), "maintenance").await;
    assert_eq!(closed.status, 204);
    let said = tokio::time::timeout(Duration::from_secs(5), client.until(b"maintenance")).await;
    assert!(said.is_ok(), "the client reads why it was closed");
}
