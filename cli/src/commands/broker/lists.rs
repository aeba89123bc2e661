//! `weft exchanges`, `bindings`, `consumers` and `connections`: what the management API lists.

use serde_json::Value;

use super::columns::{self, Column, arguments, bytes, exchange, rate, text};
use crate::{
    args::{
        BindingsOptions, ConnectionsOptions, ConsumersOptions, ExchangesOptions, ListOptions, ResourceFormat,
    },
    broker::Management,
    commands::Answer,
    output,
};

const EXCHANGES: [Column; 9] = [
    Column::new("vhost", |item| text(item, "/vhost")),
    Column::new("name", |item| exchange(item, "/name")),
    Column::new("type", |item| text(item, "/type")),
    Column::new("durable", |item| text(item, "/durable")),
    Column::new("policy", |item| text(item, "/policy")),
    Column::wide("auto-delete", |item| text(item, "/auto_delete")),
    Column::wide("internal", |item| text(item, "/internal")),
    Column::wide("in", |item| rate(item, "publish_in")),
    Column::wide("arguments", |item| arguments(item, "/arguments")),
];

const BINDINGS: [Column; 6] = [
    Column::new("vhost", |item| text(item, "/vhost")),
    Column::new("exchange", |item| exchange(item, "/source")),
    Column::new("routing key", |item| text(item, "/routing_key")),
    Column::new("to", |item| text(item, "/destination_type")),
    Column::new("name", |item| text(item, "/destination")),
    Column::new("arguments", |item| arguments(item, "/arguments")),
];

const CONSUMERS: [Column; 10] = [
    Column::new("vhost", |item| text(item, "/queue/vhost")),
    Column::new("queue", |item| text(item, "/queue/name")),
    Column::new("tag", |item| text(item, "/consumer_tag")),
    Column::new("channel", |item| text(item, "/channel_details/name")),
    Column::new("acknowledges", |item| text(item, "/ack_required")),
    Column::new("prefetch", |item| text(item, "/prefetch_count")),
    Column::new("active", |item| text(item, "/active")),
    Column::wide("exclusive", |item| text(item, "/exclusive")),
    Column::wide("user", |item| text(item, "/channel_details/user")),
    Column::wide("arguments", |item| arguments(item, "/arguments")),
];

const CONNECTIONS: [Column; 12] = [
    Column::new("vhost", |item| text(item, "/vhost")),
    Column::new("name", |item| text(item, "/name")),
    Column::new("user", |item| text(item, "/user")),
    Column::new("state", |item| text(item, "/state")),
    Column::new("channels", |item| text(item, "/channels")),
    Column::new("client", client),
    Column::wide("given name", |item| text(item, "/user_provided_name")),
    Column::wide("login", |item| text(item, "/auth_mechanism")),
    Column::wide("heartbeat", |item| text(item, "/timeout")),
    Column::wide("received", |item| bytes(item, "/recv_oct")),
    Column::wide("sent", |item| bytes(item, "/send_oct")),
    Column::wide("tls", |item| text(item, "/ssl")),
];

/// Exchanges.
pub(super) async fn exchanges(options: &ExchangesOptions) -> anyhow::Result<Answer> {
    show(&options.list, "exchanges", &EXCHANGES, |_| true).await
}

/// Bindings. Those of the default exchange, one a queue, are in no table that nobody asked for.
pub(super) async fn bindings(options: &BindingsOptions) -> anyhow::Result<Answer> {
    let BindingsOptions { exchange, queue, list } = options;
    let with_default =
        list.format != ResourceFormat::Table || exchange.as_deref() == Some("") || queue.is_some();
    show(list, "bindings", &BINDINGS, |item| {
        let is = |field: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| item.get(field).and_then(Value::as_str) == Some(wanted))
        };
        let is_to_queue =
            queue.is_none() || item.get("destination_type").and_then(Value::as_str) == Some("queue");
        let is_default = item.get("source").and_then(Value::as_str) == Some("");
        is("source", exchange) && is("destination", queue) && is_to_queue && (with_default || !is_default)
    })
    .await
}

/// Consumers.
pub(super) async fn consumers(options: &ConsumersOptions) -> anyhow::Result<Answer> {
    show(&options.list, "consumers", &CONSUMERS, |item| {
        let name = item.pointer("/queue/name").and_then(Value::as_str);
        options.queue.is_none() || name == options.queue.as_deref()
    })
    .await
}

/// Connections.
pub(super) async fn connections(options: &ConnectionsOptions) -> anyhow::Result<Answer> {
    show(&options.list, "connections", &CONNECTIONS, |_| true).await
}

/// Asks for a list, and prints what of it is wanted.
pub(super) async fn show(
    options: &ListOptions,
    what: &str,
    columns: &[Column],
    is_wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<Answer> {
    let management = Management::new(&options.management)?;
    let Some(mut items) = management.list(what, options.vhost.as_deref()).await? else {
        let vhost = options.vhost.as_deref().unwrap_or_default();
        output::note(format!("there is no virtual host {vhost}"));
        return Ok(Answer::No);
    };
    items.retain(is_wanted);
    columns::print(&items, columns, options.format, &format!("there are no {what}"))?;
    Ok(Answer::Yes)
}

/// What the client calls itself.
fn client(item: &Value) -> String {
    let (product, version) =
        (text(item, "/client_properties/product"), text(item, "/client_properties/version"));
    format!("{product} {version}").trim().to_owned()
}
