//! `/metrics` and `/metrics/per-object`: Prometheus' text format with the names of RabbitMQ's `rabbitmq_prometheus`,
//! of what there is here to be told. RabbitMQ: "Monitoring with Prometheus and Grafana".

use std::{fmt::Write, sync::Arc};

use super::{
    answer::{Answer, Failure},
    context::{Context, gather},
    nodes, overview,
};
use crate::{
    RABBITMQ_VERSION,
    server::{Usage, Watermarks, clock::now_ms},
    vhost::{
        Blocked, Reasons, Vhost,
        views::{QueueView, Totals},
    },
};

/// The format's media type.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics; with those of each queue where they are asked for.
pub(super) async fn handle(context: &Context, per_object: bool) -> Result<Answer, Failure> {
    let vhosts = context.shared.vhosts();
    let totals = overview::totals(&vhosts).await;
    let sum = overview::sum(totals.iter().map(|(_, totals)| totals));
    let usage = nodes::usage(context).await?;
    let mut page = Page::default();
    page.about(context);
    page.usage(usage, context.shared.facts.watermarks, sum.blocked);
    page.global(&sum);
    if per_object {
        let queues = gather(&vhosts, Vhost::queue_views).await;
        let text = super::context::blocking(move || {
            page.objects(&sum);
            page.queues(&queues);
            page.0
        });
        return Ok(Answer::Text(KIND, text.await?));
    }
    page.objects(&sum);
    page.queue_sums(&sum);
    Ok(Answer::Text(KIND, page.0))
}

/// What is written so far.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn value(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.value(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.value(name, "", value);
    }

    fn about(&mut self, context: &Context) {
        let facts = &context.shared.facts;
        let (node, cluster) = (label(context.node()), label(&context.cluster_name()));
        self.head("rabbitmq_build_info", "untyped", "Versions");
        let build = format!(
            "rabbitmq_version=\"{RABBITMQ_VERSION}\",product_name=\"Weft\",product_version=\"{}\"",
            label(&facts.version)
        );
        self.value("rabbitmq_build_info", &build, 1);
        self.head("rabbitmq_identity_info", "untyped", "Node and cluster");
        let identity = format!(
            "rabbitmq_node=\"{node}\",rabbitmq_cluster=\"{cluster}\",rabbitmq_cluster_permanent_id=\"{node}\""
        );
        self.value("rabbitmq_identity_info", &identity, 1);
        let uptime_s = now_ms().saturating_sub(facts.started_at_ms) / 1000;
        self.gauge("rabbitmq_erlang_uptime_seconds", "Seconds since the start", uptime_s);
    }

    fn usage(&mut self, usage: Usage, watermarks: Watermarks, blocked: Reasons) {
        let has = |reason| u64::from(blocked.has(reason));
        let memory = u64::from(usage.memory_bytes > watermarks.memory_bytes);
        let disk = u64::from(usage.disk_free_bytes < watermarks.disk_free_bytes);
        let gauges = [
            ("rabbitmq_process_resident_memory_bytes", "Memory in use", usage.memory_bytes),
            ("rabbitmq_resident_memory_limit_bytes", "Memory high watermark", watermarks.memory_bytes),
            ("rabbitmq_disk_space_available_bytes", "Free on the disk", usage.disk_free_bytes),
            ("rabbitmq_disk_space_available_limit_bytes", "Disk low watermark", watermarks.disk_free_bytes),
            ("rabbitmq_alarms_memory_used_watermark", "1 while publishers wait for memory", memory),
            (
                "rabbitmq_alarms_free_disk_space_watermark",
                "1 while publishers wait for the disk",
                disk.max(has(Blocked::DiskFull)),
            ),
            ("rabbitmq_alarms_file_descriptor_limit", "1 while no file can be opened", 0),
            (
                "weft_broker_log_failed",
                "1 if the log of a virtual host takes nothing more until a restart",
                has(Blocked::LogFailed),
            ),
        ];
        for (name, help, value) in gauges {
            self.gauge(name, help, value);
        }
    }

    fn global(&mut self, sum: &Totals) {
        for (name, help, of) in GLOBAL {
            let name = format!("rabbitmq_global_{name}_total");
            self.head(&name, "counter", help);
            self.value(&name, "protocol=\"amqp091\"", of(sum));
        }
        for (name, help, of) in PLAIN {
            self.counter(name, help, of(sum));
        }
        self.head("rabbitmq_global_consumers", "gauge", "Current number of consumers");
        self.value("rabbitmq_global_consumers", "protocol=\"amqp091\"", count(sum.consumers));
    }

    fn objects(&mut self, sum: &Totals) {
        self.gauge("rabbitmq_connections", "Connections currently open", count(sum.connections));
        self.gauge("rabbitmq_channels", "Channels currently open", count(sum.channels));
        self.gauge("rabbitmq_consumers", "Consumers currently connected", count(sum.consumers));
        self.gauge("rabbitmq_queues", "Queues available", count(sum.queues));
        self.gauge("rabbitmq_exchanges", "Exchanges available", count(sum.exchanges));
    }

    fn queue_sums(&mut self, sum: &Totals) {
        let counts = [
            sum.ready + sum.unacked,
            sum.ready,
            sum.unacked,
            count(sum.consumers),
            sum.queue_stats.published,
        ];
        for ((name, kind, help), count) in QUEUE.iter().zip(counts) {
            self.head(name, kind, help);
            self.value(name, "", count);
        }
    }

    fn queues(&mut self, queues: &[(Arc<str>, QueueView)]) {
        for (at, (name, kind, help)) in QUEUE.iter().enumerate() {
            self.head(name, kind, help);
            for (vhost, queue) in queues {
                let counts = [
                    queue.ready + queue.unacked,
                    queue.ready,
                    queue.unacked,
                    count(queue.consumers),
                    queue.stats.published,
                ];
                let labels = format!("vhost=\"{}\",queue=\"{}\"", label(vhost), label(&queue.name));
                self.value(name, &labels, counts.get(at).copied().unwrap_or(0));
            }
        }
    }
}

