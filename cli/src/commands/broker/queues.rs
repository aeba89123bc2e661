//! `weft queues`: all of them as a table, or one in detail.

use serde_json::{Value, json};

use super::{
    columns::{Column, arguments, bytes, exchange, rate, size, text},
    lists,
};
use crate::{
    args::{QueuesOptions, ResourceFormat},
    broker::Management,
    commands::Answer,
    output,
};

const QUEUES: [Column; 15] = [
    Column::new("vhost", |item| text(item, "/vhost")),
    Column::new("name", |item| text(item, "/name")),
    Column::new("type", |item| text(item, "/type")),
    Column::new("ready", |item| text(item, "/messages_ready")),
    Column::new("unacked", |item| text(item, "/messages_unacknowledged")),
    Column::new("consumers", |item| text(item, "/consumers")),
    Column::new("state", |item| text(item, "/state")),
    Column::new("policy", |item| text(item, "/policy")),
    Column::wide("bytes", |item| bytes(item, "/message_bytes")),
    Column::wide("memory", |item| bytes(item, "/memory")),
    Column::wide("in", |item| rate(item, "publish")),
    Column::wide("out", |item| rate(item, "deliver_get")),
    Column::wide("acked", |item| rate(item, "ack")),
    Column::wide("durable", |item| text(item, "/durable")),
    Column::wide("arguments", |item| arguments(item, "/arguments")),
];

/// Shows all or one.
pub(super) async fn run(options: &QueuesOptions) -> anyhow::Result<Answer> {
    match &options.name {
        None => lists::show(&options.list, "queues", &QUEUES, |_| true).await,
        Some(name) => one(options, name).await,
    }
}

async fn one(options: &QueuesOptions, name: &str) -> anyhow::Result<Answer> {
    let (vhost, format) = (options.vhost_of_one(), options.list.format);
    let management = Management::new(&options.list.management)?;
    let Some(queue) = management.queue(vhost, name).await? else {
        return no_queue(vhost, name);
    };
    let bindings = management.bindings_of(vhost, name).await?;
    match format {
        ResourceFormat::Json => output::json(&with_bindings(queue, &bindings))?,
        ResourceFormat::Yaml => {
            output::line(serde_yaml::to_string(&with_bindings(queue, &bindings))?.trim_end())?;
        }
        ResourceFormat::Table | ResourceFormat::Wide => {
            for line in describe(&queue, &bindings) {
                output::line(line)?;
            }
        }
    }
    Ok(Answer::Yes)
}

/// What is said of a queue that is not there.
pub(super) fn no_queue(vhost: &str, name: &str) -> anyhow::Result<Answer> {
    output::note(format!(
        "there is no queue {name} in the virtual host {vhost}; `weft queues` lists those there are"
    ));
    Ok(Answer::No)
}

fn with_bindings(mut queue: Value, bindings: &[Value]) -> Value {
    if let Value::Object(queue) = &mut queue {
        queue.insert("bindings".to_owned(), json!(bindings));
    }
    queue
}

/// A queue as lines.
fn describe(queue: &Value, bindings: &[Value]) -> Vec<String> {
    let of = |place: &str| text(queue, place);
    let number = |place: &str| queue.pointer(place).and_then(Value::as_u64).unwrap_or_default();
    let mut lines = vec![
        format!("{} in the virtual host {}: {}, {}", of("/name"), of("/vhost"), of("/type"), of("/state")),
        format!(
            "  messages   {} ready, {} unacked, {}",
            number("/messages_ready"),
            number("/messages_unacknowledged"),
            size(number("/message_bytes"))
        ),
        format!(
            "  rates      in {}, out {}, acked {}",
            or_none(rate(queue, "publish")),
            or_none(rate(queue, "deliver_get")),
            or_none(rate(queue, "ack"))
        ),
        format!("  memory     {}", size(number("/memory"))),
        format!(
            "  declared   durable: {}, auto-delete: {}, exclusive: {}",
            of("/durable"),
            of("/auto_delete"),
            of("/exclusive")
        ),
        format!("  arguments  {}", or_none(arguments(queue, "/arguments"))),
        format!("  policy     {}", or_none(policy(queue))),
        format!("  consumers  {}", number("/consumers")),
    ];
    let consumers = queue.get("consumer_details").and_then(Value::as_array);
    lines.extend(consumers.into_iter().flatten().map(|consumer| {
        let (tag, channel) = (text(consumer, "/consumer_tag"), text(consumer, "/channel_details/name"));
        format!("    {tag} on {channel}, prefetch {}", text(consumer, "/prefetch_count"))
    }));
    lines.push(format!("  bindings   {}", bindings.len()));
    lines.extend(bindings.iter().map(|binding| {
        let (source, key) = (exchange(binding, "/source"), text(binding, "/routing_key"));
        format!("    {source} ─▶ {key} {}", arguments(binding, "/arguments")).trim_end().to_owned()
    }));
    lines
}

fn policy(queue: &Value) -> String {
    let names = [text(queue, "/policy"), text(queue, "/operator_policy")];
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let effective = arguments(queue, "/effective_policy_definition");
    format!("{} {effective}", names.join(" and ")).trim().to_owned()
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_described_with_its_consumers_and_bindings() {
        let queue = json!({
            "name": "orders", "vhost": "/", "type": "quorum", "state": "running", "messages_ready": 3,
            "messages_unacknowledged": 1, "message_bytes": 2_048, "memory": 1_024, "durable": true,
            "auto_delete": false, "exclusive": false, "arguments": {"x-queue-type": "quorum"},
            "policy": "ttl", "operator_policy": null, "effective_policy_definition": {"message-ttl": 5},
            "consumers": 1,
            "consumer_details": [
                {"consumer_tag": "c", "prefetch_count": 10, "channel_details": {"name": "1:2 -> 3:4 (1)"}}
            ],
        });
        let bindings = [json!({"source": "", "routing_key": "orders", "arguments": {}})];
        let lines = describe(&queue, &bindings);
        assert_eq!(lines[0], "orders in the virtual host /: quorum, running");
        assert_eq!(lines[1], "  messages   3 ready, 1 unacked, 2.0 KiB");
        assert_eq!(lines[2], "  rates      in -, out -, acked -");
        assert_eq!(lines[6], "  policy     ttl message-ttl=5");
        assert_eq!(lines[8], "    c on 1:2 -> 3:4 (1), prefetch 10");
        assert_eq!(lines[10], "    (default) ─▶ orders");
    }

    #[test]
    fn what_a_table_shows_is_read_from_the_object() {
        let queue = json!({"vhost": "/", "name": "orders", "messages_ready": 3, "message_bytes": 2_048});
        let cell = |heading: &str| {
            let column = QUEUES.iter().find(|column| column.heading == heading).unwrap();
            (column.cell)(&queue)
        };
        assert_eq!(["name", "ready", "policy", "bytes"].map(cell), ["orders", "3", "", "2.0 KiB"]);
    }
}
