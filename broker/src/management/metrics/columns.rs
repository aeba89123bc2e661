//! What is told, by the names of RabbitMQ's `rabbitmq_prometheus`: each name once, whatever page it is on.
//! `docs/metrics.md` lists them.

use super::{
    Node,
    page::{COUNTER, Column, GAUGE, count},
};
use crate::vhost::views::{ChannelView, ConnectionView, QueueView, Totals};

/// Counters of a protocol: `rabbitmq_global_…_total`.
pub(super) const GLOBAL: &[Column<Totals>] = &[
    ("messages_received_total", COUNTER, "Messages that publishers sent", |sum| sum.stats.published),
    ("messages_received_confirm_total", COUNTER, "Of them, those to be confirmed", |sum| {
        sum.stats.published_confirming
    }),
    ("messages_routed_total", COUNTER, "Messages that went to queues or streams", |sum| {
        sum.stats.published.saturating_sub(sum.stats.unroutable)
    }),
    ("messages_confirmed_total", COUNTER, "Messages that were confirmed to publishers", |sum| {
        sum.stats.confirmed
    }),
    ("messages_unroutable_dropped_total", COUNTER, "Messages that no queue took, and dropped", |sum| {
        sum.stats.unroutable.saturating_sub(sum.stats.returned)
    }),
    ("messages_unroutable_returned_total", COUNTER, "Mandatory messages that no queue took", |sum| {
        sum.stats.returned
    }),
    ("messages_delivered_total", COUNTER, "Messages that consumers and getters got", |sum| {
        sum.queue_stats.handed_out()
    }),
    (
        "messages_delivered_consume_manual_ack_total",
        COUNTER,
        "Of them, to consumers that acknowledge",
        |sum| sum.queue_stats.delivered,
    ),
    ("messages_delivered_consume_auto_ack_total", COUNTER, "Of them, to consumers that do not", |sum| {
        sum.queue_stats.delivered_no_ack
    }),
    (
        "messages_delivered_get_manual_ack_total",
        COUNTER,
        "Of them, by basic.get with acknowledgement",
        |sum| sum.queue_stats.got,
    ),
    ("messages_delivered_get_auto_ack_total", COUNTER, "Of them, by basic.get without", |sum| {
        sum.queue_stats.got_no_ack
    }),
    ("messages_get_empty_total", COUNTER, "Times that basic.get found nothing", |sum| {
        sum.queue_stats.got_empty
    }),
    ("messages_redelivered_total", COUNTER, "Messages that were delivered again", |sum| {
        sum.queue_stats.redelivered
    }),
    ("messages_acknowledged_total", COUNTER, "Messages that were acknowledged", |sum| sum.queue_stats.acked),
    ("publishers", GAUGE, "Channels that have published", |sum| count(sum.publishers)),
    ("consumers", GAUGE, "Consumers", |sum| count(sum.consumers)),
];

/// What no protocol has to itself.
pub(super) const SUMS: &[Column<Totals>] = &[
    (
        "rabbitmq_global_messages_dead_lettered_expired_total",
        COUNTER,
        "Messages whose time was over",
        |sum| sum.queue_stats.expired,
    ),
    (
        "rabbitmq_global_messages_dead_lettered_maxlen_total",
        COUNTER,
        "Messages of queues that were too long",
        |sum| sum.queue_stats.dropped,
    ),
    ("weft_broker_messages_dead_lettered_total", COUNTER, "Messages dead-lettered or parked", |sum| {
        sum.queue_stats.dead_lettered
    }),
    ("weft_broker_messages_deduplicated_total", COUNTER, "Repeated publishes left out", |sum| {
        sum.queue_stats.deduplicated
    }),
    (
        "weft_broker_arguments_not_acted_on_total",
        COUNTER,
        "Arguments and policy keys of queues that were taken and that nothing follows from",
        |sum| sum.stats.not_acted_on,
    ),
    ("rabbitmq_connections", GAUGE, "Connections that are open", |sum| count(sum.connections)),
    ("rabbitmq_channels", GAUGE, "Channels that are open", |sum| count(sum.channels)),
    ("rabbitmq_consumers", GAUGE, "Consumers", |sum| count(sum.consumers)),
    ("rabbitmq_queues", GAUGE, "Queues", |sum| count(sum.queues)),
    ("rabbitmq_exchanges", GAUGE, "Exchanges", |sum| count(sum.exchanges)),
];

