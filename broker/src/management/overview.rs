//! `/api/overview` and the small things beside it: who am I, the cluster's name, what there is.

use std::time::Instant;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure, READ},
    context::Context,
    json::{object, rate},
    login, paging,
    rates::COUNTS,
    request::Request,
    stats, vhosts,
};
use crate::{RABBITMQ_VERSION, exchange::kind::Matching, server::VhostHandle, vhost::views::Totals};

/// Each of them; `path` begins with which.
pub(super) async fn handle(context: &Context, request: &Request, path: &[&str]) -> Result<Answer, Failure> {
    match (&request.method, path) {
        (&Method::GET, ["overview"]) => overview(context, request).await,
        (&Method::GET, ["whoami"]) => {
            let tags: Vec<String> = request.user.tags.iter().map(ToString::to_string).collect();
            Ok(Answer::Json(json!({"name": &*request.user.name, "tags": tags})))
        }
        (&Method::GET, ["cluster-name"]) => Ok(Answer::Json(json!({"name": context.cluster_name()}))),
        (&Method::PUT, ["cluster-name"]) => set_cluster_name(context, request).await,
        (&Method::GET, ["extensions"]) => Ok(Answer::Json(json!([]))),
        (&Method::GET, ["version"]) => Ok(Answer::Json(json!(RABBITMQ_VERSION))),
        (&Method::GET, ["auth"]) => Ok(Answer::Json(json!({"oauth_enabled": false}))),
        (&Method::GET, ["auth", "attempts", _] | ["auth", "attempts", _, "source"]) => {
            login::monitor(&request.user)?;
            Ok(Answer::Json(json!([])))
        }
        (&Method::GET, ["feature-flags"]) => {
            login::monitor(&request.user)?;
            Ok(Answer::Json(json!([])))
        }
        (&Method::GET, ["deprecated-features"] | ["deprecated-features", "used"]) => {
            Ok(Answer::Json(json!([])))
        }
        // One node holds all queues: they are in balance.
        (&Method::POST, ["rebalance", "queues"]) => {
            login::administrator(&request.user)?;
            Ok(Answer::Done)
        }
        (_, ["reset"] | ["reset", _]) => Err(Failure::Method("OPTIONS")),
        (_, ["rebalance", "queues"]) => Err(Failure::Method("POST, OPTIONS")),
        (_, [_]) => Err(Failure::Method(READ)),
        _ => Err(Failure::NotFound),
    }
}

/// What `PUT /api/cluster-name` sends.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

async fn set_cluster_name(context: &Context, request: &Request) -> Result<Answer, Failure> {
    login::administrator(&request.user)?;
    let Named { name } = request.json()?;
    context.edit(move |access| access.set_global_parameter("cluster_name", name.into())).await??;
    Ok(Answer::Done)
}

/// Sums over virtual hosts; one that has ended is left out.
pub(super) async fn totals(vhosts: &[VhostHandle]) -> Vec<(String, Totals)> {
    let mut all = Vec::with_capacity(vhosts.len());
    for vhost in vhosts {
        if let Ok(totals) = vhost.with(|vhost| vhost.totals()).await {
            all.push((vhost.name().to_owned(), totals));
        }
    }
    all
}

/// All of them together.
pub(super) fn sum<'a>(all: impl IntoIterator<Item = &'a Totals>) -> Totals {
    let mut sum = Totals::default();
    for one in all {
        sum.ready += one.ready;
        sum.unacked += one.unacked;
        sum.queues += one.queues;
        sum.exchanges += one.exchanges;
        sum.connections += one.connections;
        sum.channels += one.channels;
        sum.publishers += one.publishers;
        sum.consumers += one.consumers;
        sum.queue_stats += one.queue_stats;
        sum.stats.published += one.stats.published;
        sum.stats.published_confirming += one.stats.published_confirming;
        sum.stats.unroutable += one.stats.unroutable;
        sum.stats.returned += one.stats.returned;
        sum.stats.confirmed += one.stats.confirmed;
        sum.stats.not_acted_on += one.stats.not_acted_on;
        sum.stats.queues_created += one.stats.queues_created;
        sum.stats.queues_deleted += one.stats.queues_deleted;
        sum.stats.connections_opened += one.stats.connections_opened;
        sum.stats.connections_closed += one.stats.connections_closed;
        sum.stats.channels_opened += one.stats.channels_opened;
        sum.stats.channels_closed += one.stats.channels_closed;
        sum.received_bytes += one.received_bytes;
        sum.sent_bytes += one.sent_bytes;
        sum.blocked = sum.blocked.or(one.blocked);
    }
    sum
}

/// Takes a look at the counters of all virtual hosts together, so that whoever asks next finds rates.
pub(super) async fn sample(context: &Context) {
    let vhosts = context.shared.vhosts();
    let all = totals(&vhosts).await;
    let counts = message_counts(&sum(all.iter().map(|(_, totals)| totals)));
    context.rates.look(&key(&vhosts), counts, Instant::now());
    for (name, totals) in &all {
        vhosts::look(context, name, totals);
    }
}

/// Users that see other virtual hosts have other sums.
fn key(vhosts: &[VhostHandle]) -> String {
    format!("overview\0{}", vhosts.iter().map(VhostHandle::name).collect::<Vec<_>>().join("\0"))
}

