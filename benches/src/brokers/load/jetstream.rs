//! The same work over NATS JetStream, with async-nats: a queue is a stream of the work-queue kind with one durable pull
//! consumer; a fan-out is one stream that keeps what consumers still want. Persistent is storage in files, publishes and
//! deliveries acknowledged; transient is storage in memory, and neither.

use std::net::SocketAddr;

use anyhow::bail;
use async_nats::{
    Client,
    jetstream::{
        Context,
        consumer::{AckPolicy, Consumer, pull},
        context::ContextBuilder,
        stream::{Config, RetentionPolicy, StorageType, Stream},
    },
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Broker, flow::Flow};
use crate::brokers::case::Case;

/// Unacknowledged messages of a consumer, as the server counts them: never what is waited for.
const ACK_PENDING_MAX: i64 = 100_000;
/// Messages that a consumer asks for at a time, the next when half of them have come: with fewer than are under way, the
/// server waits for the client.
const PULL_BATCH: usize = 1_000;
/// Unacknowledged publishes, as the client counts them: never what is waited for.
const PUBLISHES_MAX: usize = 100_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Jetstream {
    case: Case,
    client: Client,
    context: Context,
    consumers: Vec<Consumer<pull::Config>>,
    subjects: Vec<String>,
    streams: Vec<String>,
}

impl Broker for Jetstream {
    async fn connect(target: SocketAddr, case: &Case) -> anyhow::Result<Self> {
        let client = async_nats::connect(target.to_string()).await?;
        let context = ContextBuilder::new().max_ack_inflight(PUBLISHES_MAX).build(client.clone());
        // Consumers have a connection of their own, as with AMQP.
        let of_consumers = async_nats::jetstream::new(async_nats::connect(target.to_string()).await?);
        let count = if case.is_fanout { 1 } else { case.queues };
        let streams: Vec<String> = (0..count).map(|number| format!("bench-{number}")).collect();
        let subjects: Vec<String> = (0..count).map(|number| format!("bench.{number}")).collect();
        let mut consumers = Vec::new();
        for (name, subject) in streams.iter().zip(&subjects) {
            let stream = of_consumers.create_stream(stream(case, name, subject)).await?;
            for number in 0..case.queues / count {
                consumers.push(consumer(case, &stream, number).await?);
            }
        }
        Ok(Self { case: *case, client, context, consumers, subjects, streams })
    }

    async fn publish(
        &self,
        queue: u16,
        body: Bytes,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
        let subject = self.subjects.get(usize::from(queue)).cloned().unwrap_or_default();
        let ack = if self.case.is_persistent {
            Some(self.context.publish(subject, body).await?)
        } else {
            self.client.publish(subject, body).await?;
            None
        };
        Ok(async move {
            if let Some(ack) = ack {
                ack.await?;
            }
            Ok(())
        })
    }

    async fn consume(&self, queue: u16, flow: &Flow) -> anyhow::Result<()> {
        let Some(consumer) = self.consumers.get(usize::from(queue)) else { bail!("no consumer {queue}") };
        let mut messages = consumer.stream().max_messages_per_batch(PULL_BATCH).messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            if self.case.is_persistent
                && let Err(error) = message.ack().await
            {
                bail!("an acknowledgement fails: {error}");
            }
            flow.delivered(&message.payload);
        }
        bail!("the server has ended a consumer")
    }

    async fn remove(&self) -> anyhow::Result<()> {
        for name in &self.streams {
            self.context.delete_stream(name).await?;
        }
        Ok(())
    }
}

fn stream(case: &Case, name: &str, subject: &str) -> Config {
    let is_work_queue = case.is_persistent && !case.is_fanout;
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage: if case.is_persistent { StorageType::File } else { StorageType::Memory },
        retention: if is_work_queue { RetentionPolicy::WorkQueue } else { RetentionPolicy::Interest },
        ..Config::default()
    }
}

async fn consumer(case: &Case, stream: &Stream, number: u16) -> anyhow::Result<Consumer<pull::Config>> {
    let config = pull::Config {
        durable_name: Some(format!("consumer-{number}")),
        ack_policy: if case.is_persistent { AckPolicy::Explicit } else { AckPolicy::None },
        max_ack_pending: if case.is_persistent { ACK_PENDING_MAX } else { 0 },
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}