/// A counter: its name, what it is, and where it is.
type Counter = (&'static str, &'static str, fn(&Totals) -> u64);

/// Counters of a protocol: `rabbitmq_global_…_total`.
const GLOBAL: [Counter; 13] = [
    ("messages_received", "Messages that publishers sent", |sum| sum.stats.published),
    ("messages_routed", "Messages that went to queues or streams", |sum| {
        sum.stats.published.saturating_sub(sum.stats.unroutable)
    }),
    ("messages_confirmed", "Messages that were confirmed to publishers", |sum| sum.stats.confirmed),
    ("messages_unroutable_dropped", "Messages that no queue took, and dropped", |sum| {
        sum.stats.unroutable.saturating_sub(sum.stats.returned)
    }),
    ("messages_unroutable_returned", "Mandatory messages that no queue took", |sum| sum.stats.returned),
    ("messages_delivered", "Messages that consumers and getters got", |sum| sum.queue_stats.handed_out()),
    ("messages_delivered_consume_manual_ack", "Of them, to consumers that acknowledge", |sum| {
        sum.queue_stats.delivered
    }),
    ("messages_delivered_consume_auto_ack", "Of them, to consumers that do not", |sum| {
        sum.queue_stats.delivered_no_ack
    }),
    ("messages_delivered_get_manual_ack", "Of them, by basic.get with acknowledgement", |sum| {
        sum.queue_stats.got
    }),
    ("messages_delivered_get_auto_ack", "Of them, by basic.get without", |sum| sum.queue_stats.got_no_ack),
    ("messages_get_empty", "Times that basic.get found nothing", |sum| sum.queue_stats.got_empty),
    ("messages_redelivered", "Messages that were delivered again", |sum| sum.queue_stats.redelivered),
    ("messages_acknowledged", "Messages that were acknowledged", |sum| sum.queue_stats.acked),
];

/// Counters of no protocol.
const PLAIN: [Counter; 11] = [
    ("rabbitmq_global_messages_dead_lettered_expired_total", "Messages whose time was over", |sum| {
        sum.queue_stats.expired
    }),
    ("rabbitmq_global_messages_dead_lettered_maxlen_total", "Messages of queues that were too long", |sum| {
        sum.queue_stats.dropped
    }),
    ("rabbitmq_connections_opened_total", "Connections opened", |sum| sum.stats.connections_opened),
    ("rabbitmq_connections_closed_total", "Connections closed", |sum| sum.stats.connections_closed),
    ("rabbitmq_channels_opened_total", "Channels opened", |sum| sum.stats.channels_opened),
    ("rabbitmq_channels_closed_total", "Channels closed", |sum| sum.stats.channels_closed),
    ("rabbitmq_queues_declared_total", "Queues declared", |sum| sum.stats.queues_created),
    ("rabbitmq_queues_created_total", "Queues created", |sum| sum.stats.queues_created),
    ("rabbitmq_queues_deleted_total", "Queues deleted", |sum| sum.stats.queues_deleted),
    ("weft_broker_messages_dead_lettered_total", "Messages dead-lettered or parked", |sum| {
        sum.queue_stats.dead_lettered
    }),
    ("weft_broker_messages_deduplicated_total", "Repeated publishes left out", |sum| {
        sum.queue_stats.deduplicated
    }),
];

/// What is told of queues, of each or of all together.
const QUEUE: [(&str, &str, &str); 5] = [
    ("rabbitmq_queue_messages", "gauge", "Sum of ready and unacknowledged messages - total queue depth"),
    ("rabbitmq_queue_messages_ready", "gauge", "Messages ready to be delivered to consumers"),
    ("rabbitmq_queue_messages_unacked", "gauge", "Messages delivered to consumers but not yet acknowledged"),
    ("rabbitmq_queue_consumers", "gauge", "Consumers on a queue"),
    ("rabbitmq_queue_messages_published_total", "counter", "Total number of messages published to queues"),
];

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The value of a label, escaped as the format asks.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.value("m", &format!("queue=\"{}\"", label("a\"b\\c\nd")), 3);
        assert_eq!(page.0, "m{queue=\"a\\\"b\\\\c\\nd\"} 3\n");
    }

    #[test]
    fn a_metric_is_described_before_its_value() {
        let mut page = Page::default();
        page.objects(&Totals { queues: 7, ..Totals::default() });
        let lines: Vec<_> = page.0.lines().collect();
        let at = lines.iter().position(|line| *line == "rabbitmq_queues 7").unwrap();
        assert_eq!(lines[at - 2], "# TYPE rabbitmq_queues gauge");
    }
}
