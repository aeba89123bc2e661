//! `/api/queues`: listed, declared, purged, deleted.

use std::{sync::Arc, time::Instant};

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure, READ, READ_PUT_DELETE},
    bindings, connections,
    context::{Context, gather},
    json::{Flag, object, rate},
    paging,
    rates::COUNTS,
    request::Request,
    stats::{counts, message_stats},
    visit::{self, as_user},
};
use crate::{
    access::json_table,
    amqp::{
        method::{Method as Amqp, Queue, queue},
        table::RawTable,
    },
    exchange::topology::End,
    policy::kind::QueueKind,
    vhost::{Vhost, views::QueueView},
};

/// Everything below `/api/queues`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, rest) {
        (&Method::GET, [] | ["detailed"]) => list(context, request, None).await,
        (&Method::GET, ["detailed", vhost] | [vhost]) => list(context, request, Some(vhost)).await,
        (&Method::GET, [vhost, name]) => one(context, request, vhost, name).await,
        (&Method::PUT, [vhost, name]) => declare(context, request, vhost, name).await,
        (&Method::DELETE, [vhost, name]) => delete(context, request, vhost, name).await,
        (&Method::GET, [vhost, name, "bindings"]) => {
            bindings::to(context, request, vhost, End::Queue((*name).into())).await
        }
        (&Method::DELETE, [vhost, name, "contents"]) => purge(context, request, vhost, name).await,
        (&Method::POST, [vhost, name, "actions"]) => context
            .see(request, vhost)?
            .with(exists(name))
            .await?
            .then_some(Answer::Done)
            .ok_or(Failure::NotFound),
        (_, [] | [_] | [_, _, "bindings"]) => Err(Failure::Method(READ)),
        (_, [_, _]) => Err(Failure::Method(READ_PUT_DELETE)),
        (_, [_, _, "contents"]) => Err(Failure::Method("DELETE, OPTIONS")),
        _ => Err(Failure::NotFound),
    }
}

fn exists(name: &str) -> impl FnOnce(&mut Vhost) -> bool + Send + use<> {
    let name = name.to_owned();
    move |vhost| vhost.has_queue(&name)
}

async fn list(context: &Context, request: &Request, vhost: Option<&str>) -> Result<Answer, Failure> {
    let vhosts = context.seen_of(request, vhost)?;
    let queues = gather(&vhosts, Vhost::queue_views).await;
    let now = Instant::now();
    let rated: Vec<_> = queues
        .into_iter()
        .map(|(vhost, queue)| {
            let rates = context.rates.look(&key(&vhost, &queue.name), counts(&queue.stats), now);
            (vhost, queue, rates)
        })
        .collect();
    let node: Arc<str> = context.node().into();
    let render = move || rated.iter().map(|(vhost, queue, rates)| show(vhost, queue, rates, &node)).collect();
    paging::list(&request.query, render).await
}

async fn one(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let handle = context.see(request, vhost)?;
    let asked = name.to_owned();
    let found =
        handle.with(move |vhost| Some((vhost.queue_view(&asked)?, vhost.consumer_views_of(&asked)))).await?;
    let (queue, consumers) = found.ok_or(Failure::NotFound)?;
    let rates = context.rates.look(&key(vhost, name), counts(&queue.stats), Instant::now());
    let mut shown = show(vhost, &queue, &rates, context.node());
    let details: Vec<_> = consumers
        .iter()
        .map(|consumer| connections::show_consumer(vhost, consumer, context.node()))
        .collect();
    if let Value::Object(shown) = &mut shown {
        shown.insert("consumer_details".to_owned(), details.into());
        shown.insert("deliveries".to_owned(), json!([]));
        shown.insert("incoming".to_owned(), json!([]));
    }
    paging::one(&request.query, &shown)
}

/// What `PUT` sends.
#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(default)]
    durable: Flag,
    #[serde(default)]
    auto_delete: Flag,
    #[serde(default)]
    exclusive: Flag,
    #[serde(default)]
    arguments: Map<String, Value>,
}

