//! The work over AMQP 0-9-1, with lapin: confirms, an acknowledgement for each delivery, a channel for each consumer.

use std::net::SocketAddr;

use anyhow::bail;
use bytes::Bytes;
use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{BATCH_MAX, Broker, flow::Flow};
use crate::brokers::case::Case;

/// Unacknowledged messages that a consumer holds.
const PREFETCH: u16 = 256;
const EXCHANGE: &str = "bench";
/// Delivery modes (AMQP 0-9-1, class basic, property delivery-mode).
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Amqp {
    case: Case,
    publisher: Channel,
    consumers: Connection,
    /// Ends with this.
    _publishers: Connection,
    exchange: ShortString,
    /// One a queue.
    names: Vec<ShortString>,
    properties: BasicProperties,
}

impl Broker for Amqp {
    async fn connect(target: SocketAddr, case: &Case) -> anyhow::Result<Self> {
        let publishers = connection(target).await?;
        let publisher = publishers.create_channel().await?;
        if case.is_persistent {
            publisher.confirm_select(ConfirmSelectOptions::default()).await?;
        }
        let mode = if case.is_persistent { PERSISTENT } else { TRANSIENT };
        let broker = Self {
            case: *case,
            publisher,
            consumers: connection(target).await?,
            _publishers: publishers,
            exchange: if case.is_fanout { EXCHANGE } else { "" }.into(),
            names: (0..case.queues).map(|queue| format!("bench-{queue}").into()).collect(),
            properties: BasicProperties::default().with_delivery_mode(mode),
        };
        broker.declare().await?;
        Ok(broker)
    }

    async fn publish(
        &self,
        queue: u16,
        body: Bytes,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
        let key = self.name(queue);
        let (exchange, properties) = (self.exchange.clone(), self.properties.clone());
        let options = BasicPublishOptions::default();
        let confirm = self.publisher.basic_publish(exchange, key, options, &body, properties).await?;
        Ok(async move {
            match confirm.await? {
                Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
                refused => bail!("a publish was answered with {refused:?}"),
            }
        })
    }

    async fn consume(&self, queue: u16, flow: &Flow) -> anyhow::Result<()> {
        let channel = self.consumers.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options =
            BasicConsumeOptions { no_ack: !self.case.is_persistent, ..BasicConsumeOptions::default() };
        let name = self.name(queue);
        let deliveries = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
        // Those that are there; each is acknowledged by itself, and all that are there are in one go.
        let mut batches = deliveries.ready_chunks(BATCH_MAX);
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            if self.case.is_persistent {
                let acks = batch.iter().map(|delivery| delivery.ack(BasicAckOptions::default()));
                try_join_all(acks).await?;
            }
            batch.iter().for_each(|delivery| flow.delivered(&delivery.data));
        }
        bail!("the broker has cancelled a consumer")
    }

    async fn remove(&self) -> anyhow::Result<()> {
        for name in &self.names {
            self.publisher.queue_delete(name.clone(), QueueDeleteOptions::default()).await?;
        }
        if self.case.is_fanout {
            self.publisher.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
        }
        Ok(())
    }
}

impl Amqp {
    async fn declare(&self) -> anyhow::Result<()> {
        let durable = self.case.is_persistent;
        let channel = &self.publisher;
        if self.case.is_fanout {
            let options = ExchangeDeclareOptions { durable, ..ExchangeDeclareOptions::default() };
            channel
                .exchange_declare(EXCHANGE.into(), ExchangeKind::Fanout, options, FieldTable::default())
                .await?;
        }
        let mut arguments = FieldTable::default();
        if self.case.is_quorum {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        for name in &self.names {
            let options = QueueDeclareOptions { durable, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.clone(), options, arguments.clone()).await?;
            if self.case.is_fanout {
                let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
                channel.queue_bind(name.clone(), EXCHANGE.into(), "".into(), options, arguments).await?;
            }
        }
        Ok(())
    }

    fn name(&self, queue: u16) -> ShortString {
        self.names.get(usize::from(queue)).cloned().unwrap_or_default()
    }
}

async fn connection(target: SocketAddr) -> anyhow::Result<Connection> {
    let uri = format!("amqp://guest:guest@{target}/%2f");
    Ok(Connection::connect(&uri, ConnectionProperties::default()).await?)
}