async fn overview(context: &Context, request: &Request) -> Result<Answer, Failure> {
    let vhosts = context.seen(&request.user);
    let all = totals(&vhosts).await;
    let sum = sum(all.iter().map(|(_, totals)| totals));
    let counts = message_counts(&sum);
    let rates = context.rates.look(&key(&vhosts), counts, Instant::now());
    let mut shown = about(context);
    shown.insert("message_stats".to_owned(), message_stats(&sum, &counts, &rates).into());
    shown.insert("churn_rates".to_owned(), churn(&sum));
    shown.insert("queue_totals".to_owned(), queue_totals(&sum));
    shown.insert("object_totals".to_owned(), object_totals(&sum));
    shown.insert("listeners".to_owned(), listeners(context).into());
    paging::one(&request.query, &shown.into())
}

fn message_counts(sum: &Totals) -> [u64; COUNTS] {
    let mut counts = stats::counts(&sum.queue_stats);
    if let Some(published) = counts.first_mut() {
        // What came in, not what went into queues.
        *published = sum.stats.published;
    }
    counts
}

fn message_stats(sum: &Totals, counts: &[u64; COUNTS], rates: &[f64; COUNTS]) -> Map<String, Value> {
    let mut stats = stats::message_stats(counts, rates);
    let more = [
        ("confirm", sum.stats.confirmed),
        ("return_unroutable", sum.stats.returned),
        ("drop_unroutable", sum.stats.unroutable.saturating_sub(sum.stats.returned)),
    ];
    for (name, count) in more {
        stats.insert(name.to_owned(), count.into());
        stats.insert(format!("{name}_details"), rate(0.0));
    }
    stats
}

fn churn(sum: &Totals) -> Value {
    let mut churn = Map::new();
    let counts = [
        ("connection_created", sum.stats.connections_opened),
        ("connection_closed", sum.stats.connections_closed),
        ("channel_created", sum.stats.channels_opened),
        ("channel_closed", sum.stats.channels_closed),
        ("queue_declared", sum.stats.queues_created),
        ("queue_created", sum.stats.queues_created),
        ("queue_deleted", sum.stats.queues_deleted),
    ];
    for (name, count) in counts {
        churn.insert(name.to_owned(), count.into());
        churn.insert(format!("{name}_details"), rate(0.0));
    }
    churn.into()
}

fn queue_totals(sum: &Totals) -> Value {
    json!({
        "messages": sum.ready + sum.unacked,
        "messages_details": rate(0.0),
        "messages_ready": sum.ready,
        "messages_ready_details": rate(0.0),
        "messages_unacknowledged": sum.unacked,
        "messages_unacknowledged_details": rate(0.0),
    })
}

fn object_totals(sum: &Totals) -> Value {
    json!({
        "channels": sum.channels,
        "connections": sum.connections,
        "consumers": sum.consumers,
        "exchanges": sum.exchanges,
        "queues": sum.queues,
    })
}

fn about(context: &Context) -> Map<String, Value> {
    let facts = &context.shared.facts;
    object(json!({
        "management_version": RABBITMQ_VERSION,
        "rates_mode": "basic",
        "sample_retention_policies": {"global": [], "basic": [], "detailed": []},
        "exchange_types": exchange_types(),
        "product_version": RABBITMQ_VERSION,
        "product_name": "RabbitMQ",
        "rabbitmq_version": RABBITMQ_VERSION,
        "weft_version": facts.version,
        "cluster_name": context.cluster_name(),
        "erlang_version": "0",
        "erlang_full_version": format!("none: this is Weft {}", facts.version),
        "release_series_support_status": "supported",
        "disable_stats": false,
        "default_queue_type": "classic",
        "is_op_policy_updating_enabled": true,
        "enable_queue_totals": false,
        "cluster_tags": {},
        "node_tags": {},
        "statistics_db_event_queue": 0,
        "node": context.node(),
        "contexts": contexts(context),
    }))
}

/// The types that exchanges may have.
pub(super) fn exchange_types() -> Value {
    let plain = [Matching::Direct, Matching::Fanout, Matching::Headers, Matching::Topic];
    let names = plain.into_iter().map(|matching| crate::exchange::kind::Kind::Plain(matching).name());
    names
        .chain(["x-delayed-message", crate::exchange::kind::DEDUPLICATING])
        .map(|name| json!({"name": name, "description": "", "enabled": true}))
        .collect()
}

/// Where clients arrive.
pub(super) fn listeners(context: &Context) -> Vec<Value> {
    let facts = &context.shared.facts;
    [("amqp", facts.amqp), ("http", facts.management), ("http/prometheus", facts.management)]
        .into_iter()
        .filter_map(|(protocol, address)| Some((protocol, address?)))
        .map(|(protocol, address)| {
            json!({
                "node": context.node(),
                "protocol": protocol,
                "ip_address": address.ip().to_string(),
                "port": address.port(),
                "socket_opts": {},
            })
        })
        .collect()
}

/// What HTTP serves, where.
pub(super) fn contexts(context: &Context) -> Value {
    let port = context.shared.facts.management.map(|address| address.port());
    json!([{
        "node": context.node(),
        "description": "RabbitMQ Management",
        "path": "/",
        "port": port,
        "ssl_opts": [],
    }])
}