async fn declare(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let wish: Wish = request.json()?;
    let handle = context.enter(request, vhost)?;
    if wish.exclusive.0 {
        return Err(Failure::Bad("an exclusive queue belongs to a connection, and HTTP has none".to_owned()));
    }
    let arguments = json_table::to_table(&wish.arguments).map_err(|error| Failure::Bad(error.to_string()))?;
    let (name, arguments) = (name.to_owned(), visit::wire(&arguments));
    let is_new = as_user(&handle, request, move |vhost, id| {
        let is_new = !vhost.has_queue(&name);
        let declare = queue::Declare {
            queue: &name,
            passive: false,
            durable: wish.durable.0,
            exclusive: false,
            auto_delete: wish.auto_delete.0,
            no_wait: true,
            arguments: RawTable::new(&arguments),
        };
        visit::say(vhost, id, &Amqp::Queue(Queue::Declare(declare)))?;
        Ok(is_new)
    });
    Ok(if is_new.await? { Answer::Created(None) } else { Answer::Done })
}

async fn delete(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let handle = context.enter(request, vhost)?;
    let name = name.to_owned();
    let (if_unused, if_empty) = (request.query.is_true("if-unused"), request.query.is_true("if-empty"));
    let was = as_user(&handle, request, move |vhost, id| {
        let was = vhost.has_queue(&name);
        let delete = queue::Delete { queue: &name, if_unused, if_empty, no_wait: true };
        visit::say(vhost, id, &Amqp::Queue(Queue::Delete(delete)))?;
        Ok(was)
    });
    was.await?.then_some(Answer::Done).ok_or(Failure::NotFound)
}

async fn purge(context: &Context, request: &Request, vhost: &str, name: &str) -> Result<Answer, Failure> {
    let handle = context.enter(request, vhost)?;
    let name = name.to_owned();
    as_user(&handle, request, move |vhost, id| {
        let purge = queue::Purge { queue: &name, no_wait: true };
        visit::say(vhost, id, &Amqp::Queue(Queue::Purge(purge)))
    })
    .await?;
    Ok(Answer::Done)
}

/// The key of a queue's rates.
fn key(vhost: &str, queue: &str) -> String {
    format!("{vhost}\0{queue}")
}

/// A queue as RabbitMQ shows it.
fn show(vhost: &str, queue: &QueueView, rates: &[f64; COUNTS], node: &str) -> Value {
    let mut shown = declared(vhost, queue, node);
    shown.extend(filled(queue));
    shown.insert("message_stats".to_owned(), message_stats(&counts(&queue.stats), rates).into());
    if queue.kind != QueueKind::Classic {
        shown.insert("leader".to_owned(), node.into());
        shown.insert("members".to_owned(), json!([node]));
        shown.insert("online".to_owned(), json!([node]));
    }
    if let Some(owner) = &queue.owner {
        let details = json!({
            "name": owner.connection,
            "peer_host": owner.address.ip().to_string(),
            "peer_port": owner.address.port(),
        });
        shown.insert("owner_pid_details".to_owned(), details);
    }
    shown.into()
}

fn declared(vhost: &str, queue: &QueueView, node: &str) -> Map<String, Value> {
    object(json!({
        "name": queue.name,
        "vhost": vhost,
        "type": queue.kind.as_str(),
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.exclusive,
        "arguments": json_table::to_json(&queue.arguments),
        "node": node,
        "state": "running",
        "policy": queue.effective.name(),
        "operator_policy": queue.effective.operator_name(),
        "effective_policy_definition": queue.effective.definition(),
        "exclusive_consumer_tag": queue.exclusive_consumer,
        "single_active_consumer_tag": queue.active_consumer,
        "recoverable_slaves": null,
        "storage_version": 2,
    }))
}

fn filled(queue: &QueueView) -> Map<String, Value> {
    let capacity = if queue.consumers > 0 && (queue.consumers_ready || queue.ready == 0) { 1.0 } else { 0.0 };
    object(json!({
        "consumers": queue.consumers,
        "consumer_capacity": capacity,
        "consumer_utilisation": capacity,
        "messages": queue.ready + queue.unacked,
        "messages_details": rate(0.0),
        "messages_ready": queue.ready,
        "messages_ready_details": rate(0.0),
        "messages_unacknowledged": queue.unacked,
        "messages_unacknowledged_details": rate(0.0),
        "message_bytes": queue.ready_bytes + queue.unacked_bytes,
        "message_bytes_ready": queue.ready_bytes,
        "message_bytes_unacknowledged": queue.unacked_bytes,
        "message_bytes_ram": queue.memory_bytes,
        "memory": queue.memory_bytes,
        "messages_persistent": queue.stored,
        "head_message_timestamp": null,
        "idle_since": moment(queue.used_at_ms),
    }))
}

/// A time as RabbitMQ writes it: RFC 3339 with its offset as digits.
fn moment(ms: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    format!("{}+00:00", humantime::format_rfc3339_millis(at).to_string().trim_end_matches('Z'))
}