/// How connections, channels and queues come and go.
pub(super) const CHURN: &[Column<Totals>] = &[
    ("connections_opened_total", COUNTER, "Connections opened", |sum| sum.stats.connections_opened),
    ("connections_closed_total", COUNTER, "Connections closed", |sum| sum.stats.connections_closed),
    ("channels_opened_total", COUNTER, "Channels opened", |sum| sum.stats.channels_opened),
    ("channels_closed_total", COUNTER, "Channels closed", |sum| sum.stats.channels_closed),
    ("queues_declared_total", COUNTER, "Queues declared", |sum| sum.stats.queues_created),
    ("queues_created_total", COUNTER, "Queues created", |sum| sum.stats.queues_created),
    ("queues_deleted_total", COUNTER, "Queues deleted", |sum| sum.stats.queues_deleted),
];

/// Of all queues together: the names of [`COARSE`], [`CONSUMERS`] and [`PUBLISHED`].
pub(super) const QUEUE_SUMS: &[Column<Totals>] = &[
    ("queue_messages_ready", GAUGE, READY, |sum| sum.ready),
    ("queue_messages_unacked", GAUGE, UNACKED, |sum| sum.unacked),
    ("queue_messages", GAUGE, MESSAGES, |sum| sum.ready + sum.unacked),
    ("queue_consumers", GAUGE, OF_QUEUE, |sum| count(sum.consumers)),
    ("queue_messages_published_total", COUNTER, PUBLISHED_TO, |sum| sum.queue_stats.published),
];

const READY: &str = "Messages that wait for consumers";
const UNACKED: &str = "Messages delivered and not yet acknowledged";
const MESSAGES: &str = "Both of them";
const OF_QUEUE: &str = "Consumers of a queue";
const PUBLISHED_TO: &str = "Messages that were put into queues";

/// What a queue holds.
pub(super) const COARSE: &[Column<QueueView>] = &[
    ("queue_messages_ready", GAUGE, READY, |queue| queue.ready),
    ("queue_messages_unacked", GAUGE, UNACKED, |queue| queue.unacked),
    ("queue_messages", GAUGE, MESSAGES, |queue| queue.ready + queue.unacked),
];

/// Who consumes.
pub(super) const CONSUMERS: &[Column<QueueView>] =
    &[("queue_consumers", GAUGE, OF_QUEUE, |queue| count(queue.consumers))];

/// What came into a queue.
pub(super) const PUBLISHED: &[Column<QueueView>] =
    &[("queue_messages_published_total", COUNTER, PUBLISHED_TO, |queue| queue.stats.published)];

/// Bytes, and where they are.
pub(super) const QUEUE: &[Column<QueueView>] = &[
    ("queue_messages_persistent", GAUGE, "Messages that the log holds", |queue| queue.stored),
    ("queue_messages_bytes", GAUGE, "Bytes of all messages", |queue| queue.ready_bytes + queue.unacked_bytes),
    ("queue_messages_ready_bytes", GAUGE, "Bytes of messages that wait", |queue| queue.ready_bytes),
    ("queue_messages_unacked_bytes", GAUGE, "Bytes of messages that are out", |queue| queue.unacked_bytes),
    ("queue_messages_ram_bytes", GAUGE, "Bytes of memory for messages that wait", |queue| {
        count(queue.memory_bytes)
    }),
];

