//! The seventh tutorial, publisher confirms, with lapin: a client that nobody here wrote. What it is told is safe is
//! there after `kill -9`; what a full queue refuses, and what no queue takes, it is told of.

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tempfile::tempdir;
use weft_tests::Broker;

const MESSAGES: usize = 500;

async fn channel(broker: &Broker) -> anyhow::Result<(Connection, Channel)> {
    let url = format!("amqp://guest:guest@{}/%2f", broker.amqp);
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) -> anyhow::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await?;
    Ok(())
}

/// What the broker said of a publish.
async fn publish(channel: &Channel, queue: &str, body: &str) -> anyhow::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let confirm =
        channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties).await?;
    Ok(confirm.await?)
}

#[tokio::test]
async fn what_lapin_was_told_is_safe_is_there_after_a_kill() -> anyhow::Result<()> {
    let dir = tempdir()?;
    let mut broker = Broker::start(dir.path()).await?;
    let (_connection, sender) = channel(&broker).await?;
    declare(&sender, "orders", FieldTable::default()).await?;
    let bodies: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let confirms = try_join_all(bodies.iter().map(|body| publish(&sender, "orders", body))).await?;
    assert!(confirms.iter().all(|confirm| matches!(confirm, Confirmation::Ack(None))));

    broker.kill9()?;
    broker.restart().await?;
    let (_connection, receiver) = channel(&broker).await?;
    let options = BasicConsumeOptions::default();
    let mut deliveries =
        receiver.basic_consume("orders".into(), "".into(), options, FieldTable::default()).await?;
    for body in &bodies {
        let delivery = deliveries.next().await.expect("the consumer lives")?;
        assert_eq!(delivery.data, body.as_bytes());
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn lapin_is_told_of_what_is_refused_and_of_what_comes_back() -> anyhow::Result<()> {
    let dir = tempdir()?;
    let broker = Broker::start(dir.path()).await?;
    let (_connection, sender) = channel(&broker).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    declare(&sender, "short", arguments).await?;
    assert!(matches!(publish(&sender, "short", "fits").await?, Confirmation::Ack(None)));
    assert!(matches!(publish(&sender, "short", "does not").await?, Confirmation::Nack(_)));
    assert!(matches!(publish(&sender, "nowhere", "comes back").await?, Confirmation::Ack(Some(_))));
    Ok(())
}
