//! `/api/nodes`: the one node there is.

use http::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Failure, READ},
    context::{Context, blocking},
    login, overview, paging,
    process::Process,
    request::Request,
};
use crate::{
    RABBITMQ_VERSION,
    server::{Usage, clock::now_ms},
    vhost::Blocked,
};

/// Everything below `/api/nodes`.
pub(super) async fn handle(context: &Context, request: &Request, rest: &[&str]) -> Result<Answer, Failure> {
    if request.method != Method::GET {
        return Err(Failure::Method(READ));
    }
    login::monitor(&request.user)?;
    match rest {
        [] => {
            let node = node(context).await?;
            paging::list(&request.query, move || vec![node]).await
        }
        [name, ..] if *name != context.node() => Err(Failure::NotFound),
        [_] => paging::one(&request.query, &node(context).await?),
        [_, "memory" | "memory_breakdown"] => Ok(Answer::Json(json!({"memory": memory(context).await?}))),
        _ => Err(Failure::NotFound),
    }
}

/// What is used now, asked off the threads that serve.
pub(super) async fn usage(context: &Context) -> Result<Usage, Failure> {
    let shared = std::sync::Arc::clone(&context.shared);
    blocking(move || shared.usage()).await
}

/// Whether the disk took no more of some virtual host's log.
async fn is_disk_full(context: &Context) -> bool {
    let totals = overview::totals(&context.shared.vhosts()).await;
    totals.iter().any(|(_, totals)| totals.blocked.has(Blocked::DiskFull))
}

async fn node(context: &Context) -> Result<Value, Failure> {
    let usage = usage(context).await?;
    let is_disk_full = is_disk_full(context).await;
    let (facts, watermarks) = (&context.shared.facts, context.shared.facts.watermarks);
    let alarms = usage.alarms(&watermarks);
    let process = blocking(Process::now).await?;
    Ok(json!({
        "name": context.node(),
        "type": "disc",
        "running": true,
        "being_drained": false,
        "uptime": now_ms().saturating_sub(facts.started_at_ms),
        "run_queue": 0,
        "processors": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "os_pid": std::process::id().to_string(),
        "fd_total": process.files_max,
        "fd_used": process.open_files,
        "sockets_used": process.tcp_sockets,
        "proc_total": 0,
        "proc_used": 0,
        "mem_used": usage.memory_bytes,
        "mem_limit": watermarks.memory_bytes,
        "mem_alarm": alarms.memory,
        "mem_calculation_strategy": "rss",
        "disk_free": usage.disk_free_bytes,
        "disk_free_limit": watermarks.disk_free_bytes,
        "disk_free_alarm": is_disk_full || alarms.disk,
        "rates_mode": "basic",
        "enabled_plugins": ["rabbitmq_management", "rabbitmq_prometheus", "rabbitmq_delayed_message_exchange"],
        "applications": applications(&facts.version),
        "rabbitmq_version": RABBITMQ_VERSION,
        "exchange_types": overview::exchange_types(),
        "auth_mechanisms": [mechanism("PLAIN"), mechanism("AMQPLAIN")],
        "contexts": overview::contexts(context),
        "partitions": [],
        "log_files": [],
        "config_files": [],
        "cluster_links": [],
        "net_ticktime": 60,
    }))
}

fn applications(version: &str) -> Value {
    json!([
        {"name": "rabbit", "description": "RabbitMQ", "version": RABBITMQ_VERSION},
        {"name": "weft", "description": "Weft broker", "version": version},
    ])
}

fn mechanism(name: &str) -> Value {
    json!({"name": name, "description": "", "enabled": true})
}

/// One process, of which the system tells no parts: all is in the total.
async fn memory(context: &Context) -> Result<Value, Failure> {
    const PARTS: [&str; 25] = [
        "connection_readers",
        "connection_writers",
        "connection_channels",
        "connection_other",
        "queue_procs",
        "quorum_queue_procs",
        "stream_queue_procs",
        "stream_queue_replica_reader_procs",
        "stream_queue_coordinator_procs",
        "plugins",
        "metadata_store",
        "other_proc",
        "metrics",
        "mgmt_db",
        "mnesia",
        "quorum_ets",
        "metadata_store_ets",
        "other_ets",
        "binary",
        "msg_index",
        "code",
        "atom",
        "other_system",
        "allocated_unused",
        "reserved_unallocated",
    ];
    let used = usage(context).await?.memory_bytes;
    let mut memory: serde_json::Map<String, Value> =
        PARTS.iter().map(|part| ((*part).to_owned(), 0.into())).collect();
    memory.insert("other_system".to_owned(), used.into());
    memory.insert("strategy".to_owned(), "rss".into());
    memory.insert("total".to_owned(), json!({"rss": used, "allocated": used, "erlang": 0}));
    Ok(memory.into())
}
