//! `/metrics`, `/metrics/per-object` and `/metrics/detailed`: Prometheus' text format with the names of RabbitMQ's
//! `rabbitmq_prometheus`, of what there is here to be told. A virtual host that has ended is left out, and counted.
//! RabbitMQ: "Monitoring with Prometheus and Grafana".

use super::{
    answer::{Answer, Failure},
    context::{Context, blocking, gather},
    overview,
    process::Process,
    text::Query,
};
use crate::{
    RABBITMQ_VERSION,
    server::{Alarms, Usage, VhostHandle, Watermarks, clock::now_ms},
    vhost::{
        Blocked, Reasons, Vhost,
        views::{QueueView, Totals},
    },
};

mod columns;
mod detailed;
mod page;

use page::{GAUGE, Page, count, label};

/// The format's media type.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How most names begin.
const PREFIX: &str = "rabbitmq_";

/// Each of the three pages.
pub(super) async fn handle(context: &Context, path: &str, query: &Query) -> Result<Answer, Failure> {
    let text = match path {
        "/metrics/detailed" => detailed::page(context, query).await?,
        "/metrics/per-object" => per_object(context).await?,
        _ => together(context).await?,
    };
    Ok(Answer::Text(KIND, text))
}

/// What the process has and may have in use.
#[derive(Debug, Clone, Copy)]
struct Node {
    usage: Usage,
    watermarks: Watermarks,
    process: Process,
    uptime_s: u64,
}

impl Node {
    async fn now(context: &Context) -> Result<Self, Failure> {
        let shared = std::sync::Arc::clone(&context.shared);
        let facts = &context.shared.facts;
        let (usage, process) = blocking(move || (shared.usage(), Process::now())).await?;
        let uptime_s = now_ms().saturating_sub(facts.started_at_ms) / 1000;
        Ok(Self { usage, watermarks: facts.watermarks, process, uptime_s })
    }
}

/// All queues together.
async fn together(context: &Context) -> Result<String, Failure> {
    let (mut page, sum) = begin(context, "aggregated").await?;
    page.rows(PREFIX, columns::QUEUE_SUMS, &[(String::new(), sum)]);
    Ok(page.0)
}

/// Each queue.
async fn per_object(context: &Context) -> Result<String, Failure> {
    let (mut page, _) = begin(context, "per-object").await?;
    let queues = gather(&context.shared.vhosts(), Vhost::queue_views).await;
    let render = move || {
        let rows: Vec<(String, QueueView)> =
            queues.into_iter().map(|(vhost, queue)| (queue_labels(&vhost, &queue), queue)).collect();
        for columns in [columns::COARSE, columns::CONSUMERS, columns::PUBLISHED] {
            page.rows(PREFIX, columns, &rows);
        }
        page.0
    };
    blocking(render).await
}

fn queue_labels(vhost: &str, queue: &QueueView) -> String {
    format!("vhost=\"{}\",queue=\"{}\"", label(vhost), label(&queue.name))
}

/// What both pages begin with.
async fn begin(context: &Context, endpoint: &str) -> Result<(Page, Totals), Failure> {
    let totals = overview::totals(&context.shared.vhosts()).await;
    let sum = overview::sum(totals.iter().map(|(_, totals)| totals));
    let node = Node::now(context).await?;
    let mut page = Page::default();
    about(&mut page, context, endpoint);
    let rows = [(String::new(), node)];
    page.rows(PREFIX, columns::NODE_COARSE, &rows);
    page.rows(PREFIX, columns::NODE, &rows);
    alarms(&mut page, &node, sum.blocked);
    page.one(
        "weft_broker_virtual_hosts_down",
        GAUGE,
        "Virtual hosts that do not run",
        count(states(context).iter().filter(|(_, handle)| handle.is_none()).count()),
    );
    page.rows("rabbitmq_global_", columns::GLOBAL, &[("protocol=\"amqp091\"".to_owned(), sum)]);
    page.rows("", columns::SUMS, &[(String::new(), sum)]);
    page.rows(PREFIX, columns::CHURN, &[(String::new(), sum)]);
    Ok((page, sum))
}

/// All virtual hosts by name, with a handle of those that run.
fn states(context: &Context) -> Vec<(String, Option<VhostHandle>)> {
    let access = context.access();
    let running = |name: &str| context.shared.vhost(name);
    access.vhosts().map(|vhost| (vhost.name.to_string(), running(&vhost.name))).collect()
}

fn about(page: &mut Page, context: &Context, endpoint: &str) {
    let (node, cluster) = (label(context.node()), label(&context.cluster_name()));
    page.head("rabbitmq_build_info", "untyped", "Versions");
    let build = format!(
        "rabbitmq_version=\"{RABBITMQ_VERSION}\",product_name=\"Weft\",product_version=\"{}\"",
        label(&context.shared.facts.version)
    );
    page.value("rabbitmq_build_info", &build, 1);
    page.head("rabbitmq_identity_info", "untyped", "Node and cluster");
    let identity = format!(
        "rabbitmq_node=\"{node}\",rabbitmq_cluster=\"{cluster}\",rabbitmq_cluster_permanent_id=\"{node}\",\
         rabbitmq_endpoint=\"{endpoint}\""
    );
    page.value("rabbitmq_identity_info", &identity, 1);
}

fn alarms(page: &mut Page, node: &Node, blocked: Reasons) {
    let has = |reason| blocked.has(reason);
    let Alarms { memory, disk } = node.usage.alarms(&node.watermarks).and(blocked);
    let gauges = [
        ("rabbitmq_alarms_memory_used_watermark", "1 while publishers wait for memory", memory),
        ("rabbitmq_alarms_free_disk_space_watermark", "1 while publishers wait for the disk", disk),
        ("rabbitmq_alarms_file_descriptor_limit", "1 while no file can be opened", false),
        (
            "weft_broker_log_failed",
            "1 if the log of a virtual host takes nothing more until a restart",
            has(Blocked::LogFailed),
        ),
    ];
    for (name, help, is_so) in gauges {
        page.one(name, GAUGE, help, is_so.into());
    }
}