/// How messages went out of a queue.
pub(super) const DELIVERY: &[Column<QueueView>] = &[
    ("queue_get_ack_total", COUNTER, "Messages got with acknowledgement", |queue| queue.stats.got),
    ("queue_get_total", COUNTER, "Messages got without", |queue| queue.stats.got_no_ack),
    ("queue_messages_delivered_ack_total", COUNTER, "Messages delivered with acknowledgement", |queue| {
        queue.stats.delivered
    }),
    ("queue_messages_delivered_total", COUNTER, "Messages delivered without", |queue| {
        queue.stats.delivered_no_ack
    }),
    ("queue_messages_redelivered_total", COUNTER, "Messages delivered again", |queue| {
        queue.stats.redelivered
    }),
    ("queue_messages_acked_total", COUNTER, "Messages acknowledged", |queue| queue.stats.acked),
    ("queue_get_empty_total", COUNTER, "Times that nothing was there to get", |queue| queue.stats.got_empty),
];

/// Bytes of a connection.
pub(super) const CONNECTION_COARSE: &[Column<ConnectionView>] = &[
    ("connection_incoming_bytes_total", COUNTER, "Bytes that came", |connection| connection.received_bytes),
    ("connection_outgoing_bytes_total", COUNTER, "Bytes that went", |connection| connection.sent_bytes),
];

/// More of a connection.
pub(super) const CONNECTION: &[Column<ConnectionView>] =
    &[("connection_channels", GAUGE, "Channels of a connection", |connection| count(connection.channels))];

/// What is under way on a channel.
pub(super) const CHANNEL: &[Column<ChannelView>] = &[
    ("channel_consumers", GAUGE, "Consumers of a channel", |channel| count(channel.consumers)),
    ("channel_messages_unacked", GAUGE, UNACKED, |channel| count(channel.unacked)),
    ("channel_messages_unconfirmed", GAUGE, "Messages published and not yet confirmed", |channel| {
        count(channel.unconfirmed)
    }),
    ("channel_messages_uncommitted", GAUGE, "Messages that wait for a commit", |channel| {
        count(channel.uncommitted.0)
    }),
    ("channel_acks_uncommitted", GAUGE, "Acknowledgements that wait for a commit", |channel| {
        count(channel.uncommitted.1)
    }),
    ("consumer_prefetch", GAUGE, "Deliveries that each consumer may have out", |channel| {
        channel.prefetch.into()
    }),
    ("channel_prefetch", GAUGE, "Deliveries that all of a channel may have out", |channel| {
        channel.prefetch_global.into()
    }),
];

/// What was published on a channel; all exchanges together.
pub(super) const CHANNEL_EXCHANGE: &[Column<ChannelView>] = &[
    ("channel_messages_published_total", COUNTER, "Messages published", |channel| {
        let [published, ..] = channel.counts;
        published
    }),
    ("channel_messages_confirmed_total", COUNTER, "Messages confirmed", |channel| {
        let [_, confirmed, ..] = channel.counts;
        confirmed
    }),
    ("channel_messages_unroutable_returned_total", COUNTER, "Mandatory messages returned", |channel| {
        let [_, _, returned, ..] = channel.counts;
        returned
    }),
];

/// What the process has in use.
pub(super) const NODE_COARSE: &[Column<Node>] = &[
    ("process_open_fds", GAUGE, "Files that are open", |node| node.process.open_files),
    ("process_open_tcp_sockets", GAUGE, "Sockets of TCP that are open", |node| node.process.tcp_sockets),
    ("process_resident_memory_bytes", GAUGE, "Memory in use", |node| node.usage.memory_bytes),
    ("disk_space_available_bytes", GAUGE, "Free on the disk", |node| node.usage.disk_free_bytes),
];

/// What it may have.
pub(super) const NODE: &[Column<Node>] = &[
    ("process_max_fds", GAUGE, "Files that may be open", |node| node.process.files_max),
    ("process_max_tcp_sockets", GAUGE, "The same: sockets are files", |node| node.process.files_max),
    ("resident_memory_limit_bytes", GAUGE, "Memory high watermark", |node| node.watermarks.memory_bytes),
    ("disk_space_available_limit_bytes", GAUGE, "Disk low watermark", |node| node.watermarks.disk_free_bytes),
    ("erlang_uptime_seconds", GAUGE, "Seconds since the start", |node| node.uptime_s),
];
