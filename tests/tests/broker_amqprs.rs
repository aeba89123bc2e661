//! amqprs, a client that calls consumers back: workers share the messages of a topic, and one that dies gives back what it
//! held; what is left is taken by `basic.get`.

use amqprs::{
    BasicProperties, Deliver,
    channel::{
        BasicAckArguments, BasicConsumeArguments, BasicGetArguments, BasicPublishArguments,
        BasicQosArguments, Channel, ExchangeDeclareArguments, QueueBindArguments, QueueDeclareArguments,
    },
    connection::{Connection, OpenConnectionArguments},
    consumer::AsyncConsumer,
};
use tempfile::tempdir;
use tokio::sync::mpsc;
use weft_tests::Broker;

const MESSAGES: usize = 200;

/// Says what it got: who, what, whether again. One that holds acknowledges nothing.
struct Worker {
    name: &'static str,
    holds: bool,
    told: mpsc::Sender<(&'static str, String, bool)>,
}

#[async_trait::async_trait]
impl AsyncConsumer for Worker {
    async fn consume(&mut self, channel: &Channel, deliver: Deliver, _: BasicProperties, body: Vec<u8>) {
        let body = String::from_utf8(body).expect("text");
        if !self.holds {
            let ack = BasicAckArguments::new(deliver.delivery_tag(), false);
            channel.basic_ack(ack).await.expect("the channel is open");
        }
        // Nobody listens any more once all have come.
        let _test_is_over = self.told.send((self.name, body, deliver.redelivered())).await;
    }
}

async fn connect(broker: &Broker) -> anyhow::Result<(Connection, Channel)> {
    let (host, port) = (broker.amqp.ip().to_string(), broker.amqp.port());
    let connection = Connection::open(&OpenConnectionArguments::new(&host, port, "guest", "guest")).await?;
    let channel = connection.open_channel(None).await?;
    Ok((connection, channel))
}

async fn work(channel: &Channel, worker: Worker) -> anyhow::Result<()> {
    channel.basic_qos(BasicQosArguments::new(0, 10, false)).await?;
    channel.basic_consume(worker, BasicConsumeArguments::new("jobs", "")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn amqprs_workers_share_a_topic_and_take_over_what_one_held() -> anyhow::Result<()> {
    let dir = tempdir()?;
    let broker = Broker::start(dir.path()).await?;
    let (_connection, sender) = connect(&broker).await?;
    sender.exchange_declare(ExchangeDeclareArguments::new("work", "topic")).await?;
    sender.queue_declare(QueueDeclareArguments::durable_client_named("jobs")).await?;
    sender.queue_bind(QueueBindArguments::new("jobs", "work", "jobs.*.new")).await?;

    let (told, mut heard) = mpsc::channel(2 * MESSAGES);
    let (holder, holding) = connect(&broker).await?;
    work(&holding, Worker { name: "holder", holds: true, told: told.clone() }).await?;
    for number in 0..MESSAGES {
        let (properties, key) = (BasicProperties::default(), format!("jobs.{number}.new"));
        let to = BasicPublishArguments::new("work", &key);
        sender.basic_publish(properties, number.to_string().into_bytes(), to).await?;
    }
    let mut held = Vec::new();
    while held.len() < 10 {
        held.push(heard.recv().await.expect("the holder lives").1);
    }
    let (_worker, working) = connect(&broker).await?;
    work(&working, Worker { name: "worker", holds: false, told }).await?;
    holder.close().await?;

    let mut done = Vec::new();
    while done.len() < MESSAGES {
        let (who, body, again) = heard.recv().await.expect("the worker lives");
        assert_eq!((who, again), ("worker", held.contains(&body)), "message {body}");
        done.push(body.parse::<usize>()?);
    }
    done.sort_unstable();
    assert!(done.iter().copied().eq(0..MESSAGES), "{done:?}");
    assert!(sender.basic_get(BasicGetArguments::new("jobs")).await?.is_none());
    Ok(())
}
