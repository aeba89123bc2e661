//! The broker of a sidecar that keeps queues: bound and started with it, ended with it.

use anyhow::Context;
use weft_broker::{
    server::{Broker, BrokerConfig, Watermarks},
    vhost::VhostLimits,
};
use weft_runtime::listen;

use crate::config::{MemoryMark, QueueHostConfig, QueueHostLimits, SidecarConfig};

/// The broker, and where it listens; nothing where none is wanted.
pub(super) fn start(config: &SidecarConfig) -> anyhow::Result<Option<(Broker, QueueHostConfig)>> {
    let Some(wanted) = config.queue_host else { return Ok(None) };
    let options = listen::Options { insecure_ok: config.insecure_listen, reuse_port: false };
    let amqp = listen::bind(wanted.amqp, "AMQP clients (--amqp)", options)?;
    let management = listen::bind(wanted.management, "the management API (--management)", options)?;
    let bound = "a listener that is bound has an address";
    let at = QueueHostConfig {
        amqp: amqp.local_addr().context(bound)?,
        management: management.local_addr().context(bound)?,
        ..wanted
    };
    let broker = Broker::start(BrokerConfig {
        data_dir: config.data_dir.clone(),
        amqp,
        management: Some(management),
        node: format!("weft@{}", config.node),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: limits(wanted.limits),
        watermarks: watermarks(wanted.limits),
    })
    .context("cannot start the message broker (--queue-host)")?;
    tracing::info!(amqp = %at.amqp, management = %at.management, "message broker listening");
    Ok(Some((broker, at)))
}

fn limits(wanted: QueueHostLimits) -> VhostLimits {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    VhostLimits {
        warm_bytes_max: size(wanted.waiting_bytes_max),
        message_bytes_max: size(wanted.message_bytes_max),
        consumer_timeout_ms: wanted
            .consumer_timeout
            .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        ..VhostLimits::default()
    }
}

fn watermarks(wanted: QueueHostLimits) -> Watermarks {
    let memory_bytes = match wanted.memory {
        MemoryMark::Percent(percent) => Watermarks::share_of_memory(percent),
        MemoryMark::Bytes(bytes) => bytes,
    };
    Watermarks { memory_bytes, disk_free_bytes: wanted.disk_free_min }
}

/// Ends it in order, off this thread, for it waits for its own.
pub(super) async fn stop(broker: Option<Broker>) {
    if let Some(broker) = broker
        && tokio::task::spawn_blocking(move || broker.stop()).await.is_err()
    {
        tracing::error!("the message broker ended by a panic");
    }
}
